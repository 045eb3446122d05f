package config

import "fmt"

// JAASError says that a SASL listener has nothing to log clients in with.
type JAASError struct{ Listener, Mechanism string }

func (e *JAASError) Error() string {
	l := lower(e.Listener)
	return fmt.Sprintf("no JAAS entry for mechanism %s of listener %s: neither %s%s.%s.sasl.jaas.config is set "+
		"nor does the file of -Djava.security.auth.login.config have a section %s.KafkaServer or KafkaServer",
		e.Mechanism, e.Listener, listenerPrefix, l, lower(e.Mechanism), l)
}

// JAASOf returns the login modules of a mechanism on a listener: those of
// listener.name.<listener>.<mechanism>.sasl.jaas.config, else of section
// <listener>.KafkaServer of the JAAS file, else of section KafkaServer. file may be nil.
// Several modules come only from a file; each mechanism picks its own by class.
func (c *Config) JAASOf(listener, mechanism string, file JAASFile) ([]JAASEntry, error) {
	name := listenerPrefix + lower(listener) + "." + lower(mechanism) + ".sasl.jaas.config"
	if s, ok := c.lookup(name); ok {
		e, err := ParseJAASConfig(s.Value)
		if err != nil {
			return nil, &Problem{Setting: s, Reason: err.Error(), secret: true}
		}
		return []JAASEntry{e}, nil
	}
	for _, section := range []string{lower(listener) + ".KafkaServer", "KafkaServer"} {
		if entries := file[section]; len(entries) > 0 {
			return entries, nil
		}
	}
	return nil, &JAASError{listener, mechanism}
}
