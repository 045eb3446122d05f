package broker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is one raw connection of a test.
type wire struct {
	t    *testing.T
	conn net.Conn
	next int32
}

func dial(t *testing.T, b *brokertest.Broker) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", b.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &wire{t: t, conn: conn}
}

// frame encodes a request with its size and header.
func (w *wire) frame(req kmsg.Request) []byte {
	w.next++
	h := protocol.RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: w.next, ClientID: []byte("test")}
	b := protocol.AppendRequestHeader(make([]byte, 4), &h)
	b = req.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func (w *wire) send(req kmsg.Request) {
	w.t.Helper()
	if _, err := w.conn.Write(w.frame(req)); err != nil {
		w.t.Fatal(err)
	}
}

// receive reads the next answer's correlation id and body.
func (w *wire) receive() (int32, []byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(w.conn, size[:]); err != nil {
		return 0, nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(w.conn, b); err != nil {
		return 0, nil, err
	}
	return int32(binary.BigEndian.Uint32(b)), b[4:], nil
}

func (w *wire) call(req kmsg.Request) kmsg.Response {
	w.t.Helper()
	w.send(req)
	id, body, err := w.receive()
	if err != nil {
		w.t.Fatalf("%T v%d: %v", req, req.GetVersion(), err)
	}
	if id != w.next {
		w.t.Fatalf("correlation id %d, want %d", id, w.next)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() && req.Key() != protocol.KeyAPIVersions {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		w.t.Fatalf("%T v%d: %v", resp, req.GetVersion(), err)
	}
	return resp
}

func TestAVersionsRequestThatWeDoNotKnowIsAnsweredInTheFirstForm(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	req := kmsg.NewPtrApiVersionsRequest()
	req.SetVersion(4)
	frame := w.frame(req)
	binary.BigEndian.PutUint16(frame[6:], 99)
	w.conn.Write(frame)
	_, body, err := w.receive()
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{0, 35, 0, 0, 0, 1, 0, 18, 0, 0}
	if !bytes.HasPrefix(body, want) || len(body) != 12 {
		t.Fatalf("got % x, want % x and the newest version", body, want)
	}
}

// The seven bytes of a body that cost kmsg 44 seconds: a tag count of 2^32-1.
func TestApiVersionsBombClosesItsConnectionAndCostsNothing(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	bomb := []byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0x0f}
	h := protocol.RequestHeader{Key: protocol.KeyAPIVersions, Version: 3, CorrelationID: 1}
	frame := append(protocol.AppendRequestHeader(make([]byte, 4), &h), bomb...)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	w.conn.Write(frame)
	if _, _, err := w.receive(); !errors.Is(err, io.EOF) {
		t.Fatalf("the connection stays open: %v", err)
	}
	dial(t, b).call(kmsg.NewPtrApiVersionsRequest())
}

func TestMetadataThatCreatesATopicNamesItsLeaderInTheSameAnswer(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	for version := int16(0); version <= 13; version++ {
		name := fmt.Sprintf("new-%d", version)
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(version)
		req.AllowAutoTopicCreation = true
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
		resp := w.call(req).(*kmsg.MetadataResponse)
		if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != 0 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Leader != 1 {
			t.Errorf("v%d: %+v", version, resp.Topics)
		}
	}
}

// Who asks for a topic that was deleted a moment ago hears that it is gone, and finds the new one with its leader in the next answer.
func TestMetadataThatCreatesADeletedTopicAgainFirstSaysThatItIsGone(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	for version := int16(0); version <= 13; version++ {
		name := fmt.Sprintf("again-%d", version)
		req := kmsg.NewPtrMetadataRequest()
		req.SetVersion(version)
		req.AllowAutoTopicCreation = true
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
		first := w.call(req).(*kmsg.MetadataResponse).Topics[0]
		deletion := kmsg.NewPtrDeleteTopicsRequest()
		deletion.SetVersion(3)
		deletion.TopicNames, deletion.TimeoutMillis = []string{name}, 10_000
		if code := w.call(deletion).(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode; code != 0 {
			t.Fatalf("delete: %d", code)
		}
		second := w.call(req).(*kmsg.MetadataResponse).Topics[0]
		third := w.call(req).(*kmsg.MetadataResponse).Topics[0]
		if first.ErrorCode != 0 || third.ErrorCode != 0 || len(third.Partitions) != 1 {
			t.Errorf("v%d: first %+v, third %+v", version, first, third)
		}
		if version == 0 && (second.ErrorCode != 0 || len(second.Partitions) != 1) || version > 0 && (second.ErrorCode != 3 || len(second.Partitions) != 0) {
			t.Errorf("v%d: after the deletion: %+v", version, second)
		}
	}
}

// A fetch that waits must not keep the answer to a later request of its connection from
// being worked on, and the answers come in the order of the requests.
func TestRequestsOfOneConnectionWaitIndependentlyAndAreAnsweredInOrder(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	name := "order"
	m := kmsg.NewPtrMetadataRequest()
	m.SetVersion(1)
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	m.Topics = append(m.Topics, topic)
	w.call(m)

	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(4)
	fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes = 20_000, 1, 1<<20
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = name
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.PartitionMaxBytes = 1 << 20
	ft.Partitions = append(ft.Partitions, fp)
	fetch.Topics = append(fetch.Topics, ft)
	w.send(fetch) // waits for a record

	produce := kmsg.NewPtrProduceRequest()
	produce.SetVersion(9)
	produce.Acks, produce.TimeoutMillis = -1, 1000
	pt := kmsg.NewProduceRequestTopic()
	pt.Topic = name
	pp := kmsg.NewProduceRequestTopicPartition()
	pp.Records = oneRecord(t, "k", "v")
	pt.Partitions = append(pt.Partitions, pp)
	produce.Topics = append(produce.Topics, pt)
	w.send(produce) // the record it waits for, from behind

	for i := range 2 {
		id, _, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		if want := int32(2 + i); id != want {
			t.Fatalf("answer %d has correlation id %d, want %d", i, id, want)
		}
	}
}

func oneRecord(t *testing.T, key, value string) []byte {
	t.Helper()
	r := protocol.Record{Key: []byte(key), Value: []byte(value), Timestamp: time.Now().UnixMilli()}
	batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, r)
	if err != nil {
		t.Fatal(err)
	}
	return batch
}

func TestManyPipelinedRequestsAreAllAnswered(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	var all []byte
	const count = 5000
	for range count {
		all = append(all, w.frame(kmsg.NewPtrApiVersionsRequest())...)
	}
	go w.conn.Write(all)
	for i := range count {
		id, _, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		if id != int32(i+1) {
			t.Fatalf("answer %d has correlation id %d", i, id)
		}
	}
}

func TestFramesInPiecesAndOfAllSizesArriveWhole(t *testing.T) {
	b := brokertest.Start(t, "message.max.bytes=20000000")
	w := dial(t, b)
	for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 200 << 10, 1 << 20, 9 << 20, 10} {
		produce := kmsg.NewPtrProduceRequest()
		produce.SetVersion(9)
		produce.Acks, produce.TimeoutMillis = 1, 1000
		pt := kmsg.NewProduceRequestTopic()
		pt.Topic = "sizes"
		pp := kmsg.NewProduceRequestTopicPartition()
		pp.Records = oneRecord(t, "k", strings.Repeat("x", size))
		pt.Partitions = append(pt.Partitions, pp)
		produce.Topics = append(produce.Topics, pt)
		name := "sizes"
		m := kmsg.NewPtrMetadataRequest()
		m.SetVersion(1)
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		m.Topics = append(m.Topics, topic)
		// Two requests at once, cut at odd places.
		all := append(w.frame(m), w.frame(produce)...)
		for len(all) > 0 {
			n := min(len(all), 1+size/7)
			if _, err := w.conn.Write(all[:n]); err != nil {
				t.Fatal(err)
			}
			all = all[n:]
		}
		w.receive()
		_, body, err := w.receive()
		if err != nil {
			t.Fatal(err)
		}
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		resp.SetVersion(9)
		if err := resp.ReadFrom(body[1:]); err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatalf("%d bytes: %v %+v", size, err, resp)
		}
	}
}

