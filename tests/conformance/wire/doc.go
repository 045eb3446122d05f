// Package wire reads and writes any Kafka message by its schema alone, as a tree of plain
// values. It shares no code with the broker's decoders, so that an answer of the broker is
// not read by the code that wrote it.
//
// A [Struct] is the fields of a message in the order of the wire; a field's value is one of
// bool, int64, float64, string, [UUID], [Bytes], [Records], [List], *Struct, or nil for null.
// A tagged field stands in the tree only if it stands on the wire.
package wire
