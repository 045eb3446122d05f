// Package schema knows the wire layout of every Kafka message: an [API] per key, in it a
// tree of [Field] for the request and one for the response, with the versions in which
// each field exists, may be null, or is tagged. The tree comes from Apache's own message
// definitions (3.9 for the versions that 4.x dropped, 4.3 for the rest); tables_gen.go is
// written by the program in schema/gen, whose doc says how to run it.
//
// [Check] walks the bytes of a request by that tree before any decoder sees them. kmsg's
// decoders trust counts: a tag count makes them loop, an array count makes them allocate
// its multiple. What Check let through they decode in time and memory proportional to the
// [Estimate] it returned.
//
// Everything here is constant and may be used by any number of goroutines.
package schema
