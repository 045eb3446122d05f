// Package protocol turns Kafka's bytes into structs and back: frames and headers
// around kmsg, error codes, record batches (magic 2) and legacy message sets (magic 0
// and 1). It does no I/O and holds no state; everything in it may be used by any number
// of goroutines at once.
//
// Bytes that come in here are hostile until a function of this package has said
// otherwise: every parser checks lengths and counts against the bytes that are there
// before it allocates, and refuses with an error, never a panic.
//
// Below it are only the standard library and kmsg; the codecs are in protocol/compress,
// the request schemas and the bounded walk that precedes kmsg's decoders in
// protocol/schema.
package protocol
