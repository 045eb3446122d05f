// Package compress holds the four codecs of Kafka's record formats (gzip, snappy, lz4,
// zstd), with what Kafka's Java clients write as the measure: snappy in xerial framing
// or raw, lz4 frames of independent blocks with or without the header checksum that
// magic 0 got wrong, zstd frames that do not say how much they hold.
//
// There are two ways in. [AppendDecompress] and [AppendCompress] work on whole byte
// slices; a [Reader] decompresses a batch piece by piece, in memory that does not depend
// on how much comes out. Every way in takes a bound on the bytes that may come out and
// fails with [ErrTooLarge] past it, so that a small batch cannot become a large
// allocation or a long computation.
//
// Everything here may be used by any number of goroutines at once, a Reader by one at a
// time; a goroutine may wait for others where much memory is needed, and so has one Reader
// at a time. The only package state are those turns, and pools of codec states, which hold
// nothing of the data that went through them that a later user could see.
package compress