func TestAFrameThatIsTooLargeOrEmptyClosesItsConnectionOnly(t *testing.T) {
	b := brokertest.Start(t)
	other := dial(t, b)
	for _, size := range []uint32{0, 1 << 31, 104857601} {
		w := dial(t, b)
		w.conn.Write(binary.BigEndian.AppendUint32(nil, size))
		if _, _, err := w.receive(); !errors.Is(err, io.EOF) {
			t.Errorf("size %d: %v", size, err)
		}
	}
	other.call(kmsg.NewPtrApiVersionsRequest())
}

func TestRecordsAreReadBackAfterARestart(t *testing.T) {
	b := brokertest.Start(t)
	produceN(t, b, "kept", 100)
	b.Restart()
	produceN(t, b, "kept", 100)
	if got := consumeN(t, b, "kept", 200); got != 200 {
		t.Fatalf("%d records", got)
	}
}

func produceN(t *testing.T, b *brokertest.Broker, topic string, n int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range n {
		cl.Produce(context.Background(), kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func consumeN(t *testing.T, b *brokertest.Broker, topic string, n int) int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got := 0
	for got < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		got += fetches.NumRecords()
	}
	return got
}

func TestAnUnfinishedFetchEndsWithItsConnection(t *testing.T) {
	b := brokertest.Start(t)
	produceN(t, b, "gone", 1)
	w := dial(t, b)
	fetch := kmsg.NewPtrFetchRequest()
	fetch.SetVersion(4)
	fetch.MaxWaitMillis, fetch.MinBytes, fetch.MaxBytes = 1<<30, 1<<20, 1<<20
	ft := kmsg.NewFetchRequestTopic()
	ft.Topic = "gone"
	fp := kmsg.NewFetchRequestTopicPartition()
	fp.FetchOffset, fp.PartitionMaxBytes = 1, 1<<20
	ft.Partitions = append(ft.Partitions, fp)
	fetch.Topics = append(fetch.Topics, ft)
	w.send(fetch)
	w.conn.(*net.TCPConn).CloseWrite()
	w.conn.Close()
	// Stop waits for every connection and every waiting request; it must not wait 12 days.
	b.Stop()
}
