package tlsconf

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// protocols are the names of ssl.enabled.protocols, from old to new.
var protocols = []struct {
	name    string
	version uint16
}{
	{"TLSv1", tls.VersionTLS10}, {"TLSv1.1", tls.VersionTLS11}, {"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13},
}

// versionsOf turns ssl.enabled.protocols, bounded above by ssl.protocol, into Go's range.
func versionsOf(enabled []string, protocol string) (lowest, highest uint16, err error) {
	if len(enabled) == 0 {
		enabled = []string{"TLSv1.2", "TLSv1.3"}
	}
	on := make(map[string]bool)
	for _, name := range enabled {
		if !slices.ContainsFunc(protocols, func(p struct {
			name    string
			version uint16
		}) bool {
			return p.name == name
		}) {
			return 0, 0, fmt.Errorf("ssl.enabled.protocols: %q is none of TLSv1.2, TLSv1.3, and on request TLSv1, TLSv1.1", name)
		}
		on[name] = true
	}
	bounded := protocol == "" || protocol == "TLS"
	gap := ""
	for _, p := range protocols {
		if on[p.name] && gap != "" {
			return 0, 0, fmt.Errorf("ssl.enabled.protocols: %s may not be left out between others", gap)
		}
		if on[p.name] {
			if lowest == 0 {
				lowest = p.version
			}
			highest = p.version
		} else if lowest != 0 {
			gap = p.name
		}
		if p.name == protocol {
			bounded = true
			break
		}
	}
	switch {
	case !bounded:
		return 0, 0, fmt.Errorf("ssl.protocol: %q is not known", protocol)
	case lowest == 0:
		return 0, 0, fmt.Errorf("ssl.protocol=%s leaves nothing of ssl.enabled.protocols", protocol)
	}
	return lowest, highest, nil
}

// brokenSuites are in Go's list of insecure ones and not to be had at all, as in Java,
// which disables them.
func brokenSuite(s *tls.CipherSuite) bool {
	return strings.Contains(s.Name, "_RC4_") || strings.Contains(s.Name, "_3DES_")
}

// suitesOf turns ssl.cipher.suites into Go's ids of TLS 1.2 and below, and narrows the
// range of versions where the list has suites of one side only: Go always offers all of
// TLS 1.3.
func suitesOf(names []string, lowest, highest uint16) (ids []uint16, newLowest, newHighest uint16, warnings []string, err error) {
	if len(names) == 0 {
		return nil, lowest, highest, nil, nil
	}
	old, modern := 0, 0
	for _, name := range names {
		s, insecure := findSuite(name)
		if s == nil {
			return nil, 0, 0, nil, fmt.Errorf("ssl.cipher.suites: %q is not known; there are %s", name, strings.Join(suiteNames(), ", "))
		}
		if insecure {
			warnings = append(warnings, fmt.Sprintf("cipher suite %s is weak", s.Name))
		}
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			old++
			ids = append(ids, s.ID)
		} else {
			modern++
		}
	}
	switch {
	case modern == 0:
		highest = min(highest, tls.VersionTLS12)
	case old == 0:
		lowest = max(lowest, tls.VersionTLS13)
	case modern < len(tls13Suites()):
		warnings = append(warnings, "all cipher suites of TLS 1.3 are on: they cannot be chosen from")
	}
	if lowest > highest {
		return nil, 0, 0, nil, fmt.Errorf("ssl.cipher.suites has no suite for the protocols that are enabled")
	}
	return ids, lowest, highest, warnings, nil
}

func findSuite(name string) (s *tls.CipherSuite, insecure bool) {
	if rest, ok := strings.CutPrefix(name, "SSL_"); ok {
		name = "TLS_" + rest // as old JDKs spell them
	}
	for _, s := range tls.CipherSuites() {
		if s.Name == name {
			return s, false
		}
	}
	for _, s := range tls.InsecureCipherSuites() {
		if s.Name == name && !brokenSuite(s) {
			return s, true
		}
	}
	return nil, false
}

func tls13Suites() []*tls.CipherSuite {
	return slices.DeleteFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool {
		return slices.Contains(s.SupportedVersions, tls.VersionTLS12)
	})
}

func suiteNames() []string {
	var out []string
	for _, s := range tls.CipherSuites() {
		out = append(out, s.Name)
	}
	return out
}
