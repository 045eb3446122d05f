package cli

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
)

func certCommand() *command {
	return &command{name: "cert", summary: "make certificates for development and tests, with client configurations", sub: []*command{
		certCACommand(), certServerCommand(), certClientCommand(), certShowCommand(),
	}}
}

const certDetail = `
The authority is for development and tests: its key lies unprotected in the directory. Whoever can read it can be any
client and any broker.`

// Names of the files in a certificate directory.
const (
	caFile        = "ca.pem"
	caKeyFile     = "ca-key.pem"
	caStoreFile   = "ca.p12"
	passwordFile  = "password.txt"
	defaultCADir  = "certs"
	caDefaultName = "Barnabas development CA"
)

// certDir is a directory of certificates.
type certDir struct {
	dir   string
	force bool
	wrote []string
}

func (d *certDir) flags(f *flagSet) {
	f.string(&d.dir, "dir", 'd', "DIR", "where the files are; "+defaultCADir+" if not given")
	f.bool(&d.force, "force", 0, "write over files that are there")
}

func (d *certDir) path(name string) string { return filepath.Join(d.dir, name) }

// write writes one file; a secret one is for its owner alone.
func (d *certDir) write(name string, data []byte, secret bool) error {
	mode, flag := fs.FileMode(0o644), os.O_WRONLY|os.O_CREATE|os.O_EXCL
	if secret {
		mode = 0o600
	}
	if d.force {
		flag = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(d.path(name), flag, mode)
	if errors.Is(err, fs.ErrExist) {
		return &failure{what: d.path(name) + " is there already", do: "--force writes over it."}
	}
	if err != nil {
		return &failure{what: "cannot write", why: err.Error()}
	}
	d.wrote = append(d.wrote, d.path(name))
	_, err = f.Write(data)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// load reads the authority.
func (d *certDir) load() (*tlsconf.DevCA, error) {
	if d.dir == "" {
		d.dir = defaultCADir
	}
	key, err := os.ReadFile(d.path(caKeyFile))
	if err != nil {
		return nil, &failure{what: "there is no authority in " + d.dir, why: err.Error(), do: "`barnabas cert ca` makes one."}
	}
	chain, err := os.ReadFile(d.path(caFile))
	if err != nil {
		return nil, &failure{what: "cannot read the authority", why: err.Error()}
	}
	ca, err := tlsconf.LoadDevCA(tlsconf.PEMPair{Key: key, Chain: chain}, nil)
	if err != nil {
		return nil, &failure{what: "cannot use the authority in " + d.dir, why: err.Error()}
	}
	return ca, nil
}

// password is that of all PKCS12 stores of the directory.
func (d *certDir) password() (string, error) {
	data, err := os.ReadFile(d.path(passwordFile))
	if err != nil {
		return "", &failure{what: "cannot read the password of the stores", why: err.Error()}
	}
	return strings.TrimSpace(string(data)), nil
}

func (e *env) showFiles(d *certDir) error {
	return e.done(map[string][]string{"files": d.wrote}, "wrote "+strings.Join(d.wrote, "\nwrote "))
}

func certCACommand() *command {
	var d certDir
	name := caDefaultName
	return &command{
		name: "ca", summary: "Make a certificate authority for development",
		detail: certDetail + "\nIt writes ca.pem, which clients and brokers trust, the same as ca.p12 for older Java, ca-key.pem, and password.txt, the password of\nall PKCS12 stores.",
		flags: func(f *flagSet) {
			d.flags(f)
			f.string(&name, "name", 0, "NAME", "the authority's common name; "+caDefaultName+" if not given")
		},
		run: func(e *env, _ []string) error {
			if d.dir == "" {
				d.dir = defaultCADir
			}
			if err := os.MkdirAll(d.dir, 0o755); err != nil {
				return &failure{what: "cannot make the directory", why: err.Error()}
			}
			ca, err := tlsconf.NewDevCA(name, nil)
			if err != nil {
				return err
			}
			pair, err := ca.Pair()
			if err != nil {
				return err
			}
			password := rand.Text()
			store, err := tlsconf.TruststorePKCS12(ca.Certificate(), "ca", password)
			if err != nil {
				return err
			}
			for _, file := range []struct {
				name   string
				data   []byte
				secret bool
			}{{caKeyFile, pair.Key, true}, {caFile, ca.Certificate(), false}, {passwordFile, []byte(password + "\n"), true}, {caStoreFile, store, false}} {
				if err := d.write(file.name, file.data, file.secret); err != nil {
					return err
				}
			}
			return e.showFiles(&d)
		},
	}
}

// certFlags are those of certificates.
type certFlags struct {
	certDir
	days         int32
	organization string
}

func (c *certFlags) flags(f *flagSet) {
	c.certDir.flags(f)
	f.int32(&c.days, "days", 0, "N", "how long it is good; 365 if not given")
	f.string(&c.organization, "organization", 0, "NAME", "O of its subject")
}

// issue makes NAME.pem, the key with its chain, and NAME.p12, the same for older Java.
func (c *certFlags) issue(file string, want tlsconf.DevCertificate) error {
	ca, err := c.load()
	if err != nil {
		return err
	}
	password, err := c.password()
	if err != nil {
		return err
	}
	want.Organization = c.organization
	if c.days != 0 {
		if c.days < 0 {
			return badUsage("--days is 1 or more")
		}
		want.Validity = time.Duration(c.days) * 24 * time.Hour
	}
	pair, err := ca.Issue(want)
	if err != nil {
		return err
	}
	store, err := pair.PKCS12(strings.ToLower(file), password)
	if err != nil {
		return err
	}
	if err := c.write(file+".pem", pair.Joined(), true); err != nil {
		return err
	}
	return c.write(file+".p12", store, true)
}

// fileName refuses names that would leave the directory.
func fileName(name string) error {
	if name == "" || strings.ContainsAny(name, "/\\\x00\n") || strings.HasPrefix(name, ".") {
		return badUsage("%q cannot be the name of a file", name)
	}
	return nil
}

func certServerCommand() *command {
	var c certFlags
	name := ""
	return &command{
		name: "server", args: "HOST...", minArgs: 1, maxArgs: -1, summary: "Make a broker's certificate",
		detail: certDetail + "\nHOSTs are all names and addresses that clients connect to, the advertised ones among them; the first is the common name. The files are\nnamed after it, or by --name: NAME.pem and NAME.p12, and NAME.properties, the lines for the broker's server.properties.",
		flags: func(f *flagSet) {
			c.flags(f)
			f.string(&name, "name", 0, "NAME", "of the files, if not the first host")
		},
		run: func(e *env, args []string) error {
			file := args[0]
			if name != "" {
				file = name
			}
			if err := fileName(file); err != nil {
				return err
			}
			// A broker is a client of other brokers.
			if err := c.issue(file, tlsconf.DevCertificate{CommonName: args[0], Hosts: args, Server: true, Client: true}); err != nil {
				return err
			}
			dir, err := filepath.Abs(c.dir)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("ssl.keystore.type=PEM\nssl.keystore.location=%s\nssl.truststore.type=PEM\nssl.truststore.location=%s\n",
				filepath.Join(dir, file+".pem"), filepath.Join(dir, caFile))
			if err := c.write(file+".properties", []byte(text), false); err != nil {
				return err
			}
			return e.showFiles(&c.certDir)
		},
	}
}

func certClientCommand() *command {
	var c certFlags
	return &command{
		name: "client", args: "NAME", minArgs: 1, maxArgs: 1, summary: "Make a client's certificate, with configurations for clients of several languages",
		detail: certDetail + "\nIt writes NAME.pem and NAME.p12, and configurations that connect with it by security.protocol=SSL: NAME.properties for Java and for\n--command-config, NAME-p12.properties for Java before Kafka 3.3, NAME-librdkafka.properties, NAME.go, NAME.py. The broker sees CN=NAME.",
		run: func(e *env, args []string) error {
			if err := fileName(args[0]); err != nil {
				return err
			}
			if err := c.issue(args[0], tlsconf.DevCertificate{CommonName: args[0], Client: true}); err != nil {
				return err
			}
			dir, err := filepath.Abs(c.dir)
			if err != nil {
				return err
			}
			password, err := c.password()
			if err != nil {
				return err
			}
			bootstrap := e.bootstrap
			if bootstrap == "" {
				bootstrap = net.JoinHostPort("localhost", "9093")
			}
			for _, file := range clientConfigs(dir, args[0], bootstrap, password) {
				if err := c.write(file.name, []byte(file.text), file.secret); err != nil {
					return err
				}
			}
			return e.showFiles(&c.certDir)
		},
		flags: c.flags,
	}
}

// certificateShown is one certificate of a store.
type certificateShown struct {
	Alias   string   `json:"alias"`
	Key     bool     `json:"key"`
	Subject string   `json:"subject"` // as the broker's principal mapping sees it
	Issuer  string   `json:"issuer"`
	Hosts   []string `json:"hosts"`
	Expires string   `json:"expires"`
}

func certShowCommand() *command {
	variable, file := "", ""
	return &command{
		name: "show", args: "FILE", minArgs: 1, maxArgs: 1, summary: "Show what is in a store: PEM, PKCS12 or JKS",
		detail: "\nSUBJECT is spelled as ssl.principal.mapping.rules see it.",
		flags: func(f *flagSet) {
			f.string(&file, "password-file", 0, "FILE", "read the store's password from this file")
			f.string(&variable, "password-env", 0, "NAME", "read the store's password from this environment variable")
		},
		run: func(e *env, args []string) error {
			password := ""
			if file != "" || variable != "" {
				var err error
				if password, _, err = (&passwordSource{file: file, variable: variable}).read(e, "the store"); err != nil {
					return err
				}
			}
			list, err := readCertificates(args[0], password)
			if err != nil {
				return &failure{what: "cannot read " + args[0], why: err.Error()}
			}
			return e.showCertificates(list)
		},
	}
}

func hostsOf(c *x509.Certificate) []string {
	hosts := append([]string{}, c.DNSNames...)
	for _, a := range c.IPAddresses {
		hosts = append(hosts, a.String())
	}
	return hosts
}
