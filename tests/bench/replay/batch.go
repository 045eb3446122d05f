package replay

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch encodes a record batch of count records with values of size random bytes each and
// no keys. Random bytes compress nowhere on the way.
func Batch(count, size int) []byte {
	value := make([]byte, size)
	rand.New(rand.NewSource(1)).Read(value)
	var records []byte
	for i := range count {
		r := kmsg.Record{OffsetDelta: int32(i), Value: value}
		r.Length = int32(len(r.AppendTo(nil)) - 1)
		records = r.AppendTo(records)
	}
	now := time.Now().UnixMilli()
	b := kmsg.RecordBatch{Length: int32(49 + len(records)), PartitionLeaderEpoch: -1, Magic: 2,
		LastOffsetDelta: int32(count - 1), FirstTimestamp: now, MaxTimestamp: now, ProducerID: -1,
		ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(count), Records: records}
	out := b.AppendTo(nil)
	sign(out)
	return out
}

// sign sets the checksum of a batch to what its bytes are now.
func sign(batch []byte) {
	binary.BigEndian.PutUint32(batch[17:], crc32.Checksum(batch[21:], castagnoli))
}
