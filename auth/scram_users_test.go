package auth_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
)

func TestScramUsersAreReadAsKafkaWritesThem(t *testing.T) {
	users, err := auth.ParseScramUsers("# the first\nSCRAM-SHA-256=[name=alice,password=\"a,b;c\"]; SCRAM-SHA-512=[name=alice,iterations=8192,salt=\"c2FsdA==\",password=x=y]\n\n" +
		"SCRAM-SHA-512=[name=bob,salt=c2FsdA==,saltedpassword=\"YCE=\"]\r\n")
	if err != nil || len(users) != 3 {
		t.Fatal(users, err)
	}
	if u := users[0]; u.Name != "alice" || u.Hash != auth.ScramSHA256 || u.Iterations != 4096 || len(u.Salt) < 20 {
		t.Errorf("%+v", u)
	}
	want := auth.DeriveScram(auth.ScramSHA256, "a,b;c", users[0].Salt, 4096)
	if got := auth.ScramFromSalted(auth.ScramSHA256, users[0].SaltedPassword(), users[0].Salt, 4096); !bytes.Equal(got.StoredKey, want.StoredKey) {
		t.Error("the password is not the one in quotes")
	}
	want = auth.DeriveScram(auth.ScramSHA512, "x=y", []byte("salt"), 8192)
	if got := auth.ScramFromSalted(auth.ScramSHA512, users[1].SaltedPassword(), users[1].Salt, users[1].Iterations); !bytes.Equal(got.StoredKey, want.StoredKey) {
		t.Error("the second password is another")
	}
	if u := users[2]; string(u.SaltedPassword()) != "`!" || string(u.Salt) != "salt" {
		t.Errorf("%+v", u)
	}
	if text := fmt.Sprintf("%v %+v %#v", users[2], users[2], users[2]); strings.Contains(text, "`!") || strings.Contains(text, "96, 33") {
		t.Errorf("a secret shows: %s", text)
	}
}

func TestScramUsersThatAreNotGoodAreRefusedWithoutShowingSecrets(t *testing.T) {
	for _, text := range []string{
		"hush", "SCRAM-SHA-1=[name=a,password=hush]", "SCRAM-SHA-256=name=a,password=hush", "SCRAM-SHA-256=[password=hush]",
		"SCRAM-SHA-256=[name=a]", "SCRAM-SHA-256=[name=a,password=]", "SCRAM-SHA-256=[name=a,password=hush,saltedpassword=aHVzaA==]",
		"SCRAM-SHA-256=[name=a,saltedpassword=aHVzaA==]", "SCRAM-SHA-256=[name=a,salt=hush!,password=hush]",
		"SCRAM-SHA-256=[name=a,salt=c2FsdA==,saltedpassword=hush!]", "SCRAM-SHA-256=[name=a,iterations=4095,password=hush]",
		"SCRAM-SHA-256=[name=a,iterations=16385,password=hush]", "SCRAM-SHA-256=[name=a,passwort=hush]", "SCRAM-SHA-256=[name=a,hush]",
		"SCRAM-SHA-256=[name=a,password=hush,password=hush]", "SCRAM-SHA-256=[name=a,password=hush]\nSCRAM-SHA-256=[name=a,password=hush]",
	} {
		if _, err := auth.ParseScramUsers(text); err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVz") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseScramUsers(f *testing.F) {
	f.Add("SCRAM-SHA-256=[name=alice,password=\"a,b;c\"];SCRAM-SHA-512=[name=bob,salt=c2FsdA==,saltedpassword=YCE=]")
	f.Add("SCRAM-SHA-256=[")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := auth.ParseScramUsers(text)
		for _, u := range users {
			if err != nil || u.Name == "" || len(u.Salt) == 0 || u.Iterations < 4096 || len(u.SaltedPassword()) == 0 {
				t.Fatalf("%+v, %v", u, err)
			}
		}
	})
}
