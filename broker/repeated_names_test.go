package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/repeats"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestAResourceNamedAgainAndAgainDoesNotMakeAnAnswerLarge(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "t")
	w := dial(t, b)
	for kind, name := range map[kmsg.ConfigResourceType]func(int) string{
		kmsg.ConfigResourceTypeTopic:  func(int) string { return "t" },
		kmsg.ConfigResourceTypeBroker: func(i int) string { return fmt.Sprintf("%0*d", 1+i%9, 1) },
	} {
		const times = 3000
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.SetVersion(4)
		req.IncludeSynonyms, req.IncludeDocumentation = true, true
		for i := range times {
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName = kind, name(i)
			req.Resources = append(req.Resources, r)
		}
		resp := w.call(req).(*kmsg.DescribeConfigsResponse)
		if len(resp.Resources) != times || resp.Resources[0].ErrorCode != 0 || resp.Resources[1].ErrorCode != 0 {
			t.Fatalf("%v: %d resources, the first %+v", kind, len(resp.Resources), resp.Resources[0].ErrorCode)
		}
		if last := resp.Resources[times-1]; protocol.ErrorCode(last.ErrorCode) != protocol.ErrInvalidRequest {
			t.Errorf("%v: the last has %v", kind, protocol.ErrorCode(last.ErrorCode))
		}
		if size := len(resp.AppendTo(nil)); size > 2*repeats.Max {
			t.Errorf("%v: an answer of %d bytes", kind, size)
		}
	}
	// Another number is not this broker's, however it is cut.
	req := kmsg.NewPtrDescribeConfigsRequest()
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeBroker, fmt.Sprint(int64(1)+1<<32)
	req.Resources = append(req.Resources, r)
	if code := w.call(req).(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode; protocol.ErrorCode(code) != protocol.ErrInvalidRequest {
		t.Error(protocol.ErrorCode(code))
	}
}

func TestAPartitionNamedAgainAndAgainDoesNotTellItsProducersEachTime(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "t")
	w := dial(t, b)
	for id := range int64(40) {
		batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{Producer: &protocol.Producer{ID: id + 1}}, protocol.Record{Value: []byte("v")})
		if err != nil {
			t.Fatal(err)
		}
		w.produceBatch("t", batch)
	}
	const times = 20000
	req := kmsg.NewPtrDescribeProducersRequest()
	topic := kmsg.NewDescribeProducersRequestTopic()
	topic.Topic, topic.Partitions = "t", make([]int32, times)
	req.Topics = append(req.Topics, topic)
	resp := w.call(req).(*kmsg.DescribeProducersResponse)
	partitions := resp.Topics[0].Partitions
	if len(partitions) != times || len(partitions[1].ActiveProducers) != 40 {
		t.Fatalf("%d partitions", len(partitions))
	}
	if last := partitions[times-1]; protocol.ErrorCode(last.ErrorCode) != protocol.ErrInvalidRequest || len(last.ActiveProducers) != 0 {
		t.Errorf("the last has %v", protocol.ErrorCode(last.ErrorCode))
	}
	if size := len(resp.AppendTo(nil)); size > 2*repeats.Max+times*128 {
		t.Errorf("an answer of %d bytes", size)
	}
}

// Each number is four bytes in the request, and an answer's some hundred bytes.
func TestARequestThatNamesMillionsIsRefusedAndOneThatNamesThousandsIsNot(t *testing.T) {
	b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0", "socket.request.max.bytes=20000000", "queued.max.request.bytes=20000000")
	naming := func(partitions int) *kmsg.OffsetFetchRequest {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.SetVersion(7)
		req.Group = "g"
		topic := kmsg.NewOffsetFetchRequestTopic()
		topic.Topic, topic.Partitions = "t", make([]int32, partitions)
		req.Topics = append(req.Topics, topic)
		return req
	}
	w := dialAddress(t, b.address)
	find := kmsg.NewPtrFindCoordinatorRequest() // makes the offsets topic
	find.CoordinatorKey = "g"
	w.call(find)
	if resp := w.call(naming(10_000)).(*kmsg.OffsetFetchResponse); len(resp.Topics[0].Partitions) != 10_000 {
		t.Fatalf("%d partitions", len(resp.Topics[0].Partitions))
	}
	go w.conn.Write(w.frame(naming(3_000_000)))
	if _, _, err := w.receive(); err == nil {
		t.Fatal("three million were answered")
	}
	eventually(t, func() bool { return strings.Contains(b.log.String(), "3000001 elements would take") })
	if resp := dialAddress(t, b.address).call(naming(1)).(*kmsg.OffsetFetchResponse); resp.ErrorCode != 0 {
		t.Error(protocol.ErrorCode(resp.ErrorCode))
	}
}
