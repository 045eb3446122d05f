package group

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

var segment = flag.String("segment", "", "write a segment file of ours, for Apache to read, here")

// history fills a broker with one of everything.
const history = `
join v=5 g=live i=first as=A session=1800000 protocols=range:orders,sticky:orders+payments
join v=5 g=live i=second as=B bg=b session=1800000 protocols=range:payments,sticky:orders
join v=5 g=live i=first m=A as=A session=1800000 protocols=range:orders,sticky:orders+payments
sync v=3 g=live m=B i=second gen=2 bg=sb
sync v=3 g=live m=A i=first gen=2 assign=A:assigned-to-a,B:assigned-to-b
commit v=8 g=live m=A gen=2 o=orders/0:10 epoch=1 metadata=ä
join v=5 g=empty as=C
join v=5 g=empty m=C as=C
sync v=3 g=empty m=C gen=1 assign=C:c
commit v=8 g=empty m=C gen=1 o=orders/0:1,orders/1:2
commit v=8 g=empty m=C gen=1 o=orders/0:3
leave v=3 g=empty m=C
commit v=2 g=simple gen=-1 o=orders/0:5 retention=86400000000
commit v=6 g=simple gen=-1 o=payments/2:6 epoch=9 metadata=meta
commit v=5 g=simple gen=-1 o=payments/1:7
delete-offsets g=simple o=payments/1
join v=5 g=deleted as=D
join v=5 g=deleted m=D as=D
sync v=3 g=deleted m=D gen=1 assign=D:d
commit v=8 g=deleted m=D gen=1 o=orders/0:1
leave v=3 g=deleted m=D
delete-groups g=deleted
commit v=5 g= gen=-1 o=orders/0:8`

var makeHistory = flag.Bool("history", false, "with -apache: fill that broker with the history that the captures in testdata show")

// TestHistory makes what testdata/*.log captures: a broker with one partition of
// __consumer_offsets, topics orders and payments and no initial rebalance delay is taken
// through it, stopped, and its __consumer_offsets-0/00000000000000000000.log copied.
func TestHistory(t *testing.T) {
	if !*makeHistory {
		t.Skip("needs -history and -apache")
	}
	ask := func(req kmsg.Request) kmsg.Response {
		t.Helper()
		for range 50 {
			resp, err := roundTrip(*apache, req)
			if err != nil {
				t.Fatalf("%T: %v", req, err)
			}
			if r, ok := resp.(*kmsg.InitProducerIDResponse); ok && r.ErrorCode != 0 {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			if r, ok := resp.(*kmsg.AddOffsetsToTxnResponse); ok && r.ErrorCode != 0 {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			return resp
		}
		t.Fatalf("%T keeps failing", req)
		return nil
	}
	t.Log(play(t, strings.ReplaceAll(history, "\n", "\n\n"), newApacheWorld(t, *apache)))

	// Where it is served (4.x), a group of the KIP-848 kind, whose records we do not know.
	beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
	beat.Version = 0
	beat.Group, beat.MemberID, beat.RebalanceTimeoutMillis = "kip848", "AAAAAAAAAAAAAAAAAAAAAA", 60_000
	beat.SubscribedTopicNames, beat.Topics = []string{"orders"}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
	if resp, err := roundTrip(*apache, beat); err == nil {
		t.Log(showCode(resp.(*kmsg.ConsumerGroupHeartbeatResponse).ErrorCode))
	}

	for _, tx := range []struct {
		group, id string
		offsets   []int64
		end       bool
		commit    bool
	}{
		{"tx", "tx-commit", []int64{100, 101}, true, true},
		{"tx", "tx-abort", []int64{200}, true, false},
		{"tx", "tx-open", []int64{300}, false, false},
	} {
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.Version, find.CoordinatorType, find.CoordinatorKey = 1, 1, tx.id
		ask(find) // creates __transaction_state
		init := kmsg.NewPtrInitProducerIDRequest()
		init.Version = 2
		init.TransactionalID, init.TransactionTimeoutMillis = &tx.id, 600_000
		pid := ask(init).(*kmsg.InitProducerIDResponse)
		add := kmsg.NewPtrAddOffsetsToTxnRequest()
		add.Version = 2
		add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = tx.id, pid.ProducerID, pid.ProducerEpoch, tx.group
		ask(add)
		commit := kmsg.NewPtrTxnOffsetCommitRequest()
		commit.Version = 2
		commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = tx.id, pid.ProducerID, pid.ProducerEpoch, tx.group
		for i, o := range tx.offsets {
			topic := kmsg.NewTxnOffsetCommitRequestTopic()
			topic.Topic = []string{"orders", "payments"}[i]
			p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			p.Offset = o
			if tx.id == "tx-open" {
				p.Partition = 2
			}
			topic.Partitions = append(topic.Partitions, p)
			commit.Topics = append(commit.Topics, topic)
		}
		for _, topic := range ask(commit).(*kmsg.TxnOffsetCommitResponse).Topics {
			t.Log(tx.id, topic.Topic, showCode(topic.Partitions[0].ErrorCode))
		}
		if tx.end {
			end := kmsg.NewPtrEndTxnRequest()
			end.Version = 2
			end.TransactionalID, end.ProducerID, end.ProducerEpoch, end.Commit = tx.id, pid.ProducerID, pid.ProducerEpoch, tx.commit
			t.Log(showCode(ask(end).(*kmsg.EndTxnResponse).ErrorCode))
			time.Sleep(500 * time.Millisecond) // the marker follows
		}
	}
}

// TestSegment writes what we leave in __consumer_offsets after the same history, and
// more, as a segment file. testdata/ours.log is such a file; Apache Kafka 3.9.2 and 4.3.1,
// given it as their own, answered as testdata/capture-ours.txt says.
func TestSegment(t *testing.T) {
	if *segment == "" {
		t.Skip("needs -segment")
	}
	synctest.Test(t, func(t *testing.T) {
		// The bubble's clock stands in the year 2000; Apache's does not, and expires.
		time.Sleep(time.Until(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)))
		w := newOurWorld(t)
		more := `
commit v=0 g=old o=orders/0:44
txn-commit v=3 g=tx pid=1 o=orders/0:100
marker pid=1 commit=true
txn-commit v=3 g=tx pid=2 o=orders/0:200
marker pid=2 commit=false
txn-commit v=3 g=tx pid=3 o=orders/2:300`
		t.Log(play(t, strings.ReplaceAll(history+more, "\n", "\n\n"), w))
		var file []byte
		offset := int64(0)
		for _, b := range w.storage.partitions[0] {
			b = bytes.Clone(b)
			h, err := protocol.ParseRecordBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			protocol.SetBatchOffset(b, offset, 0)
			offset += int64(h.LastOffsetDelta) + 1
			file = append(file, b...)
		}
		if err := os.WriteFile(*segment, file, 0o644); err != nil {
			t.Fatal(err)
		}
	})
}
