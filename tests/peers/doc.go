// Package peers installs and starts the programs that the tests put beside Barnabas:
// Apache Kafka brokers, and Kafka clients old and new in five languages.
//
// A [Cache] is a folder outside the repo; what it installs it installs once, with the
// ordinary package clients of each language, and finds again on the next run. A [Broker]
// is one running process, Apache's or ours, on free ports with a data directory that
// outlives it, so that a test can stop, kill and restart it. An [Adapter] is one client
// behind one small line protocol, so that the same test speaks to all of them.
//
// Nothing here knows what is tested. Every process that is started ends with the test
// that started it, also when the test dies.
package peers
