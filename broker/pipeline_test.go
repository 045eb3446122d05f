package broker_test

import (
	"encoding/binary"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Requests of one connection are taken one after the other: behind one that closes it
// nothing is begun.
func TestNothingIsBegunBehindARequestThatClosesTheConnection(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	makeTopic(w, "behind")
	good := produceOf("behind", 1, recordsOf(t, 1))
	cut := w.frame(good)
	cut = cut[:len(cut)-20]
	binary.BigEndian.PutUint32(cut, uint32(len(cut)-4))
	failing := produceOf("nowhere", 0, recordsOf(t, 1))
	bad := recordsOf(t, 1)
	bad[len(bad)-1] ^= 1
	corrupt := produceOf("behind", 0, bad)
	unanswered := produceOf("behind", 0, recordsOf(t, 1))
	for name, first := range map[string][]byte{
		"cut short": cut, "failed with acks=0": w.frame(failing),
		"failed with acks=0 among its like": append(w.frame(corrupt), w.frame(unanswered)...),
	} {
		other := dial(t, b)
		if _, err := other.conn.Write(append(first, other.frame(good)...)); err != nil {
			t.Fatal(err)
		}
		if id, _, err := other.receive(); err == nil {
			t.Fatalf("%s: request %d was answered", name, id)
		}
	}
	list := kmsg.NewPtrListOffsetsRequest()
	list.Version, list.ReplicaID = 7, -1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = "behind"
	partition := kmsg.NewListOffsetsRequestTopicPartition()
	partition.Timestamp, partition.CurrentLeaderEpoch = -1, -1
	topic.Partitions = append(topic.Partitions, partition)
	list.Topics = append(list.Topics, topic)
	resp := w.call(list).(*kmsg.ListOffsetsResponse)
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 || p.Offset != 0 {
		t.Errorf("end offset %d, error %d; want nothing appended", p.Offset, p.ErrorCode)
	}
}

// What was asked before bytes that are no request is answered, be it still waiting when
// they arrive.
func TestRequestsBeforeABadFrameAreAnswered(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	makeTopic(w, "before")
	waiting := fetchOf("before", 0, 1<<20)
	waiting.MaxWaitMillis, waiting.MinBytes = 50, 1
	first := w.next
	all := w.frame(waiting)
	all = append(all, 0, 0, 0, 4, 0x7f, 0xff, 0, 0)
	if _, err := w.conn.Write(all); err != nil {
		t.Fatal(err)
	}
	if id, _, err := w.receive(); err != nil || id != first+1 {
		t.Fatalf("answer to request %d: %v; want %d", id, err, first+1)
	}
	if _, _, err := w.receive(); err == nil {
		t.Error("the connection is still open")
	}
}

// So it is on a SASL listener for a client that has proved who it is.
func TestRequestsBeforeOneThatIsTooLargeAreAnswered(t *testing.T) {
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", "socket.request.max.bytes=100000")...)
	w := dial(t, b)
	if resp := w.authenticate("alice", "secret"); resp.ErrorCode != 0 {
		t.Fatal(resp)
	}
	makeTopic(w, "before")
	waiting := fetchOf("before", 0, 1<<20)
	waiting.MaxWaitMillis, waiting.MinBytes = 50, 1
	all := append(w.frame(waiting), 0, 0x10, 0, 0, 0, 0)
	if _, err := w.conn.Write(all); err != nil {
		t.Fatal(err)
	}
	if id, _, err := w.receive(); err != nil || id != w.next {
		t.Fatalf("answer to request %d: %v; want %d", id, err, w.next)
	}
	if _, _, err := w.receive(); err == nil {
		t.Error("the connection is still open")
	}
}
