package config

import "testing"

func TestBoolIsReadInAnyCase(t *testing.T) {
	key := LookupBroker("allow.everyone.if.no.acl.found")
	for text, want := range map[string]bool{"true": true, "TRUE": true, " True\t": true, "false": false, "FALSE": false} {
		if on, err := key.Bool(text); err != nil || on != want {
			t.Errorf("%q is %v, %v", text, on, err)
		}
	}
	for _, text := range []string{"", "yes", "1", "truely"} {
		if on, err := key.Bool(text); err == nil || on {
			t.Errorf("%q is %v", text, on)
		}
	}
	if _, err := LookupBroker("super.users").Bool("true"); err == nil {
		t.Error("super.users was read as a switch")
	}
}
