package broker_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// exchange sends the same frame and reads its answer, again and again, without allocating.
type exchange struct {
	conn  net.Conn
	frame []byte
	size  [4]byte
	body  []byte
}

func (x *exchange) once(tb testing.TB) []byte {
	if _, err := x.conn.Write(x.frame); err != nil {
		tb.Fatal(err)
	}
	if _, err := io.ReadFull(x.conn, x.size[:]); err != nil {
		tb.Fatal(err)
	}
	n := int(binary.BigEndian.Uint32(x.size[:]))
	if n > len(x.body) {
		x.body = make([]byte, n)
	}
	if _, err := io.ReadFull(x.conn, x.body[:n]); err != nil {
		tb.Fatal(err)
	}
	return x.body[:n]
}

// allocations is how many objects the process allocates per exchange, in the long run.
func (x *exchange) allocations(t *testing.T) float64 {
	t.Helper()
	x.conn.SetDeadline(time.Now().Add(time.Minute))
	for range 100 { // fill the pools
		x.once(t)
	}
	return testing.AllocsPerRun(1000, func() { x.once(t) })
}

func recordsOf(t testing.TB, count int) []byte {
	t.Helper()
	records := make([]protocol.Record, count)
	for i := range records {
		records[i] = protocol.Record{Key: []byte("key"), Value: make([]byte, 20), Timestamp: time.Now().UnixMilli()}
	}
	batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, records...)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func makeTopic(w *wire, name string) {
	w.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(4)
	req.AllowAutoTopicCreation = true
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req.Topics = append(req.Topics, topic)
	w.call(req)
}

func produceOf(topic string, acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = acks, 30_000
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = topic
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Records = records
	pt.Partitions = append(pt.Partitions, pp)
	req.Topics = append(req.Topics, pt)
	return req
}

func fetchOf(topic string, offset int64, maxBytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(12)
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionEpoch = 1000, 1, maxBytes, -1
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = topic
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.FetchOffset, fp.PartitionMaxBytes, fp.CurrentLeaderEpoch = offset, maxBytes, -1
	ft.Partitions = append(ft.Partitions, fp)
	req.Topics = append(req.Topics, ft)
	return req
}

// What a produce or a fetch allocates must not depend on its records, and must not grow
// with the requests before it; the figures are what is allowed per request.
func TestProduceAndFetchAllocateNothingPerRecord(t *testing.T) {
	if raceDetector {
		t.Skip("pools forget under the race detector")
	}
	b := brokertest.Start(t)
	w := dial(t, b)
	makeTopic(w, "allocations")
	for _, acks := range []int16{1, -1} {
		for _, records := range []int{1, 1000} {
			x := &exchange{conn: w.conn, frame: w.frame(produceOf("allocations", acks, recordsOf(t, records)))}
			if got := x.allocations(t); got > allowedProduce {
				t.Errorf("a produce with acks=%d of %d records allocates %v times, want at most %d", acks, records, got, allowedProduce)
			}
		}
	}
	makeTopic(w, "fetched")
	w.call(produceOf("fetched", -1, recordsOf(t, 1)))
	for range 100 {
		w.call(produceOf("fetched", -1, recordsOf(t, 1000)))
	}
	for _, tt := range []struct {
		offset   int64
		maxBytes int32
	}{{0, 100}, {1, 30_000}, {1, 1 << 20}} {
		x := &exchange{conn: w.conn, frame: w.frame(fetchOf("fetched", tt.offset, tt.maxBytes))}
		if body := x.once(t); len(body) < int(tt.maxBytes)/2 {
			t.Fatalf("only %d bytes were fetched", len(body))
		}
		if got := x.allocations(t); got > allowedFetch {
			t.Errorf("a fetch of up to %d bytes allocates %v times, want at most %d", tt.maxBytes, got, allowedFetch)
		}
	}
}

// What is allowed per request, whatever is in it.
const (
	allowedProduce = 0
	allowedFetch   = 0
)

func BenchmarkRoundTrip(b *testing.B) {
	broker := brokertest.Start(b)
	conn, err := net.Dial("tcp", broker.Address())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	w := &wire{conn: conn}
	topic := "bench"
	m := kmsg.NewPtrMetadataRequest()
	m.SetVersion(4)
	m.AllowAutoTopicCreation = true
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = &topic
	m.Topics = append(m.Topics, mt)
	(&exchange{conn: conn, frame: w.frame(m)}).once(b)
	for _, acks := range []int16{1, -1} {
		for _, records := range []int{1, 1000} {
			b.Run(fmt.Sprintf("produce/acks=%d/records=%d", acks, records), func(b *testing.B) {
				x := &exchange{conn: conn, frame: w.frame(produceOf(topic, acks, recordsOf(b, records)))}
				b.SetBytes(int64(len(x.frame)))
				b.ReportAllocs()
				for b.Loop() {
					x.once(b)
				}
			})
		}
	}
	for _, maxBytes := range []int32{100, 1 << 20} {
		b.Run(fmt.Sprintf("fetch/bytes=%d", maxBytes), func(b *testing.B) {
			x := &exchange{conn: conn, frame: w.frame(fetchOf(topic, 0, maxBytes))}
			b.SetBytes(int64(len(x.once(b))))
			b.ReportAllocs()
			for b.Loop() {
				x.once(b)
			}
		})
	}
}
