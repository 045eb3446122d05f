// Package clientconf reads the properties of a Kafka client, as Java's clients and tools
// take them from a file (security.protocol, sasl.jaas.config, ssl.truststore.location), and
// makes the settings of a franz-go client of them.
//
// A [Client] is immutable. Keys that say nothing to a client of ours are passed over, as
// Java's clients do; what would make a connection less safe than the file asks for is an
// error. No error shows a secret.
package clientconf
