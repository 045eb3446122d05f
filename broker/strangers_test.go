package broker

import (
	"net/netip"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestTheLongestPrefixSaysWhoAnAddressIs(t *testing.T) {
	m, err := parseAddressMap("10.0.0.0/8=User:all; 10.1.0.0/16=User:some;10.1.2.3=Service:one;fd00::/8=User:six;")
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]string{
		"10.9.9.9": "User:all", "10.1.9.9": "User:some", "10.1.2.3": "Service:one", "fd12::1": "User:six", "11.0.0.1": "", "::1": "",
	} {
		p, ok := m.find(netip.MustParseAddr(ip))
		if ok != (want != "") || ok && p.String() != want {
			t.Errorf("%s: %v %v, want %q", ip, p, ok, want)
		}
	}
	for _, text := range []string{"10.0.0.0/8", "10.1.0.0/8=User:a", "10.0.0.0/33=User:a", "host=User:a", "10.0.0.0/8=alice", "10.0.0.0/8=:a",
		"10.0.0.1=User:a;10.0.0.1/32=User:b", "::ffff:10.0.0.0/104=User:a", "fe80::1%eth0=User:a"} {
		if m, err := parseAddressMap(text); err == nil {
			t.Errorf("%s: %v", text, m)
		}
	}
}

func TestWhoMayBecomeWhom(t *testing.T) {
	may, err := principalChanges("User:root;User:admin")
	if err != nil {
		t.Fatal(err)
	}
	by := func(name, token string) *auth.Identity {
		return &auth.Identity{Principal: auth.User(name), TokenID: token}
	}
	for _, tt := range []struct {
		from, to *auth.Identity
		ok       bool
	}{
		{by("alice", ""), by("bob", ""), true},
		{by("alice", ""), by("root", ""), false},
		{by("admin", ""), by("root", ""), true},
		{by("root", ""), by("alice", ""), true},
		{by("alice", "t"), by("bob", ""), false},
		{by("alice", ""), by("bob", "t"), false},
		{by("alice", "t"), by("alice", "t"), true},
		{by("root", "t"), by("admin", ""), false},
	} {
		if err := may(tt.from, tt.to); (err == nil) != tt.ok {
			t.Errorf("%+v to %+v: %v", tt.from, tt.to, err)
		}
	}
}
