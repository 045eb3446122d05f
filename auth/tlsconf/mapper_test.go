package tlsconf

import (
	"crypto/tls"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

const testDN = "CN=Kafka-1,OU=Dev,O=Acme\\, Inc,C=DE"

// mapperCases are rules with names and what they become; "!" is a refusal.
var mapperCases = []struct{ rules, dn, want string }{
	{"DEFAULT", testDN, testDN},
	{"", testDN, testDN},
	{"RULE:^CN=([^,]*).*$/$1/", testDN, "Kafka-1"},
	{"RULE:^CN=([^,]*).*$/$1/L", testDN, "kafka-1"},
	{"RULE:^CN=([^,]*).*$/$1/U", testDN, "KAFKA-1"},
	{"RULE:^CN=(.*?),OU=(.*?),O=(.*?),C=(.*?)$/$1@$2/L", testDN, "kafka-1@dev"},
	{"RULE:^CN=x$/x/,RULE:^CN=(.*?),OU=(.*)$/$1/,DEFAULT", testDN, "Kafka-1"},
	{"RULE:^CN=x$/x/ , DEFAULT", testDN, testDN},
	{"RULE:^CN=x$/x/", testDN, "!"},
	{"RULE:.*/x/", testDN, "xx"},
	{"RULE:.+/x/", testDN, "x"},
	{"RULE:^.*$/x/", testDN, "x"},
	{"RULE:^.*/x/", testDN, "x"},
	{"RULE:(.*)/[$1]/", "CN=a", "[CN=a][]"},
	{"RULE:CN=([^,]*),.*/$1x/", testDN, "Kafka-1x"},
	{"RULE:CN=([^,]*),.*/$12/", testDN, "Kafka-12"},
	{"RULE:CN=([^,]*),.*/$1$2/", testDN, "Kafka-1$2"},
	{"RULE:CN=([^,]*),.*/$2/", testDN, "$2"},
	{"RULE:CN=([^,]*),.*/$2$3/", testDN, "!"},
	{"RULE:CN=([^,]*),.*/$23/", testDN, "$23"},
	{"RULE:CN=([^,]*),.*/\\$1/", testDN, "$1"},
	{"RULE:CN=([^,]*),.*/a\\/b/", testDN, "a/b"},
	{"RULE:CN=(?<n>[^,]*),.*/${n}!/", testDN, "Kafka-1!"},
	{"RULE:CN=([^,]*),OU=([^,]*),.*/$2-$1/", testDN, "Dev-Kafka-1"},
	{"RULE:CN=a\\/b/slash/", "CN=a/b", "slash"},
	{"RULE:[A-Z]*=.*|x*/-/", testDN, "--"},
	{"RULE:(?i)cn=([^,]*),.*/$1/", testDN, "Kafka-1"},
	{"RULE:(?i)cn=(.*)/$1/", "CN=Ärger", "Ärger"},
	{"RULE:(?i)cn=ä(.*)/$1/,DEFAULT", "CN=Ärger", "CN=Ärger"},
	{"RULE:(?i)cn=ä(.*)/$1/,DEFAULT", "CN=ärger", "rger"},
	{",,DEFAULT,,", testDN, testDN},
	{"RULE:CN=([^,]*),.*/$0/", "CN=a,b", "CN=a,b"},
	{"RULE:(.)*/$1/", "abc", "c"},
	{"RULE:^CN=(.*?), ?OU=.*$/$1/,RULE:.*/none/", "CN=a, OU=b", "a"},
	{"RULE:^CN=(.*)$/$1/L", "CN=ADMİN ΣΑΣ", "admi̇n σας"},
	{"RULE:^CN=(.*)$/$1/U", "CN=groß", "GROSS"},
}

func TestMapper(t *testing.T) {
	for _, tt := range mapperCases {
		got := "!"
		if m, err := ParseMapper(tt.rules); err == nil {
			if name, err := m.Map(tt.dn); err == nil {
				got = name
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q became %q, not %q", tt.rules, tt.dn, got, tt.want)
		}
	}
}

// With BARNABAS_KAFKA_LIBS, the folder of Apache Kafka's jars, Kafka's own mapper gets the
// same cases.
func TestMapperIsKafkas(t *testing.T) {
	libs := os.Getenv("BARNABAS_KAFKA_LIBS")
	if libs == "" {
		t.Skip("BARNABAS_KAFKA_LIBS does not name a folder with Apache Kafka's jars")
	}
	args := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-cp", libs + "/*", "testdata/Mapper.java"}
	for _, tt := range mapperCases {
		args = append(args, tt.rules, tt.dn)
	}
	out, err := exec.Command("java", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, tt := range mapperCases {
		if lines[i] != tt.want && tt.rules != "" { // no rules at all are the default, which is not Mapper's to know
			t.Errorf("%s: Kafka makes %q of %q, not %q", tt.rules, lines[i], tt.dn, tt.want)
		}
	}
}

// Names that Java's patterns and ours read differently are nobody's.
func TestOddNamesAreRefused(t *testing.T) {
	for _, tt := range []struct {
		rules, dn string
		ok        bool
	}{
		{"RULE:CN=admin.*/admin/,DEFAULT", "CN=admin\r,OU=x", false},
		{"RULE:CN=admin.*/admin/,DEFAULT", "CN=admin\u2028", false},
		{"RULE:(?i)CN=kafka/kafka/,DEFAULT", "CN=\u212aafka", false},
		{"RULE:CN=kafka/kafka/,DEFAULT", "CN=\u212aafka", true},
		{"DEFAULT", "CN=admin\n", true},
	} {
		m, err := ParseMapper(tt.rules)
		if err != nil {
			t.Fatal(err)
		}
		if name, err := m.Map(tt.dn); (err == nil) != tt.ok || err == nil && name != tt.dn {
			t.Errorf("%s makes %q of %q, %v", tt.rules, name, tt.dn, err)
		}
	}
}

func TestBadMappingRulesAreRefused(t *testing.T) {
	for _, text := range []string{
		"default", "RULE", "RULE:", "RULE:a", "RULE:a/b", "RULE:a/b/c", "RULE:(/x/", "RULE:a/$1/", "RULE:a/\\", "RULE:a/$/",
		"RULE:(?=a)/x/", "RULE:(a)\\1/x/", "RULE:a++/x/", "RULE:[a&&[b]]/x/", "RULE:(a)/$x/", "RULE:(a)/${x}/", "DEFAULT,x",
		"RULE:(?i)[ä]/x/", "RULE:\\101/x/",
		"RULE:(a)/$99999999999/",
	} {
		if _, err := ParseMapper(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestPrincipalNeedsAVerifiedCertificate(t *testing.T) {
	m, err := ParseMapper("")
	if err != nil {
		t.Fatal(err)
	}
	if p, err := m.Principal(tls.ConnectionState{}); err != nil || p != auth.Anonymous {
		t.Fatalf("%v, %v", p, err)
	}
	ca, err := NewDevCA("ca", nil)
	if err != nil {
		t.Fatal(err)
	}
	state := tls.ConnectionState{PeerCertificates: parseChain(t, ca.Certificate())}
	if p, err := m.Principal(state); err == nil {
		t.Fatalf("an unverified certificate is %v", p)
	}
	state.VerifiedChains = append(state.VerifiedChains, state.PeerCertificates)
	if p, err := m.Principal(state); err != nil || p != auth.User("CN=ca") {
		t.Fatalf("%v, %v", p, err)
	}
	if m, err = ParseMapper("RULE:CN=other/x/"); err != nil {
		t.Fatal(err)
	}
	if p, err := m.Principal(state); !errors.Is(err, ErrNoMapping) {
		t.Fatalf("%v, %v", p, err)
	}
}

func FuzzMapper(f *testing.F) {
	for _, tt := range mapperCases {
		f.Add(tt.rules, tt.dn)
	}
	f.Fuzz(func(t *testing.T, rules, dn string) {
		defer fuzzcost.Bound(t, len(rules)+len(dn), 64)()
		if m, err := ParseMapper(rules); err == nil {
			m.Map(dn)
		}
	})
}
