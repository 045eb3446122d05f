// Package cli is the administrator's half of the barnabas program: topic, group, config,
// produce, consume, cluster, and Apache Kafka's own tools under their own names.
//
// A [command] is a node of a tree that is built when it is needed; help, completion and
// dispatch all read the tree. A call builds one [env], opens at most one client, and
// returns an exit code. Results are plain structs, shown as a table or as JSON; what went
// wrong is a [failure], which says what, why and what to do about it.
//
// The package speaks to any Kafka through franz-go and knows nothing of our broker, but for
// the rules of ACLs, which are everybody's (package acl). How it connects stands in the
// properties of a Kafka client (package clientconf). It
// keeps no state and does nothing when the program starts, so that a broker does not pay
// for it.
package cli
