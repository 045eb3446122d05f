package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/barnabas-broker/barnabas/protocol"
)

// ReadRecords turns a records field into a list of batches, each with its header fields and
// records, and what is left behind the last whole batch. What cannot be read comes as the
// bytes themselves.
func ReadRecords(b []byte) List {
	list := List{}
	for len(b) > 0 {
		if len(b) < 17 {
			return append(list, cut(b))
		}
		size := int(int32(binary.BigEndian.Uint32(b[8:]))) + 12
		if size < 17 || size > len(b) {
			return append(list, cut(b))
		}
		list = append(list, readBatch(b[:size]))
		b = b[size:]
	}
	return list
}

// cut is what is left of a batch. Apache fills answers of old versions up with the
// beginning of a message that never was, at offset -1; that is told apart.
func cut(b []byte) any {
	if bytes.HasPrefix([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"), b[:min(len(b), 8)]) {
		return (&Struct{}).Set("padding", int64(len(b)))
	}
	return (&Struct{}).Set("cutAfterBytes", int64(len(b))).Set("cut", Bytes(b[:min(len(b), 61)]))
}

func readBatch(b []byte) any {
	s := &Struct{}
	magic := int8(b[16])
	s.Set("baseOffset", int64(binary.BigEndian.Uint64(b)))
	s.Set("magic", int64(magic))
	if magic == 2 {
		h, err := protocol.ParseRecordBatch(b)
		if err != nil {
			return s.Set("error", err.Error()).Set("bytes", Bytes(b))
		}
		if h.Codec() == 0 {
			s.Set("size", int64(len(b)))
		}
		s.Set("leaderEpoch", int64(h.LeaderEpoch))
		s.Set("attributes", int64(h.Attributes))
		s.Set("lastOffsetDelta", int64(h.LastOffsetDelta))
		s.Set("baseTimestamp", h.BaseTimestamp)
		s.Set("maxTimestamp", h.MaxTimestamp)
		s.Set("ProducerId", h.ProducerID)
		s.Set("producerEpoch", int64(h.ProducerEpoch))
		s.Set("baseSequence", int64(h.BaseSequence))
		s.Set("crcIsRight", protocol.CheckBatchCRC(b) == nil)
	} else {
		s.Set("attributes", int64(b[17]))
		if b[17]&7 == 0 {
			s.Set("size", int64(len(b)))
		}
		s.Set("crcIsRight", protocol.CheckCRC(b) == nil)
	}
	records, err := protocol.ReadRecords(b)
	if err != nil {
		return s.Set("error", err.Error())
	}
	list := List{}
	for i := range records {
		list = append(list, readRecord(&records[i]))
	}
	return s.Set("records", list)
}

func readRecord(r *protocol.Record) any {
	s := &Struct{}
	s.Set("offset", r.Offset).Set("timestamp", r.Timestamp).Set("key", orNull(r.Key)).Set("value", orNull(r.Value))
	if len(r.Headers) > 0 {
		headers := List{}
		for _, h := range r.Headers {
			headers = append(headers, (&Struct{}).Set("key", string(h.Key)).Set("value", orNull(h.Value)))
		}
		s.Set("headers", headers)
	}
	if r.Attributes != 0 {
		s.Set("attributes", int64(r.Attributes))
	}
	return s
}

func orNull(b []byte) any {
	if b == nil {
		return nil
	}
	if len(b) > 64 {
		return fmt.Sprintf("%d bytes, %q...", len(b), b[:16])
	}
	return Bytes(b)
}
