package compress

// AppendDecompress appends what src holds, at most maxSize bytes, to dst.
func AppendDecompress(dst []byte, codec int8, src []byte, maxSize int) ([]byte, error) {
	panic("not written yet")
}

// AppendCompress appends src, compressed, to dst. Levels are Kafka's: gzip -1 or 1 to 9,
// lz4 1 to 17, zstd -131072 to 22; DefaultLevel is the codec's default.
func AppendCompress(dst []byte, codec int8, level int, src []byte) ([]byte, error) {
	panic("not written yet")
}
