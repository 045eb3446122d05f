package kerberos

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/internal/authtest"
)

func TestClientLogsInWithKeyTableOrTicketCache(t *testing.T) {
	kdc := authtest.StartKDC(t)
	const service = "kafka/localhost@" + authtest.Realm
	table := kdc.AddService(service)
	rules, err := ParseRules(authtest.Realm, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(Options{Principal: service, Keytab: table, Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	kdc.AddUser("alice", "sesame")
	kdc.Kinit("alice", "sesame")
	robot := filepath.Join(t.TempDir(), "robot.keytab")
	if err := os.WriteFile(robot, kdc.AddService("robot"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, o := range map[string]ClientOptions{
		"alice": {TicketCache: "FILE:" + filepath.Join(kdc.Dir, "cc")},
		"robot": {Keytab: robot, Principal: "robot"},
	} {
		o.Krb5Conf, o.ServiceName = kdc.Conf(), "kafka"
		c, err := NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		s, token, err := c.Begin("localhost")
		if err != nil {
			t.Fatal(err)
		}
		x := m.Start(auth.Peer{})
		for range 5 {
			step, err := x.Step(token)
			if err != nil {
				t.Fatalf("%s: %v", want, err)
			}
			if step.Done != nil {
				if step.Done.Principal != auth.User(want) {
					t.Errorf("%v, want %s", step.Done.Principal, want)
				}
				break
			}
			if _, token, err = s.Step(step.Token); err != nil {
				t.Fatalf("%s: %v", want, err)
			}
		}
		if done, _, err := s.Step(nil); !done || err != nil {
			t.Errorf("%s: %v, %v at the end", want, done, err)
		}
		c.Close()
	}
	if _, err := NewClient(ClientOptions{Krb5Conf: kdc.Conf(), ServiceName: "kafka", Keytab: robot, Principal: "bob"}); err == nil {
		t.Error("a principal without a key is taken")
	}
}

func TestClientTakesNoForgedOffer(t *testing.T) {
	key := randomKey(t, 18)
	good, err := wrap(noSecurityLayer, key, 7)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := (&ClientSession{key: key}).Step(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 1
		if _, _, err := (&ClientSession{key: key}).Step(bad); err == nil && (i < 6 || i > 7) {
			t.Errorf("an offer with byte %d changed is taken", i)
		}
	}
	for n := range good {
		if _, _, err := (&ClientSession{key: key}).Step(good[:n]); err == nil {
			t.Errorf("an offer of %d bytes is taken", n)
		}
	}
}
