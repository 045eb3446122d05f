package broker_test

import (
	"context"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kgo"
)

// With durable acknowledgements, and with flush.messages=1, every acknowledgement waits for
// a sync of the log; many producers share syncs and all are answered.
func TestDurableAcknowledgementsAreGivenToAll(t *testing.T) {
	for _, option := range []string{"barnabas.durable.acks=true", "log.flush.interval.messages=1", "log.flush.interval.messages=7"} {
		t.Run(option, func(t *testing.T) {
			b := brokertest.Start(t, option, "num.partitions=3")
			for _, acks := range []kgo.Acks{kgo.AllISRAcks(), kgo.LeaderAck()} {
				cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("durable"),
					kgo.RequiredAcks(acks), kgo.DisableIdempotentWrite(), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(50))
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				for range 300 {
					cl.Produce(ctx, kgo.StringRecord("v"), func(_ *kgo.Record, err error) {
						if err != nil {
							t.Error(err)
						}
					})
				}
				if err := cl.Flush(ctx); err != nil {
					t.Fatal(err)
				}
				cancel()
				cl.Close()
			}
			b.Restart()
			if got := consumeN(t, b, "durable", 600); got != 600 {
				t.Fatalf("%d records", got)
			}
		})
	}
}

// A replica moves to another data directory while it is written to, and nothing of it is lost.
func TestAReplicaMovesBetweenDataDirectoriesUnderLoad(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	b := brokertest.Start(t, "log.dirs="+first+","+second)
	produceN(t, b, "moving", 1000)
	from := dirOf(t, b, "moving", first, second)
	to := first
	if from == first {
		to = second
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		produceN(t, b, "moving", 5000)
	}()
	moveTo(t, b, "moving", to)
	<-done
	deadline := time.Now().Add(20 * time.Second)
	for dirOf(t, b, "moving", first, second) != to {
		if time.Now().After(deadline) {
			t.Fatal("the replica is still where it was")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := consumeN(t, b, "moving", 6000); got != 6000 {
		t.Fatalf("%d records", got)
	}
}
