package protocol

// ParseBatch reads the header of the batch or legacy message at the start of b, of any
// magic. A legacy message (magic 0 and 1) has no header of its own kind; it comes as one
// without producer and epoch, with both offsets the message's own. That is the offset of
// the last record if the message wraps a compressed set, where the first one is not
// known without decompressing; RecordCount is then -1.
func ParseBatch(b []byte) (RecordBatch, error) { panic("not written yet") }

// CheckCRC verifies the checksum of the whole batch or legacy message in b, of any magic.
func CheckCRC(b []byte) error { panic("not written yet") }
