package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Check says why a value, in textual form, cannot be a key's value, in the words that
// Apache uses behind "Invalid value x for configuration y: ", or returns nil. The value is
// taken as Kafka takes it: outer white space does not count.
func (k *Key) Check(value string) error {
	_, err := k.parse(value)
	return err
}

// Bool reads the value of a boolean key as the broker does: in any case, without outer white
// space, and nothing but true and false.
func (k *Key) Bool(value string) (bool, error) {
	v, err := k.parse(value)
	if err != nil {
		return false, err
	}
	on, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("%s is not a boolean key", k.Name)
	}
	return on, nil
}

// valueError is a value that broke a rule. Shown is how Apache prints the value: numbers as
// parsed, a broken list element alone.
type valueError struct {
	shown  string
	reason string
}

func (e *valueError) Error() string { return e.reason }

// parse returns the value as bool, string, int64, float64 or []string.
func (k *Key) parse(value string) (any, error) {
	value = trim(value)
	bad := func(format string, args ...any) (any, error) {
		return nil, &valueError{value, fmt.Sprintf(format, args...)}
	}
	switch k.Type {
	case TypeBoolean:
		switch {
		case strings.EqualFold(value, "true"):
			return true, nil
		case strings.EqualFold(value, "false"):
			return false, nil
		}
		return bad("Expected value to be either true or false")
	case TypeShort, TypeInt, TypeLong:
		n, err := strconv.ParseInt(value, 10, k.Type.bits())
		if err != nil {
			return bad("Not a number of type %s", k.Type)
		}
		return n, k.Valid.checkNumber(float64(n), func() string { return strconv.FormatInt(n, 10) })
	case TypeDouble:
		f, err := parseDouble(value)
		if err != nil {
			return bad("Not a number of type %s", k.Type)
		}
		return f, k.Valid.checkNumber(f, func() string { return javaDouble(f) })
	case TypeList:
		list := splitList(value)
		return list, k.Valid.checkList(list, k.Name)
	default:
		return value, k.Valid.checkText(value)
	}
}

// bits is the width of an integer type.
func (t Type) bits() int {
	switch t {
	case TypeShort:
		return 16
	case TypeInt:
		return 32
	}
	return 64
}

// parseDouble takes what Double.parseDouble takes, without hexadecimals, NaN and infinities.
func parseDouble(s string) (float64, error) {
	digits := strings.TrimRight(s, "dDfF")
	if len(s)-len(digits) > 1 || strings.ContainsAny(digits, "xXpP_iInN") {
		return 0, errors.New("not a decimal")
	}
	f, err := strconv.ParseFloat(digits, 64)
	if errors.Is(err, strconv.ErrRange) && !math.IsInf(f, 0) {
		err = nil
	}
	return f, err
}

