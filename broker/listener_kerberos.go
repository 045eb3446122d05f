package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
	"github.com/barnabas-broker/barnabas/broker/config"
)

const kerberosLoginModule = "com.sun.security.auth.module.Krb5LoginModule"

// kerberos makes GSSAPI. The service logs in at its KDC before the listener opens, so that
// a wrong key table shows at start; afterwards the key table is read again when it changes.
func (b *Broker) kerberos(c *config.Config, listener string, file config.JAASFile) (madeMechanism, error) {
	options, err := login(c, listener, auth.MechanismGSSAPI, kerberosLoginModule, file)
	if err != nil {
		return madeMechanism{}, err
	}
	path := strings.TrimPrefix(options["keyTab"], "file:")
	if path == "" || options["principal"] == "" {
		return madeMechanism{}, errors.New("the Krb5LoginModule of mechanism GSSAPI needs keyTab and principal")
	}
	keytab, err := kerberos.ReadKeytab(path)
	if err != nil {
		return madeMechanism{}, fmt.Errorf("keyTab: %w", err)
	}
	conf := cmp.Or(c.JVMProperty("java.security.krb5.conf"), c.Environment("KRB5_CONFIG"), "/etc/krb5.conf")
	realm, err := kerberos.DefaultRealm(conf)
	if err != nil {
		return madeMechanism{}, err
	}
	principal := options["principal"]
	if !strings.Contains(principal, "@") {
		principal += "@" + realm
	}
	texts, _ := c.ListenerValue(listener, "", "sasl.kerberos.principal.to.local.rules")
	rules, err := kerberos.ParseRules(realm, words(texts))
	if err != nil {
		return madeMechanism{}, err
	}
	m, err := kerberos.New(kerberos.Options{Principal: principal, Keytab: keytab, Rules: rules, Replays: b.kerberosReplays})
	if err != nil {
		return madeMechanism{}, err
	}
	return madeMechanism{
		Mechanism: m,
		check:     func(context.Context) error { return m.SelfTest(conf, keytab) },
		run: func(ctx context.Context) {
			m.WatchKeytab(ctx, path, tlsWatchInterval, b.logger.With("listener", listener))
		},
	}, nil
}
