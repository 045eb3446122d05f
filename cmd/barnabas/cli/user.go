package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
)

func userCommand() *command {
	return &command{name: "user", summary: "list, create and delete users with SCRAM passwords, hash those of PLAIN", sub: []*command{
		userListCommand(), userCreateCommand(), userPasswordCommand(), userDeleteCommand(), userHashCommand(),
	}}
}

func userListCommand() *command {
	return &command{
		name: "list", args: "[USER]...", maxArgs: -1, summary: "List users and their mechanisms",
		run: func(e *env, args []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				list, err := a.scramUsers(ctx, args...)
				if err != nil {
					return err
				}
				for _, name := range args {
					if !hasUser(list, name) {
						return &failure{what: "there is no user " + name}
					}
				}
				if list == nil {
					list = []scramCredential{}
				}
				return e.show(list, func(w io.Writer) error {
					t := newTable("USER", "MECHANISM", ">ITERATIONS")
					for _, c := range list {
						t.row(c.User, c.Mechanism, number(c.Iterations))
					}
					return t.writeTo(w)
				})
			})
		},
	}
}

func hasUser(list []scramCredential, name string) bool {
	return slices.ContainsFunc(list, func(c scramCredential) bool { return c.User == name })
}

// scramFlags are those of create and password.
type scramFlags struct {
	mechanisms []string
	iterations int32
	password   passwordSource
}

func (s *scramFlags) flags(f *flagSet, otherwise string) {
	f.strings(&s.mechanisms, "mechanism", 'm', "MECHANISM", "SCRAM-SHA-256 or SCRAM-SHA-512, "+otherwise+"; may be repeated")
	f.completes("SCRAM-SHA-256|SCRAM-SHA-512")
	f.int32(&s.iterations, "iterations", 0, "N", "how often the password is hashed, 4096 to 16384; 8192 if not given")
	s.password.flags(f)
}

const userIterations = 8192

// upsertions are what the flags ask for, by the mechanisms given.
func (s *scramFlags) upsertions(mechanisms []scramMechanism, password string) ([]scramUpsertion, error) {
	n := int(s.iterations)
	if n == 0 {
		n = userIterations
	}
	if n < scramMinIterations || n > scramMaxIterations {
		return nil, badUsage("--iterations is between %d and %d", scramMinIterations, scramMaxIterations)
	}
	var set []scramUpsertion
	for _, m := range mechanisms {
		set = append(set, scramUpsertion{m, n, password})
	}
	return set, nil
}

func parseMechanisms(names []string) ([]scramMechanism, error) {
	var list []scramMechanism
	for _, name := range names {
		for _, one := range splitList(name) {
			m := parseScramMechanism(one)
			if m == 0 {
				return nil, badUsage("%q is neither SCRAM-SHA-256 nor SCRAM-SHA-512", one)
			}
			list = append(list, m)
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func userCreateCommand() *command {
	var s scramFlags
	return &command{
		name: "create", args: "USER", minArgs: 1, maxArgs: 1, summary: "Create a user with a password",
		detail: passwordDetail,
		flags:  func(f *flagSet) { s.flags(f, "SCRAM-SHA-512 if not given") },
		run: func(e *env, args []string) error {
			if len(s.mechanisms) == 0 {
				s.mechanisms = []string{scramSHA512.String()}
			}
			mechanisms, err := parseMechanisms(s.mechanisms)
			if err != nil {
				return err
			}
			if _, err := s.upsertions(mechanisms, ""); err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				have, err := a.scramUsers(ctx, args[0])
				if err != nil {
					return err
				}
				for _, c := range have {
					if slices.Contains(mechanisms, parseScramMechanism(c.Mechanism)) {
						return &failure{what: fmt.Sprintf("user %s has a password for %s already", c.User, c.Mechanism), do: "`barnabas user password` changes it."}
					}
				}
				return e.setPassword(args[0], mechanisms, &s, "created user")
			})
		},
	}
}

func userPasswordCommand() *command {
	var s scramFlags
	return &command{
		name: "password", args: "USER", minArgs: 1, maxArgs: 1, summary: "Change a user's password",
		detail: passwordDetail + "\nClients that are connected stay so; new connections need the new password.",
		flags:  func(f *flagSet) { s.flags(f, "all that the user has if not given") },
		run: func(e *env, args []string) error {
			mechanisms, err := parseMechanisms(s.mechanisms)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				have, err := a.scramUsers(ctx, args[0])
				if err != nil {
					return err
				}
				if len(have) == 0 {
					return &failure{what: "there is no user " + args[0], do: "`barnabas user create` creates one."}
				}
				if len(mechanisms) == 0 {
					for _, c := range have {
						mechanisms = append(mechanisms, parseScramMechanism(c.Mechanism))
					}
				}
				return e.setPassword(args[0], mechanisms, &s, "changed the password of user")
			})
		},
	}
}

