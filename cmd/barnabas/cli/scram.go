package cli

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// scramMechanism is a mechanism by its number on the wire.
type scramMechanism int8

const (
	scramSHA256 scramMechanism = 1
	scramSHA512 scramMechanism = 2

	// What brokers take, and what kafka-configs asks for if nothing is said.
	scramMinIterations     = 4096
	scramMaxIterations     = 16384
	scramDefaultIterations = 4096
)

func (m scramMechanism) String() string {
	switch m {
	case scramSHA256:
		return "SCRAM-SHA-256"
	case scramSHA512:
		return "SCRAM-SHA-512"
	}
	return "UNKNOWN"
}

// parseScramMechanism reads a name; 0 if it is none.
func parseScramMechanism(name string) scramMechanism {
	for _, m := range []scramMechanism{scramSHA256, scramSHA512} {
		if m.String() == strings.ToUpper(name) {
			return m
		}
	}
	return 0
}

// salted is what goes over the wire in place of the password. Whoever has it can log in.
func (m scramMechanism) salted(password string, salt []byte, iterations int) ([]byte, error) {
	if m == scramSHA256 {
		return pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	}
	return pbkdf2.Key(sha512.New, password, salt, iterations, sha512.Size)
}

// scramCredential is one credential of a user, as brokers show it.
type scramCredential struct {
	User       string `json:"user"`
	Mechanism  string `json:"mechanism"`
	Iterations int32  `json:"iterations"`
}

// scramUsers returns the credentials of some users, or of all; who has none is left out.
func (a *admin) scramUsers(ctx context.Context, names ...string) ([]scramCredential, error) {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, name := range names {
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = name
		req.Users = append(req.Users, u)
	}
	resp, err := request[*kmsg.DescribeUserSCRAMCredentialsResponse](ctx, a, req)
	if err != nil {
		return nil, failed(err, "cannot list users")
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage, "cannot list users"); err != nil {
		return nil, err
	}
	var list []scramCredential
	var errs []error
	for _, r := range resp.Results {
		if r.ErrorCode != kerr.ResourceNotFound.Code {
			errs = append(errs, refused(r.ErrorCode, r.ErrorMessage, "cannot read user %s", r.User))
		}
		for _, c := range r.CredentialInfos {
			list = append(list, scramCredential{r.User, scramMechanism(c.Mechanism).String(), c.Iterations})
		}
	}
	slices.SortFunc(list, func(x, y scramCredential) int {
		return strings.Compare(x.User+"\x00"+x.Mechanism, y.User+"\x00"+y.Mechanism)
	})
	return list, errors.Join(errs...)
}

// setScram sets a user's password for some mechanisms, and takes others away, each with a
// request of its own: brokers take a user but once in one.
func (a *admin) setScram(ctx context.Context, user string, set []scramUpsertion, remove []scramMechanism) error {
	for _, m := range remove {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
		d.Name, d.Mechanism = user, int8(m)
		req.Deletions = append(req.Deletions, d)
		if err := a.alterScram(ctx, user, req); err != nil {
			return err
		}
	}
	for _, s := range set {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt = user, int8(s.mechanism), int32(s.iterations), auth.NewScramSalt()
		var err error
		if u.SaltedPassword, err = s.mechanism.salted(s.password, u.Salt, s.iterations); err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, u)
		if err := a.alterScram(ctx, user, req); err != nil {
			return err
		}
	}
	return nil
}

func (a *admin) alterScram(ctx context.Context, user string, req *kmsg.AlterUserSCRAMCredentialsRequest) error {
	resp, err := request[*kmsg.AlterUserSCRAMCredentialsResponse](ctx, a, req)
	if err != nil {
		return failed(err, "cannot change user %s", user)
	}
	var errs []error
	for _, r := range resp.Results {
		errs = append(errs, refused(r.ErrorCode, r.ErrorMessage, "cannot change user %s", user))
	}
	return errors.Join(errs...)
}

// scramUpsertion is a password to set.
type scramUpsertion struct {
	mechanism  scramMechanism
	iterations int
	password   string
}
