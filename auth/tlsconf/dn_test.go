package tlsconf

import (
	"encoding/asn1"
	"encoding/hex"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// attribute makes the encoding of one attribute of a name.
func attribute(t testing.TB, oid asn1.ObjectIdentifier, tag int, value string) []byte {
	t.Helper()
	b, err := asn1.Marshal(struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}{oid, asn1.RawValue{Tag: tag, Bytes: []byte(value)}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func set(t testing.TB, attributes ...[]byte) []byte {
	t.Helper()
	b, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: slices.Concat(attributes...)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sequence(t testing.TB, sets ...[]byte) []byte {
	t.Helper()
	b, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(sets...)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	oidCN    = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidO     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU    = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidC     = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidUID   = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidDC    = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidSN    = asn1.ObjectIdentifier{2, 5, 4, 5}
	oidPost  = asn1.ObjectIdentifier{2, 5, 4, 17}
)

type dnCase struct {
	name string
	der  []byte
	want string
}

func dnCases(t testing.TB) []dnCase {
	const utf8, printable, ia5, bmp = asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagBMPString
	one := func(oid asn1.ObjectIdentifier, tag int, value string) []byte {
		return sequence(t, set(t, attribute(t, oid, tag, value)))
	}
	return []dnCase{
		{"the order is turned", sequence(t, set(t, attribute(t, oidC, printable, "DE")), set(t, attribute(t, oidO, utf8, "Acme")), set(t, attribute(t, oidCN, utf8, "broker"))), `CN=broker,O=Acme,C=DE`},
		{"nothing", sequence(t), ``},
		{"several attributes in one part", sequence(t, set(t, attribute(t, oidOU, utf8, "R&D"), attribute(t, oidO, utf8, "Acme, Inc")), set(t, attribute(t, oidCN, utf8, "x"))), `CN=x,OU=R&D+O=Acme\, Inc`},
		{"special characters", one(oidCN, utf8, `a,b=c+d<e>f#g;h"i\j`), `CN=a\,b\=c\+d\<e\>f\#g\;h\"i\\j`},
		{"a leading hash", one(oidCN, utf8, "#1"), `CN=\#1`},
		{"blanks at the ends", one(oidCN, utf8, "  a b  "), `CN=\ \ a b\ \ `},
		{"only blanks", one(oidCN, utf8, "  "), `CN=\ \ `},
		{"a NUL", one(oidCN, utf8, "a\x00b"), `CN=a\00b`},
		{"a carriage return at the end", one(oidCN, utf8, "a\r"), "CN=a\\\r"},
		{"beyond ASCII", one(oidCN, utf8, "jürgen 東"), `CN=jürgen 東`},
		{"an address of e-mail", one(oidEmail, ia5, "a@b.c"), `1.2.840.113549.1.9.1=#16056140622e63`},
		{"a serial number", one(oidSN, printable, "42"), `2.5.4.5=#13023432`},
		{"a postal code", one(oidPost, utf8, "1"), `2.5.4.17=#0c0131`},
		{"a user id", one(oidUID, utf8, "u1"), `UID=u1`},
		{"domain components", sequence(t, set(t, attribute(t, oidDC, ia5, "com")), set(t, attribute(t, oidDC, ia5, "example")), set(t, attribute(t, oidCN, utf8, "x"))), `CN=x,DC=example,DC=com`},
		{"16 bits a character", one(oidCN, bmp, "\x00a\x00b"), `CN=\00a\00b`},
		{"two bytes that are no UTF-8", one(oidCN, asn1.TagT61String, "a\xfc\xfcb"), "CN=a\ufffd\ufffdb"},
		{"a character cut short", one(oidCN, utf8, "a\xe2\x82b"), "CN=a\ufffdb"},
		{"half a pair", one(oidCN, utf8, "a\xed\xa0\x80b"), "CN=a\ufffdb"},
		{"too long a form", one(oidCN, utf8, "a\xc0\xafb"), "CN=a\ufffd\ufffdb"},
		{"cut short at the end", one(oidCN, utf8, "a\xf0\x9f\x98"), "CN=a\ufffd"},
		{"beginnings of all kinds", one(oidCN, utf8, "\xf0\x9f\x98.\xf0\x9f.\xf0\x80\x80\x80.\xf4\x90\x80\x80.\xe0\x80\x80.\xf8\x88.\xe2.\xc3"),
			"CN=\ufffd.\ufffd.\ufffd\ufffd\ufffd\ufffd.\ufffd\ufffd\ufffd\ufffd.\ufffd\ufffd\ufffd.\ufffd\ufffd.\ufffd.\ufffd"},
		{"no text", one(oidCN, asn1.TagOctetString, "\x01\x02"), `CN=#04020102`},
		{"an empty value", one(oidCN, utf8, ""), `CN=`},
		{"a slash, a colon", one(oidCN, utf8, "a/b:c@d"), `CN=a/b:c@d`},
	}
}

func TestFormatDN(t *testing.T) {
	for _, tt := range dnCases(t) {
		got, err := FormatDN(tt.der)
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
}

// Where there is a JDK, it is asked for the same names.
func TestFormatDNIsJavas(t *testing.T) {
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("java is not installed")
	}
	args := []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8", "testdata/Names.java"}
	cases := dnCases(t)
	for _, tt := range cases {
		args = append(args, hex.EncodeToString(tt.der))
	}
	cmd := exec.Command("java", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i, tt := range cases {
		java := strings.NewReplacer("<LF>", "\n", "<CR>", "\r").Replace(lines[i])
		if got, err := FormatDN(tt.der); err != nil || got != java {
			t.Errorf("%s: %q, %v; Java says %q", tt.name, got, err, java)
		}
	}
}

func FuzzFormatDN(f *testing.F) {
	for _, tt := range dnCases(f) {
		f.Add(tt.der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		defer fuzzcost.Bound(t, len(der), 64)()
		if s, err := FormatDN(der); err == nil && strings.ContainsRune(s, 0) {
			t.Fatalf("%q", s)
		}
	})
}
