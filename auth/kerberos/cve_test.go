package kerberos

import "testing"

// The principal is the ticket's, whatever the client asks to be.
func TestCVE_2017_12610_NobodyActsForAnother(t *testing.T) {
	kt := testKeytab(t, 18)
	m := testMechanism(t, kt, nil)
	for _, authzid := range []string{"bob", "Alice", "alice@EXAMPLE.ORG", "bob@EXAMPLE.COM", "alice ", "alice\x00", "kafka", "kafka/broker.example.com@EXAMPLE.COM", "*"} {
		if id, err := newInitiator(t, kt, 18).run(t, m, authzid); err == nil {
			t.Errorf("as %q: let in as %v", authzid, id.Principal)
		}
	}
	for _, authzid := range []string{"", "alice", "alice@EXAMPLE.COM", "kafka@broker.example.com"} {
		id, err := newInitiator(t, kt, 18).run(t, m, authzid)
		if err != nil || id.Principal.Name != "alice" {
			t.Errorf("as %q: %+v, %v", authzid, id, err)
		}
	}
}