// javaDouble prints as Double.toString does: 0.5, 2.0, 1.7976931348623157E308.
func javaDouble(f float64) string {
	if abs := math.Abs(f); abs != 0 && (abs < 1e-3 || abs >= 1e7) {
		s := strconv.FormatFloat(f, 'E', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		e, _ := strconv.Atoi(exponent)
		return mantissa + "E" + strconv.Itoa(e)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// splitList splits at commas with the blanks around them. "" is the empty list; empty
// elements inside are kept, as Kafka keeps them in keys of type list.
func splitList(value string) []string {
	if value == "" {
		return nil
	}
	list := strings.Split(value, ",")
	for i := range list {
		list[i] = trim(list[i])
	}
	// Java's split drops trailing empty strings only when no limit is given; Kafka gives -1.
	return list
}

// splitCSV splits a plain string that Kafka reads as CSV: empty elements are dropped.
func splitCSV(value string) []string {
	var list []string
	for _, e := range strings.Split(value, ",") {
		if e = trim(e); e != "" {
			list = append(list, e)
		}
	}
	return list
}

// checkNumber is the range; shown is how Apache prints the number.
func (v Valid) checkNumber(f float64, shown func() string) error {
	if v.Kind != ValidRange {
		return nil
	}
	for _, or := range v.Or {
		if number(f) == or {
			return nil
		}
	}
	reason := ""
	switch below, above := f < v.Min, v.Max != noMax && f > v.Max; {
	case (below || above) && len(v.Or) > 0 && v.Max != noMax:
		reason = fmt.Sprintf("Value must be between %s and %s or equal to %s", number(v.Min), number(v.Max), v.Or[0])
	case below && len(v.Or) > 0:
		reason = "Value can be -1 or greater than 0"
	case below:
		reason = "Value must be at least " + number(v.Min)
	case above:
		reason = "Value must be no more than " + number(v.Max)
	default:
		return nil
	}
	return &valueError{shown(), reason}
}

func (v Valid) checkList(list []string, name string) error {
	switch v.Kind {
	case ValidListOf:
		for _, e := range list {
			if !contains(v.Values, e) {
				return &valueError{e, "String must be one of: " + strings.Join(v.Values, ", ")}
			}
		}
	case ValidThrottledReplicas:
		if !throttledReplicas(list) {
			return &valueError{"[" + strings.Join(list, ", ") + "]", name +
				" must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."}
		}
	case ValidNonEmpty:
		return checkQuorumEntries(name, list)
	}
	return nil
}

func (v Valid) checkText(value string) error {
	switch v.Kind {
	case ValidOneOf:
		if !contains(v.Values, value) {
			return &valueError{value, "String must be one of: " + strings.Join(v.Values, ", ")}
		}
	case ValidOneOfFold:
		for _, allowed := range v.Values {
			if strings.EqualFold(allowed, value) {
				return nil
			}
		}
		return &valueError{value, "String must be one of (case insensitive): " + strings.Join(v.Values, ", ")}
	case ValidNonEmpty:
		if value == "" {
			return &valueError{value, "String must be non-empty"}
		}
	case ValidVersion:
		if !knownVersion(value) {
			return &valueError{value, "Version " + value + " is not a valid version"}
		}
	case ValidOffsetReset:
		duration, timed := strings.CutPrefix(value, "by_duration:")
		if value != "latest" && value != "earliest" && (!timed || !isoDuration(duration)) {
			return &valueError{value, "Invalid value `" + value + "` for configuration share.auto.offset.reset. " +
				"The value must be either 'earliest', 'latest' or of the format 'by_duration:<PnDTnHnMn.nS>'."}
		}
	}
	return nil
}

// isoDuration says whether s is PnDTnHnMn.nS with at least one part and no sign.
func isoDuration(s string) bool {
	m := regexp.MustCompile(`^P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d{1,9})?S)?)?$`).FindStringSubmatch(strings.ToUpper(s))
	return m != nil && len(m[0]) > 1 && m[2] != "T"
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// throttledReplicas says whether the list is empty, a lone *, or partition:broker pairs.
func throttledReplicas(list []string) bool {
	if len(list) == 1 && (list[0] == "*" || list[0] == "none") {
		return list[0] == "*"
	}
	for _, e := range list {
		partition, broker, ok := strings.Cut(e, ":")
		if !ok || !allDigits(partition) || !allDigits(broker) {
			return false
		}
	}
	return true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// checkQuorumEntries is the rule of controller.quorum.voters (id@host:port) and of
// controller.quorum.bootstrap.servers (host:port).
func checkQuorumEntries(name string, list []string) error {
	for _, e := range list {
		if name == "controller.quorum.voters" {
			if _, err := parseVoter(e); err != nil {
				return err
			}
			continue
		}
		if _, _, ok := splitHostPort(e); !ok {
			return &valueError{e, "Each entry should be in the form \"{host}:{port}\""}
		}
	}
	return nil
}

// Voter is one entry of controller.quorum.voters.
type Voter struct {
	ID   int32
	Host string
	Port int
}

func parseVoter(s string) (Voter, error) {
	bad := &valueError{s, "Each entry should be in the form `{id}@{host}:{port}`"}
	id, address, ok := strings.Cut(s, "@")
	if !ok {
		return Voter{}, bad
	}
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil {
		return Voter{}, &valueError{s, "Failed to parse voter ID as an integer"}
	}
	host, port, ok := splitHostPort(address)
	if !ok {
		return Voter{}, bad
	}
	return Voter{ID: int32(n), Host: host, Port: port}, nil
}

// splitHostPort splits "host:port" at the last colon and takes the brackets off an IPv6
// address. A host may be empty only if the caller allows it.
func splitHostPort(s string) (host string, port int, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 {
		return "", 0, false
	}
	port, err := strconv.Atoi(s[i+1:])
	if err != nil || port < 0 || port > 65535 || !allDigits(s[i+1:]) {
		return "", 0, false
	}
	host = s[:i]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return host, port, host != ""
}

// knownVersion takes short (2.8, 0.10.0, also 2.8.1) and IV forms. How many IVs a release
// had is not held against anybody.
func knownVersion(s string) bool {
	segments := strings.Split(s, ".")
	want := 2
	if strings.HasPrefix(s, "0.") {
		want = 3
	}
	if len(segments) < want {
		return false
	}
	release, iv, hasIV := strings.Cut(strings.Join(segments[:want], "."), "-IV")
	if hasIV && !allDigits(iv) {
		return false
	}
	return contains(releases, release)
}

var releases = []string{"0.8.0", "0.8.1", "0.8.2", "0.9.0", "0.10.0", "0.10.1", "0.10.2", "0.11.0",
	"1.0", "1.1", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.8",
	"3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "4.0", "4.1", "4.2", "4.3"}