// plainIterations is about a tenth of a second at a user's first login.
const plainIterations = 210_000

func userHashCommand() *command {
	var source passwordSource
	var iterations int32
	return &command{
		name: "hash", args: "USER", minArgs: 1, maxArgs: 1, summary: "Hash a password of PLAIN for a JAAS configuration",
		detail: passwordDetail + `
What is shown is an option of the PlainLoginModule in the broker's configuration. It asks no broker. Apache Kafka would
take the hash for the password.`,
		flags: func(f *flagSet) {
			f.int32(&iterations, "iterations", 0, "N", fmt.Sprintf("how often the password is hashed, 10000 to 1000000; %d if not given", plainIterations))
			source.flags(f)
		},
		run: func(e *env, args []string) error {
			if strings.ContainsAny(args[0], " \t\"'=;") {
				return badUsage("the name of an option cannot have one of the characters in %q", args[0])
			}
			if iterations == 0 {
				iterations = plainIterations
			}
			if _, err := auth.HashPlainPassword("", int(iterations)); err != nil {
				return badUsage("--iterations: %v", err)
			}
			password, made, err := source.read(e, args[0])
			if err != nil {
				return err
			}
			hash, err := auth.HashPlainPassword(password, int(iterations))
			if err != nil {
				return err
			}
			result := struct {
				User     string `json:"user"`
				Hash     string `json:"hash"`
				Password string `json:"password,omitempty"`
			}{User: args[0], Hash: hash}
			lines := []string{fmt.Sprintf("user_%s=%q", args[0], hash)}
			if made {
				result.Password = password
				lines = append(lines, "password: "+password)
			}
			return e.done(result, lines...)
		},
	}
}

// setPassword reads a password and sets it. Reading may take a person long: the wait for
// the cluster begins after it.
func (e *env) setPassword(user string, mechanisms []scramMechanism, s *scramFlags, did string) error {
	password, made, err := s.password.read(e, user)
	if err != nil {
		return err
	}
	set, err := s.upsertions(mechanisms, password)
	if err != nil {
		return err
	}
	e.warnOfEavesdroppers()
	err = e.asking(func(ctx context.Context, a *admin) error { return a.setScram(ctx, user, set, nil) })
	if err != nil {
		return err
	}
	var names []string
	for _, m := range mechanisms {
		names = append(names, m.String())
	}
	result := struct {
		User       string   `json:"user"`
		Mechanisms []string `json:"mechanisms"`
		Password   string   `json:"password,omitempty"`
	}{User: user, Mechanisms: names}
	lines := []string{fmt.Sprintf("%s %s for %s", did, user, strings.Join(names, ", "))}
	if made {
		result.Password = password
		lines = append(lines, "password: "+password)
	}
	return e.done(result, lines...)
}

// warnOfEavesdroppers warns before something as good as a password goes over a network in
// the clear.
func (e *env) warnOfEavesdroppers() {
	if e.conf == nil || e.conf.TLS != nil {
		return
	}
	for _, server := range splitList(e.bootstrap) {
		host, _, err := net.SplitHostPort(server)
		address, err2 := netip.ParseAddr(host)
		if err == nil && (host == "localhost" || err2 == nil && address.IsLoopback()) {
			continue
		}
		fmt.Fprintln(e.stderr, "barnabas: warning: the connection is not encrypted, and who reads it can log in as the user")
		return
	}
}

func userDeleteCommand() *command {
	var names []string
	return &command{
		name: "delete", args: "USER", minArgs: 1, maxArgs: 1, summary: "Delete a user's passwords",
		detail: "\nThe user's ACLs and quotas stay: `barnabas acl delete --principal User:NAME` deletes the ACLs.",
		flags: func(f *flagSet) {
			f.strings(&names, "mechanism", 'm', "MECHANISM", "only for this mechanism; may be repeated")
			f.completes("SCRAM-SHA-256|SCRAM-SHA-512")
		},
		run: func(e *env, args []string) error {
			mechanisms, err := parseMechanisms(names)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				have, err := a.scramUsers(ctx, args[0])
				if err != nil {
					return err
				}
				var remove []scramMechanism
				var gone []string
				for _, c := range have {
					if m := parseScramMechanism(c.Mechanism); len(mechanisms) == 0 || slices.Contains(mechanisms, m) {
						remove, gone = append(remove, m), append(gone, c.Mechanism)
					}
				}
				if len(remove) == 0 {
					return &failure{what: "user " + args[0] + " has no such password"}
				}
				if err := a.setScram(ctx, args[0], nil, remove); err != nil {
					return err
				}
				return e.done(map[string]any{"user": args[0], "mechanisms": gone}, fmt.Sprintf("deleted the password of user %s for %s", args[0], strings.Join(gone, ", ")))
			})
		},
	}
}
