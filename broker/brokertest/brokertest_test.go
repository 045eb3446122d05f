package brokertest_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func admin(t testing.TB, b *brokertest.Broker) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

func TestATopicIsThereWithItsLeaderWhenItsCreationIsAnswered(t *testing.T) {
	b := brokertest.Start(t)
	adm := admin(t, b)
	if _, err := adm.CreateTopic(context.Background(), 3, 1, nil, "at-once"); err != nil {
		t.Fatal(err)
	}
	topics, err := adm.ListTopics(context.Background(), "at-once")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range topics["at-once"].Partitions {
		if p.Leader != 1 || p.Err != nil {
			t.Errorf("partition %d: leader %d, %v", p.Partition, p.Leader, p.Err)
		}
	}
	if n := len(topics["at-once"].Partitions); n != 3 {
		t.Errorf("%d partitions", n)
	}
}

// BenchmarkPartitions creates a topic of 10,000 partitions and reports what one costs at
// rest.
func BenchmarkPartitions(b *testing.B) {
	const count = 10_000
	for b.Loop() {
		broker := brokertest.Start(b)
		adm := admin(b, broker)
		before := heap()
		if _, err := adm.CreateTopic(context.Background(), count, 1, nil, "many"); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/count, "heap-B/partition")
		b.StopTimer()
		broker.Stop()
		b.StartTimer()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
