package broker_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// randomRequest is mostly a Produce of some kind, else what shows its effect. It says
// whether there will be an answer.
func randomRequest(t *testing.T, r *rand.Rand, now int64) (req kmsg.Request, answered bool) {
	t.Helper()
	topic := []string{"a", "a", "a", "b", "nowhere"}[r.IntN(5)]
	partition := int32(r.IntN(8))
	if r.IntN(3) > 0 {
		partition = 0
	}
	if r.IntN(10) == 0 {
		list := kmsg.NewPtrListOffsetsRequest()
		list.SetVersion(5)
		lt := kmsg.NewListOffsetsRequestTopic()
		lt.Topic = topic
		lp := kmsg.NewListOffsetsRequestTopicPartition()
		lp.Partition, lp.Timestamp = partition, -1
		lt.Partitions = append(lt.Partitions, lp)
		list.Topics = append(list.Topics, lt)
		return list, true
	}
	opts := protocol.BatchOptions{}
	if r.IntN(3) == 0 {
		opts.Producer = &protocol.Producer{ID: 1, BaseSequence: int32(r.IntN(4))}
	}
	records := make([]protocol.Record, 1+r.IntN(2))
	for i := range records {
		records[i] = protocol.Record{Value: make([]byte, r.IntN(200)), Timestamp: now}
	}
	batch, err := protocol.AppendBatch(nil, opts, records...)
	if err != nil {
		t.Fatal(err)
	}
	produce := produceOf(topic, int16(r.IntN(3)-1), batch)
	produce.SetVersion(int16(3 + r.IntN(10)))
	if r.IntN(10) == 0 {
		produce.Acks = 7
	}
	produce.Topics[0].Partitions[0].Partition = partition
	switch r.IntN(20) {
	case 0:
		batch[len(batch)-1] ^= 1
	case 1:
		produce.Topics[0].Partitions[0].Records = nil
	case 2:
		produce.Topics = append(produce.Topics, produceOf("b", 1, batch).Topics...)
	}
	if produce.Acks == 0 { // an error would end the connection
		produce.Topics = produceOf("a", 0, recordsOf(t, 1)).Topics
	}
	return produce, produce.Acks != 0
}

// Whether requests come one by one or all at once, they are answered the same and have the
// same effects.
func TestAPipelineIsAnsweredAsItsRequestsAreOneByOne(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	now := time.Now().UnixMilli()
	var answers [2][][]byte
	for pipelined := range 2 {
		r := rand.New(rand.NewPCG(seed, 1))
		w := dial(t, brokertest.Start(t, "num.partitions=3"))
		makeTopic(w, "a")
		makeTopic(w, "b")
		var all []byte
		due := 0
		receive := func() {
			for ; due > 0; due-- {
				_, body, err := w.receive()
				if err != nil {
					t.Fatal(err)
				}
				answers[pipelined] = append(answers[pipelined], body)
			}
		}
		for i := range 600 {
			req, answered := randomRequest(t, r, now)
			all = append(all, w.frame(req)...)
			if answered {
				due++
			}
			if pipelined == 0 || i%200 == 199 {
				if _, err := w.conn.Write(all); err != nil {
					t.Fatal(err)
				}
				all = nil
				receive()
			}
		}
	}
	if len(answers[0]) != len(answers[1]) {
		t.Fatalf("%d answers and %d", len(answers[0]), len(answers[1]))
	}
	for i := range answers[0] {
		if !bytes.Equal(answers[0][i], answers[1][i]) {
			t.Fatalf("answer %d:\n%x one by one\n%x in a pipeline", i, answers[0][i], answers[1][i])
		}
	}
}

// What was sent before bytes that are no request is done and answered.
func TestWhatComesBeforeABadFrameIsAnswered(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	makeTopic(w, "a")
	var all []byte
	for range 5 {
		all = append(all, w.frame(produceOf("a", 1, recordsOf(t, 1)))...)
	}
	w.conn.Write(append(all, 0xff, 0xff, 0xff, 0xff))
	for i := range 5 {
		if _, _, err := w.receive(); err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
	}
	if _, _, err := w.receive(); err == nil {
		t.Fatal("the connection goes on")
	}
}
