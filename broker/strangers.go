package broker

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/config"
)

// addressMap is barnabas.address.principals, the longest prefixes first.
type addressMap []addressPrincipal

type addressPrincipal struct {
	prefix    netip.Prefix
	principal auth.Principal
}

// parseAddressMap reads 10.1.0.0/16=User:batch;10.2.0.1=User:cron.
func parseAddressMap(text string) (addressMap, error) {
	var m addressMap
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		address, name, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("expected address/bits=Type:name but got %s", part)
		}
		prefix, err := parsePrefix(strings.TrimSpace(address))
		if err != nil {
			return nil, err
		}
		p, err := readPrincipal(name)
		if err != nil {
			return nil, err
		}
		for _, have := range m {
			if have.prefix == prefix {
				return nil, fmt.Errorf("%s is there twice", prefix)
			}
		}
		m = append(m, addressPrincipal{prefix, p})
	}
	slices.SortStableFunc(m, func(x, y addressPrincipal) int { return cmp.Compare(y.prefix.Bits(), x.prefix.Bits()) })
	return m, nil
}

// parsePrefix reads a network, or one address. Bits below the prefix must be 0: somebody
// who writes 10.1.2.3/8 may mean less than all of 10.
func parsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, fmt.Errorf("%s is not a network, as 10.1.0.0/16, nor an address", text)
	case prefix != prefix.Masked():
		return prefix, fmt.Errorf("%s is not the beginning of a network; %s is", text, prefix.Masked())
	case prefix.Addr().Is4In6():
		return prefix, fmt.Errorf("%s: write the network as an IPv4 one", text)
	}
	return prefix, nil
}

func readPrincipal(text string) (auth.Principal, error) {
	kind, name, ok := strings.Cut(strings.TrimSpace(text), ":")
	if !ok || kind == "" || name == "" {
		return auth.Principal{}, fmt.Errorf("expected a principal Type:name but got %q", text)
	}
	return auth.Principal{Type: kind, Name: name}, nil
}

// find returns the principal of an address, which has no zone.
func (m addressMap) find(ip netip.Addr) (auth.Principal, bool) {
	for i := range m {
		if m[i].prefix.Contains(ip) {
			return m[i].principal, true
		}
	}
	return auth.Principal{}, false
}

// readStrangers reads who clients of a listener are that prove nothing, and whether there
// may be such.
func (b *Broker) readStrangers(s *listenerSecurity, l config.Listener) (err error) {
	name, _ := b.config().ListenerValue(l.Name, "", "barnabas.anonymous.principal")
	if s.anonymous, err = readPrincipal(name); err != nil {
		return fmt.Errorf("barnabas.anonymous.principal: %w", err)
	}
	addresses, _ := b.config().ListenerValue(l.Name, "", "barnabas.address.principals")
	if s.addresses, err = parseAddressMap(addresses); err != nil {
		return fmt.Errorf("barnabas.address.principals: %w", err)
	}
	s.tlsOptional = l.Protocol.TLS() && b.config().ListenerSwitch(l.Name, "barnabas.tls.optional.enable")
	if s.tlsOptional && b.wantsCertificates(l) {
		return errors.New("barnabas.tls.optional.enable would let clients in without the certificate that ssl.client.auth=required asks for")
	}
	return nil
}

// wantsCertificates says whether clients of a listener must have one, as the settings are
// now.
func (b *Broker) wantsCertificates(l config.Listener) bool {
	return b.tlsOptions(b.config(), l).ClientAuth == "required"
}

// principalChanges are the rules of barnabas.su.enable.
func principalChanges(superUsers string) (func(from, to *auth.Identity) error, error) {
	users, err := acl.ParseSuperUsers(superUsers)
	if err != nil {
		return nil, fmt.Errorf("super.users: %w", err)
	}
	return func(from, to *auth.Identity) error {
		switch {
		case from.Principal == to.Principal:
			return nil
		case from.TokenAuthenticated() || to.TokenAuthenticated():
			return errors.New("a delegation token is no way to become somebody else")
		case slices.Contains(users, to.Principal) && !slices.Contains(users, from.Principal):
			return errors.New("only a super user may become one")
		}
		return nil
	}, nil
}
