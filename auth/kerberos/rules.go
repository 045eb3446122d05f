package kerberos

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/auth/internal/javaregexp"
)

// Name is a Kerberos principal as Kafka knows it: service[/host]@REALM.
type Name struct {
	Service string
	Host    string // "" if there is none
	Realm   string
}

// ParseName reads service[/host]@REALM.
func ParseName(s string) (Name, error) {
	name, realm, ok := strings.Cut(s, "@")
	service, host, two := strings.Cut(name, "/")
	if !ok || !component(service) || !component(realm) || two && !component(host) {
		return Name{}, fmt.Errorf("%.200q is not a Kerberos principal of the form service[/host]@REALM", s)
	}
	return Name{service, host, realm}, nil
}

// component says whether s may be a part of a Name. Separators within a part, and what
// would forge a log line, make a name that says something else than it seems to.
func component(s string) bool {
	for _, c := range s {
		if c <= ' ' || c == '/' || c == '@' || c == '\\' || c == 0x7f || c == 0xfffd {
			return false
		}
	}
	return s != ""
}

// String returns service[/host]@REALM.
func (n Name) String() string {
	if n.Host != "" {
		return n.Service + "/" + n.Host + "@" + n.Realm
	}
	return n.Service + "@" + n.Realm
}

// Rules are sasl.kerberos.principal.to.local.rules; the first that applies to a name maps
// it to a user. They are immutable.
type Rules struct{ rules []rule }

// rule is DEFAULT, or
//
//	RULE:[<components>:<format>](<match>)s/<from>/<to>/g/L
//
// with everything behind ] optional, and U instead of L.
type rule struct {
	text         string
	defaultRealm string // DEFAULT, if set: this realm's names lose realm and host
	components   int
	format       string
	match        *javaregexp.Regexp // nil: any
	from         *javaregexp.Regexp // nil: no substitution
	to           javaregexp.Replacement
	all          bool
	lower, upper bool
}

// ruleText is Kafka's grammar of one rule.
var ruleText = regexp.MustCompile(`\A(?:(DEFAULT)|RULE:\[(\d*):([^\]]*)\](?:\(([^)]*)\))?(?:(s)/([^/]*)/([^/]*)/(g)?)?/?([LU])?)\z`)

// ParseRules reads the rules. No rules at all are DEFAULT.
func ParseRules(defaultRealm string, texts []string) (*Rules, error) {
	if len(texts) == 0 {
		texts = []string{"DEFAULT"}
	}
	out := &Rules{}
	for _, text := range texts {
		r, err := parseRule(defaultRealm, text)
		if err != nil {
			return nil, fmt.Errorf("auth_to_local rule %q: %w", text, err)
		}
		out.rules = append(out.rules, r)
	}
	return out, nil
}

func parseRule(defaultRealm, text string) (rule, error) {
	m := ruleText.FindStringSubmatch(text)
	at := ruleText.FindStringSubmatchIndex(text)
	if m == nil {
		return rule{}, errors.New("neither DEFAULT nor RULE:[n:format](match)s/from/to/g")
	}
	if m[1] != "" {
		if defaultRealm == "" {
			return rule{}, errors.New("DEFAULT needs a default realm")
		}
		return rule{text: text, defaultRealm: defaultRealm}, nil
	}
	r := rule{text: text, format: m[3], all: m[8] != "", lower: m[9] == "L", upper: m[9] == "U"}
	var err error
	if r.components, err = strconv.Atoi(m[2]); err != nil {
		return rule{}, errors.New("the number of components is missing or too large")
	}
	if r.components <= 2 { // no name has more, so such a rule never applies
		if _, err = expandFormat(r.format, make([]string, r.components+1)); err != nil {
			return rule{}, err
		}
	}
	if hasMatch := at[2*4] >= 0; hasMatch {
		if r.match, err = javaregexp.Compile(m[4]); err != nil {
			return rule{}, err
		}
	}
	if m[5] != "" {
		if r.from, err = javaregexp.Compile(m[6]); err != nil {
			return rule{}, err
		}
		if r.to, err = r.from.Replacement(m[7]); err != nil {
			return rule{}, err
		}
	}
	return r, nil
}

// expandFormat replaces $0 by the realm, $1 and $2 by the components.
func expandFormat(format string, parts []string) (string, error) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(format, "$")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		digits := 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			digits++
		}
		n, err := strconv.Atoi(after[:digits])
		if err != nil || n >= len(parts) {
			return "", fmt.Errorf("$%s in the format is none of $0 to $%d", after[:digits], len(parts)-1)
		}
		b.WriteString(parts[n])
		format = after[digits:]
	}
}

// ErrNoRule says that no rule maps a name.
var ErrNoRule = errors.New("no auth_to_local rule applies")

// User maps a name to the name of a user.
func (r *Rules) User(n Name) (string, error) {
	parts := []string{n.Realm, n.Service}
	if n.Host != "" {
		parts = append(parts, n.Host)
	}
	for i := range r.rules {
		user, applies, err := r.rules[i].apply(parts)
		if err != nil {
			return "", err
		}
		if applies {
			return user, nil
		}
	}
	return "", fmt.Errorf("%w to %v", ErrNoRule, n)
}

func (r *rule) apply(parts []string) (user string, applies bool, err error) {
	switch {
	case r.defaultRealm != "":
		if r.defaultRealm != parts[0] {
			return "", false, nil
		}
		user = parts[1]
	case r.components != len(parts)-1:
		return "", false, nil
	default:
		if user, err = expandFormat(r.format, parts); err != nil {
			return "", false, fmt.Errorf("auth_to_local rule %q: %w", r.text, err)
		}
		for _, pattern := range []*javaregexp.Regexp{r.match, r.from} {
			if pattern == nil {
				continue
			}
			if err := pattern.Check(user); err != nil {
				return "", false, fmt.Errorf("auth_to_local rule %q: %w", r.text, err)
			}
		}
		if r.match != nil && !r.match.MatchesAll(user) {
			return "", false, nil
		}
		if r.from != nil && r.all {
			user = r.from.ReplaceAll(user, r.to)
		} else if r.from != nil {
			user = r.from.ReplaceFirst(user, r.to)
		}
	}
	if strings.ContainsAny(user, "/@") {
		return "", false, fmt.Errorf("auth_to_local rule %q makes %.200q, which still has / or @", r.text, user)
	}
	if user == "" {
		return "", false, fmt.Errorf("auth_to_local rule %q makes an empty name", r.text)
	}
	if r.lower {
		user = javaregexp.ToLower(user)
	} else if r.upper {
		user = javaregexp.ToUpper(user)
	}
	return user, true, nil
}
