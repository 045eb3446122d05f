package broker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/barnabas-broker/barnabas/auth/tlsconf"
	"github.com/barnabas-broker/barnabas/broker/config"
)

// ListenerCheck is what a listener's security settings come to when they are put into use,
// as the start of a broker does.
type ListenerCheck struct {
	TLS    *tlsconf.Server // nil without TLS
	TLSErr error

	// StrangersErr is of the settings about clients that prove nothing.
	StrangersErr error

	Mechanisms []MechanismCheck // of SASL, as sasl.enabled.mechanisms has them
	SASLErr    error            // of what concerns all mechanisms
}

// MechanismCheck is one SASL mechanism of a listener.
type MechanismCheck struct {
	Name    string
	Err     error
	Skipped bool // it is good as far as can be told without asking other machines
}

// CheckListener reads the stores, key tables and users that a listener's settings name, and
// unless offline logs in to the KDC and fetches the issuer's keys. Nothing is opened.
func CheckListener(ctx context.Context, c *config.Config, l config.Listener, offline bool) (check ListenerCheck) {
	b := &Broker{ctx: ctx, logger: slog.New(slog.DiscardHandler), tokens: newDelegationTokens(c)}
	b.live.Store(c)
	check.StrangersErr = b.readStrangers(&listenerSecurity{}, l)
	if l.Protocol.TLS() {
		check.TLS, check.TLSErr = tlsconf.NewServer(b.tlsOptions(c, l))
		if check.TLSErr == nil && !l.Protocol.SASL() {
			rules, _ := c.ListenerValue(l.Name, "", "ssl.principal.mapping.rules")
			_, check.TLSErr = tlsconf.ParseMapper(rules)
		}
	}
	if !l.Protocol.SASL() {
		return check
	}
	file, err := readJAASFile(c)
	if err != nil {
		check.SASLErr = err
		return check
	}
	enabled, _ := c.ListenerValue(l.Name, "", "sasl.enabled.mechanisms")
	for _, name := range words(enabled) {
		m := MechanismCheck{Name: name}
		var made madeMechanism
		if made, m.Err = b.mechanism(c, l.Name, name, file); m.Err == nil && made.check != nil {
			if m.Skipped = offline; !offline {
				m.Err = made.check(ctx)
			}
		}
		check.Mechanisms = append(check.Mechanisms, m)
	}
	if len(check.Mechanisms) == 0 {
		check.SASLErr = fmt.Errorf("sasl.enabled.mechanisms is empty")
	}
	return check
}
