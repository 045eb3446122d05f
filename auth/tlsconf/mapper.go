package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/internal/javaregexp"
)

// Mapper makes users' names of certificates' subjects: ssl.principal.mapping.rules. Of its
// rules the first whose pattern matches the whole name is applied.
type Mapper struct{ rules []mappingRule }

// mappingRule is DEFAULT, which leaves the name as it is, or RULE:pattern/replacement/[LU].
type mappingRule struct {
	pattern      *javaregexp.Regexp // nil: DEFAULT
	replacement  javaregexp.Replacement
	lower, upper bool
}

// Kafka's grammar of the rules. Commas part them, and may stand in them too.
const mappingRuleText = `(DEFAULT)|RULE:((?:\\.|[^\\/])*)/((?:\\.|[^\\/])*)/([LU]?).*?|(.*?)`

var (
	mappingRuleSplitter = regexp.MustCompile(`\s*(` + mappingRuleText + `)\s*(?:,\s*|$)`)
	mappingRuleParser   = regexp.MustCompile(`\A(?:` + mappingRuleText + `)`)
)

// ParseMapper reads the rules; no text at all is DEFAULT.
func ParseMapper(text string) (*Mapper, error) {
	if strings.TrimSpace(text) == "" {
		text = "DEFAULT"
	}
	out := &Mapper{}
	for _, split := range mappingRuleSplitter.FindAllStringSubmatch(strings.TrimSpace(text), -1) {
		rule := split[1]
		m := mappingRuleParser.FindStringSubmatchIndex(rule)
		if m == nil || m[1] != len(rule) {
			return nil, fmt.Errorf("rule %q of ssl.principal.mapping.rules is neither DEFAULT nor RULE:pattern/replacement/[LU]", rule)
		}
		switch {
		case m[2] >= 0:
			out.rules = append(out.rules, mappingRule{})
		case m[4] >= 0:
			r, err := parseMappingRule(rule[m[4]:m[5]], rule[m[6]:m[7]], rule[m[8]:m[9]])
			if err != nil {
				return nil, fmt.Errorf("rule %q of ssl.principal.mapping.rules: %w", rule, err)
			}
			out.rules = append(out.rules, r)
		}
	}
	return out, nil
}

func parseMappingRule(pattern, replacement, letters string) (mappingRule, error) {
	r := mappingRule{lower: letters == "L", upper: letters == "U"}
	var err error
	if r.pattern, err = javaregexp.Compile(pattern); err != nil {
		return mappingRule{}, err
	}
	if replacement, err = literalReferences(replacement, r.pattern.Groups()); err != nil {
		return mappingRule{}, err
	}
	r.replacement, err = r.pattern.Replacement(replacement)
	return r, err
}

var groupReference = regexp.MustCompile(`\$(\d+)`)

// literalReferences puts a backslash before each $n for which there is no group, digits
// being taken off from the right first, as Kafka does: where there are two such, it reckons
// the place of the second without the backslash before the first. Without any group it
// leaves all as it is.
func literalReferences(replacement string, groups int) (string, error) {
	if groups == 0 {
		return replacement, nil
	}
	value := replacement
	for _, m := range groupReference.FindAllStringSubmatchIndex(replacement, -1) {
		digits := replacement[m[2]:m[3]]
		if digits[0] == '0' {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil {
			return "", fmt.Errorf("$%s is too large", digits)
		}
		for n > int64(groups) && n >= 10 {
			n /= 10
		}
		if n > int64(groups) {
			value = value[:m[0]] + `\` + value[m[0]:]
		}
	}
	return value, nil
}

// ErrNoMapping says that no rule matches a name.
var ErrNoMapping = errors.New("no rule of ssl.principal.mapping.rules matches")

// Map makes a user's name of a distinguished name.
func (m *Mapper) Map(dn string) (string, error) {
	for _, r := range m.rules {
		if r.pattern == nil {
			return dn, nil
		}
		if err := r.pattern.Check(dn); err != nil {
			return "", fmt.Errorf("ssl.principal.mapping.rules: %w", err)
		}
		if !r.pattern.MatchesAll(dn) {
			continue
		}
		name := r.pattern.ReplaceAll(dn, r.replacement)
		if r.lower {
			name = javaregexp.ToLower(name)
		} else if r.upper {
			name = javaregexp.ToUpper(name)
		}
		return name, nil
	}
	return "", fmt.Errorf("%w %.400q", ErrNoMapping, dn)
}

// Principal returns who is on a connection: the mapped subject of the client's verified
// certificate, or auth.Anonymous where it sent none.
func (m *Mapper) Principal(state tls.ConnectionState) (auth.Principal, error) {
	if len(state.PeerCertificates) == 0 {
		return auth.Anonymous, nil
	}
	if len(state.VerifiedChains) == 0 {
		return auth.Principal{}, errors.New("the client's certificate has not been verified")
	}
	dn, err := FormatDN(state.PeerCertificates[0].RawSubject)
	if err != nil {
		return auth.Principal{}, err
	}
	name, err := m.Map(dn)
	if err != nil {
		return auth.Principal{}, err
	}
	return auth.User(name), nil
}
