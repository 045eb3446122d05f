// Package replay loads a broker with requests that were encoded beforehand, so that the
// generator itself costs little and the broker is what gets measured.
//
// [Produce] keeps a number of requests in flight on each of a number of connections.
// [Fetch] reads a filled topic over and over and throws the bytes away. [EndToEnd] sends
// at a fixed rate, whether or not the broker keeps up, and measures each record from the
// moment it should have been sent to its arrival at a consumer. Latencies go into a
// [Histogram].
//
// Nothing here retries: an error code in an answer ends the load, since a figure with
// errors in it is not a figure.
package replay
