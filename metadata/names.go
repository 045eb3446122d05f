package metadata

import "strings"

// InvalidTopicName says why name is no legal topic name, in Kafka's words; it returns ""
// if it is one.
func InvalidTopicName(name string) string {
	switch {
	case name == "":
		return "the empty string is not allowed"
	case name == ".":
		return "'.' is not allowed"
	case name == "..":
		return "'..' is not allowed"
	case len(name) > MaxTopicNameLength:
		return "the length of '" + name + "' is longer than the max allowed length 249"
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return "'" + name + "' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
		}
	}
	return ""
}

// HasCollisionCharacters says whether the name has a dot or an underscore, which Kafka's
// metric names cannot tell apart.
func HasCollisionCharacters(name string) bool { return strings.ContainsAny(name, "._") }

// collisionName is the same for all names that collide.
func collisionName(name string) string { return strings.ReplaceAll(name, ".", "_") }
