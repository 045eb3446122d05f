package broker_test

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What a fetch takes that waits counts, and it does not keep others out for long.
func TestFetchesThatWaitAreCounted(t *testing.T) {
	b := brokertest.Start(t, "socket.request.max.bytes=200000", "queued.max.request.bytes=1000000")
	w := dial(t, b)
	makeTopic(w, "counted")
	large := func(partitions int) *kmsg.FetchRequest {
		fetch := fetchOf("counted", 0, 1000)
		fetch.MaxWaitMillis = 1<<31 - 1
		topic := &fetch.Topics[0]
		for range partitions - 1 {
			topic.Partitions = append(topic.Partitions, topic.Partitions[0])
		}
		return fetch
	}
	held := func() int64 { _, held := b.Broker().Panics(); return held }
	first, second := dial(t, b), dial(t, b)
	first.send(large(1000))
	eventually(t, func() bool { return held() > 200_000 })
	time.Sleep(300 * time.Millisecond)
	if held() < 200_000 {
		t.Fatal("it has not waited")
	}
	// There is no room for both. The first gives way, and the second takes too much to wait.
	if resp := second.call(large(1500)).(*kmsg.FetchResponse); len(resp.Topics[0].Partitions) != 1500 {
		t.Fatal(len(resp.Topics[0].Partitions))
	}
	if _, _, err := first.receive(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return held() == 0 })
}

// A connection that waits for memory has sent what it could.
func TestAnswersDoNotWaitForMemory(t *testing.T) {
	b := brokertest.Start(t)
	release := b.Broker().HoldMemory()
	defer release()
	w := dial(t, b)
	makeTopic(w, "answered")
	metadata := kmsg.NewPtrMetadataRequest()
	for range 2000 {
		metadata.Topics = append(metadata.Topics, kmsg.NewMetadataRequestTopic())
		metadata.Topics[len(metadata.Topics)-1].Topic = kmsg.StringPtr("no topic")
	}
	frames := w.frame(kmsg.NewPtrApiVersionsRequest())
	for range 3 { // which are appended together
		frames = append(frames, w.frame(produceOf("answered", 1, recordsOf(t, 1)))...)
	}
	frames = append(frames, w.frame(metadata)...)
	if _, err := w.conn.Write(frames); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if _, _, err := w.receive(); err != nil {
			t.Fatal(err)
		}
	}
	release()
	if _, _, err := w.receive(); err != nil {
		t.Fatal(err)
	}
}
