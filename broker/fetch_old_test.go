package broker_test

import (
	"encoding/binary"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Clients of Fetch v0-v3 are not told of control records. They have to get past them all
// the same when what follows does not fit into what they ask for.
func TestOldFetchesGetPastWhatConversionLeavesNothingOf(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	makeTopic(w, "old")
	for offset := range int64(3) {
		batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{BaseOffset: offset, Control: true}, protocol.Record{
			Offset: offset, Key: []byte{0, 0, 0, 2}, Value: make([]byte, 6)})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Broker().AppendAsIs("old", 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	if resp := w.call(produceOf("old", -1, recordsOf(t, 1000))).(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].BaseOffset != 3 {
		t.Fatalf("%+v", resp)
	}
	fetch := func(version int16, most int32) (protocol.ErrorCode, []byte) {
		req := fetchRequest("old", 0)
		req.SetVersion(version)
		req.ReplicaID, req.MinBytes, req.MaxBytes, req.MaxWaitMillis = -1, 1, most, 10
		req.Topics[0].Partitions[0].PartitionMaxBytes = most
		got := w.call(req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
		return protocol.ErrorCode(got.ErrorCode), got.RecordBatches
	}
	for version := range int16(4) {
		for _, most := range []int32{40, 100, 500} {
			code, records := fetch(version, most)
			if code != protocol.None || len(records) < int(most) || version < 3 && len(records) != int(most) {
				t.Errorf("v%d, up to %d bytes: %v, %d bytes", version, most, code, len(records))
				continue
			}
			if offset := binary.BigEndian.Uint64(records); offset != 3 {
				t.Errorf("v%d, up to %d bytes: offset %d", version, most, offset)
			}
		}
	}
}
