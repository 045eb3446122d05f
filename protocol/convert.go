package protocol

// ConversionInfo tells of a conversion, for metrics.
type ConversionInfo struct {
	RecordCount int
}

// DownConvert appends to dst what batches holds, in magic toMagic (0 or 1), for a
// fetcher too old for magic 2 (Fetch v0 to v3). Batches of that magic or an older one go
// as they are, and so does a partial batch at the end not go at all. Control batches and
// headers are dropped, the codec is kept, and records below fromOffset are left out of
// batches that are not compressed. A zstd batch is UNSUPPORTED_COMPRESSION_TYPE: older
// magics have no number for it.
func DownConvert(dst []byte, batches []byte, toMagic int8, fromOffset int64) ([]byte, ConversionInfo, error) {
	panic("not written yet")
}
