// Package broker is a running broker: listeners, connections with their sessions, the
// table of APIs, and one handle_<api>.go per API or small family of them.
//
// A [Broker] is given its logs, its metadata store and its configuration by cmd and owns
// what stands on them: partitions, coordinators, fetch sessions, waiting requests.
//
// A connection has one goroutine, which reads and begins requests in the order they came.
// A handler answers at once or later, from any goroutine; the connection puts the answers
// on the wire in the order of the requests. Nothing else may block that goroutine for
// longer than a disk or the metadata store takes.
package broker
