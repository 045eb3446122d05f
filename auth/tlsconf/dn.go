package tlsconf

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"
)

// dnKeywords are the attribute types that have names in RFC 2253; all others are written
// as numbers.
var dnKeywords = map[string]string{
	"2.5.4.3": "CN", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// FormatDN writes a DER-encoded name as Java's X500Principal.getName does: RFC 2253, the
// most specific part first. ACLs hold such names, so they must be the same to the letter.
func FormatDN(raw []byte) (string, error) {
	var rdns []asn1.RawValue
	if err := unmarshal(raw, &rdns); err != nil {
		return "", fmt.Errorf("name: %w", err)
	}
	parts := make([]string, 0, len(rdns))
	for i := len(rdns) - 1; i >= 0; i-- {
		part, err := formatRDN(rdns[i])
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ","), nil
}

// formatRDN writes one part of a name; several attributes in it are joined by plus signs,
// in the order of the encoding.
func formatRDN(rdn asn1.RawValue) (string, error) {
	if rdn.Class != asn1.ClassUniversal || rdn.Tag != asn1.TagSet {
		return "", fmt.Errorf("name: a part is not a set")
	}
	var out []string
	for rest := rdn.Bytes; len(rest) > 0; {
		var a struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}
		var err error
		if rest, err = asn1.Unmarshal(rest, &a); err != nil {
			return "", fmt.Errorf("name: %w", err)
		}
		oid := a.Type.String()
		keyword := dnKeywords[oid]
		text, isText := dnText(a.Value)
		if keyword == "" {
			keyword = oid
		}
		if keyword == oid || !isText {
			out = append(out, keyword+"=#"+hex.EncodeToString(a.Value.FullBytes))
			continue
		}
		out = append(out, keyword+"="+escapeDN(text))
	}
	return strings.Join(out, "+"), nil
}

// dnText decodes the string types.
func dnText(v asn1.RawValue) (string, bool) {
	const t61, general, universal = 20, 27, 28
	if v.Class != asn1.ClassUniversal || v.IsCompound {
		return "", false
	}
	switch v.Tag {
	case asn1.TagPrintableString, asn1.TagUTF8String, asn1.TagIA5String, t61, general, asn1.TagBMPString, universal:
		return decodeUTF8(v.Bytes), true
	}
	return "", false
}

// decodeUTF8 puts as many replacement characters where b is no UTF-8 as Java does: one for
// each byte that begins no character, and one for the beginning of a character whose rest
// is wrong.
func decodeUTF8(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		c, size := utf8.DecodeRune(b)
		s.WriteRune(c)
		if c == utf8.RuneError && size == 1 {
			size = malformedUTF8(b)
		}
		b = b[size:]
	}
	return s.String()
}

// malformedUTF8 is how many bytes at the beginning of b, which begins with no character, one
// replacement character stands for.
func malformedUTF8(b []byte) int {
	follows := func(i int) bool { return len(b) > i && b[i]&0xc0 == 0x80 }
	switch {
	case !follows(1):
		return 1
	case b[0]&0xf0 == 0xe0: // of three bytes
		switch {
		case b[0] == 0xe0 && b[1] < 0xa0:
			return 1
		case follows(2):
			return 3 // half a surrogate pair
		}
		return 2
	case b[0] > 0xf0 && b[0] < 0xf4, b[0] == 0xf0 && b[1] >= 0x90, b[0] == 0xf4 && b[1] < 0x90: // of four
		if follows(2) {
			return 3
		}
		return 2
	}
	return 1
}

// escapeDN puts a backslash before special characters and before blanks at either end.
func escapeDN(s string) string {
	var b strings.Builder
	lead := len(s) - len(strings.TrimLeft(s, " \r"))
	trail := len(strings.TrimRight(s, " \r"))
	for i, c := range s {
		switch {
		case c == 0:
			b.WriteString(`\00`)
			continue
		case strings.ContainsRune(`,=+<>#;"\`, c), i < lead, i >= trail:
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}
