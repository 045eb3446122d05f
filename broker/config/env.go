package config

import (
	"slices"
	"strings"
)

// Names that container images read themselves and do not turn into keys.
var notMapped = []string{"KAFKA_VERSION", "KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_OPTS", "KAFKA_JMX_OPTS",
	"KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS", "KAFKA_LOG4J_ROOT_LOGLEVEL", "KAFKA_LOG4J_LOGGERS",
	"KAFKA_TOOLS_LOG4J_LOGLEVEL", "KAFKA_JMX_HOSTNAME", "KAFKA_JMX_PORT"}

// EnvironmentProperties turns the variables of container images into keys, sorted by name.
// KAFKA_CFG_* follows Bitnami's rule, other KAFKA_* the rule of the apache/kafka image:
// _ is a dot, __ an underscore, ___ a dash. Of two variables for one key KAFKA_CFG_* loses.
func EnvironmentProperties(environ []string) []Property {
	values := make(map[string]string)
	sorted := slices.Clone(environ)
	slices.Sort(sorted) // KAFKA_CFG_* need not come first: they are told apart below
	for _, bitnami := range []bool{true, false} {
		for _, e := range sorted {
			name, value, _ := strings.Cut(e, "=")
			if strings.HasPrefix(name, "KAFKA_CFG_") != bitnami {
				continue
			}
			if key := environmentKey(name); key != "" {
				values[key] = value
			}
		}
	}
	props := make([]Property, 0, len(values))
	for _, key := range sortedKeys(values) {
		props = append(props, Property{Name: key, Value: values[key]})
	}
	return props
}

// environmentKey is the key that a variable sets, or "".
func environmentKey(name string) string {
	switch {
	case slices.Contains(notMapped, name):
		return ""
	case name == "KAFKA_ZOOKEEPER_CLIENT_CNXN_SOCKET", name == "KAFKA_CFG_ZOOKEEPER_CLIENTCNXNSOCKET":
		return "zookeeper.clientCnxnSocket"
	}
	if rest, ok := strings.CutPrefix(name, "KAFKA_CFG_"); ok {
		key := strings.ReplaceAll(lower(rest), "_", ".")
		key = strings.ReplaceAll(key, "sasl.ssl", "sasl_ssl")
		return strings.ReplaceAll(key, "sasl.plaintext", "sasl_plaintext")
	}
	rest, ok := strings.CutPrefix(name, "KAFKA_")
	if !ok || rest == "" {
		return ""
	}
	key := strings.ReplaceAll(lower(rest), "_", ".")
	key = strings.ReplaceAll(key, "...", "-")
	return strings.ReplaceAll(key, "..", "_")
}

// ParseJVMOptions returns the -Dname=value properties in a list of JVM options, such as
// KAFKA_OPTS. Double or single quotes hold blanks together; other options are skipped.
func ParseJVMOptions(opts string) map[string]string {
	props := make(map[string]string)
	var word strings.Builder
	var quote byte
	flush := func() {
		if d, ok := strings.CutPrefix(word.String(), "-D"); ok && d != "" {
			name, value, _ := strings.Cut(d, "=")
			props[name] = value
		}
		word.Reset()
	}
	for i := range len(opts) {
		switch c := opts[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote = c
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			flush()
		default:
			word.WriteByte(c)
		}
	}
	flush()
	return props
}
