package broker

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
	"github.com/barnabas-broker/barnabas/broker/config"
)

const kerberosLoginModule = "com.sun.security.auth.module.Krb5LoginModule"

// kerberos makes GSSAPI. The service logs in at its KDC before the listener opens, so that
// a wrong key table shows at start.
func (b *Broker) kerberos(listener string, file config.JAASFile) (auth.Mechanism, error) {
	options, err := b.login(listener, auth.MechanismGSSAPI, kerberosLoginModule, file)
	if err != nil {
		return nil, err
	}
	path := strings.TrimPrefix(options["keyTab"], "file:")
	if path == "" || options["principal"] == "" {
		return nil, errors.New("the Krb5LoginModule of mechanism GSSAPI needs keyTab and principal")
	}
	keytab, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyTab: %w", err)
	}
	conf := cmp.Or(b.config().JVMProperty("java.security.krb5.conf"), "/etc/krb5.conf")
	realm, err := kerberos.DefaultRealm(conf)
	if err != nil {
		return nil, err
	}
	principal := options["principal"]
	if !strings.Contains(principal, "@") {
		principal += "@" + realm
	}
	texts, _ := b.config().ListenerValue(listener, "", "sasl.kerberos.principal.to.local.rules")
	rules, err := kerberos.ParseRules(realm, words(texts))
	if err != nil {
		return nil, err
	}
	m, err := kerberos.New(kerberos.Options{Principal: principal, Keytab: keytab, Rules: rules, Replays: b.kerberosReplays})
	if err != nil {
		return nil, err
	}
	if err := m.SelfTest(conf, keytab); err != nil {
		return nil, err
	}
	return m, nil
}
