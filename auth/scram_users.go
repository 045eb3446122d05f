package auth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// scramMaxIterations is Kafka's most for a credential that is made.
const scramMaxIterations = 16384

// ScramUser is a user to be, as an operator wrote it down.
type ScramUser struct {
	Name       string
	Hash       ScramHash
	Iterations int32
	Salt       []byte
	salted     Secret
}

// SaltedPassword is what the user's password becomes with the salt; a secret.
func (u *ScramUser) SaltedPassword() []byte { return []byte(u.salted.Reveal()) }

// ParseScramUsers reads users in the form of kafka-storage.sh format --add-scram, each
//
//	SCRAM-SHA-256=[name=alice,password=alice-secret]
//	SCRAM-SHA-512=[name=alice,iterations=8192,salt="N3E=",saltedpassword="YCE="]
//
// on a line of its own or behind a semicolon; lines that begin with # say nothing. Within
// double quotes commas and semicolons are part of a value. No error shows a secret.
func ParseScramUsers(text string) ([]ScramUser, error) {
	var users []ScramUser
	seen := map[string]bool{}
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		for _, entry := range splitOutsideQuotes(line, ';') {
			if entry = strings.TrimSpace(entry); entry == "" {
				continue
			}
			u, err := parseScramUser(entry)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n+1, err)
			}
			if key := u.Hash.Mechanism() + " " + u.Name; seen[key] {
				return nil, fmt.Errorf("line %d: user %q has %s twice", n+1, u.Name, u.Hash.Mechanism())
			} else {
				seen[key] = true
			}
			users = append(users, u)
		}
	}
	return users, nil
}

func parseScramUser(entry string) (ScramUser, error) {
	mechanism, body, ok := strings.Cut(entry, "=")
	if !ok {
		return ScramUser{}, errors.New("there is no mechanism and = in front")
	}
	var u ScramUser
	switch mechanism {
	case MechanismScramSHA256:
		u.Hash = ScramSHA256
	case MechanismScramSHA512:
		u.Hash = ScramSHA512
	default:
		return ScramUser{}, errors.New("the mechanism is neither SCRAM-SHA-256 nor SCRAM-SHA-512")
	}
	if len(body) < 2 || body[0] != '[' || body[len(body)-1] != ']' {
		return ScramUser{}, errors.New("what follows the mechanism is not in [ ]")
	}
	values := map[string]string{}
	for _, part := range splitOutsideQuotes(body[1:len(body)-1], ',') {
		name, value, ok := strings.Cut(part, "=")
		if _, twice := values[name]; !ok || twice {
			return ScramUser{}, errors.New("a part between commas is not name=value, or is there twice")
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		values[name] = value
	}
	take := func(name string) (string, bool) {
		v, ok := values[name]
		delete(values, name)
		return v, ok
	}
	u.Name, _ = take("name")
	iterations, hasIterations := take("iterations")
	salt, hasSalt := take("salt")
	password, hasPassword := take("password")
	salted, hasSalted := take("saltedpassword")
	switch {
	case u.Name == "":
		return ScramUser{}, errors.New("there is no name")
	case len(values) > 0:
		return ScramUser{}, fmt.Errorf("user %q: parts are name, password, iterations, salt and saltedpassword, and there is another", u.Name)
	case hasPassword == hasSalted || hasPassword && password == "":
		return ScramUser{}, fmt.Errorf("user %q needs one of password and saltedpassword", u.Name)
	case hasSalted && !hasSalt:
		return ScramUser{}, fmt.Errorf("user %q: saltedpassword needs its salt", u.Name)
	}
	u.Iterations = scramMinIterations
	if hasIterations {
		n, err := strconv.ParseInt(iterations, 10, 32)
		if err != nil || n < scramMinIterations || n > scramMaxIterations {
			return ScramUser{}, fmt.Errorf("user %q: iterations are from %d to %d", u.Name, scramMinIterations, scramMaxIterations)
		}
		u.Iterations = int32(n)
	}
	if hasSalt {
		var err error
		if u.Salt, err = base64.StdEncoding.DecodeString(salt); err != nil || len(u.Salt) == 0 {
			return ScramUser{}, fmt.Errorf("user %q: the salt is not base64", u.Name)
		}
	} else {
		u.Salt = NewScramSalt()
	}
	if hasSalted {
		key, err := base64.StdEncoding.DecodeString(salted)
		if err != nil || len(key) == 0 {
			return ScramUser{}, fmt.Errorf("user %q: the saltedpassword is not base64", u.Name)
		}
		u.salted = NewSecret(string(key))
		return u, nil
	}
	u.salted = NewSecret(string(saltPassword(u.Hash, password, u.Salt, u.Iterations)))
	return u, nil
}

// splitOutsideQuotes splits at a byte that does not stand in double quotes.
func splitOutsideQuotes(text string, at byte) (parts []string) {
	quoted, begin := false, 0
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == at && !quoted:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}
