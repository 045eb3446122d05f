package cli

import (
	"crypto/x509"
	"io"
	"os"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/tlsconf"
)

// readCertificates reads a store of any format.
func readCertificates(path, password string) ([]certificateShown, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := tlsconf.ParseStore(data, tlsconf.Passwords{Store: auth.NewSecret(password), Key: auth.NewSecret(password)})
	if err != nil {
		return nil, err
	}
	list := []certificateShown{}
	add := func(alias string, key bool, c *x509.Certificate) error {
		subject, err := tlsconf.FormatDN(c.RawSubject)
		if err != nil {
			return err
		}
		issuer, err := tlsconf.FormatDN(c.RawIssuer)
		if err != nil {
			return err
		}
		list = append(list, certificateShown{alias, key, subject, issuer, hostsOf(c), c.NotAfter.UTC().Format(time.RFC3339)})
		return nil
	}
	for _, k := range s.Keys {
		for i, c := range k.Chain {
			if err := add(k.Alias, i == 0, c); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range s.Trusted {
		if err := add(c.Alias, false, c.Certificate); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (e *env) showCertificates(list []certificateShown) error {
	return e.show(list, func(w io.Writer) error {
		t := newTable("ALIAS", "KEY", "SUBJECT", "ISSUER", "HOSTS", "EXPIRES")
		for _, c := range list {
			key := "-"
			if c.Key {
				key = "yes"
			}
			t.row(c.Alias, key, c.Subject, c.Issuer, textOrDash(strings.Join(c.Hosts, ",")), c.Expires)
		}
		return t.writeTo(w)
	})
}
