package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// producer sends numbered records to all partitions of one topic until it is stopped.
type producer struct {
	name   string
	topic  string
	client *kgo.Client
	stop   context.CancelFunc
	done   context.Context

	mu   sync.Mutex
	acks []time.Time // when records were acknowledged; old ones are dropped
}

// maxUnacked bounds what a producer has under way: enough for several requests.
const maxUnacked = 300

func (h *harness) addProducer(ctx context.Context, wg *sync.WaitGroup, topic, name string, acks kgo.Acks, idempotent bool, codec kgo.CompressionCodec) error {
	opts := append(clientOptions(), kgo.SeedBrokers(h.broker.Addr), kgo.ClientID(name), kgo.RequiredAcks(acks),
		kgo.ProducerBatchCompression(codec), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(4096), kgo.ProducerLinger(time.Millisecond),
		kgo.RecordRetries(1<<30), kgo.MaxBufferedRecords(maxUnacked))
	if idempotent {
		// A producer that lost its state on the broker has to fail, not to begin anew.
		opts = append(opts, kgo.StopProducerOnDataLossDetected())
	} else {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	p := &producer{name: name, topic: topic, client: client}
	p.done, p.stop = context.WithCancel(ctx)
	h.producers = append(h.producers, p)
	wg.Go(func() { p.run(h.ledger) })
	return nil
}

func (p *producer) retired() bool { return p.done.Err() != nil }

func (p *producer) run(l *ledger) {
	for seq := int64(0); p.done.Err() == nil; seq++ {
		for partition := range int32(partitionCount) {
			i := id{p.name, partition, seq}
			l.noteSent(i)
			// Not with the context that stops us: a record once begun is seen through.
			p.client.Produce(context.Background(), &kgo.Record{Topic: p.topic, Partition: partition,
				Value: []byte(i.String() + " " + padding)}, func(r *kgo.Record, err error) {
				if err != nil {
					if !errors.Is(err, kgo.ErrClientClosed) {
						l.noteFailure(fmt.Errorf("producer %s, record %v: %w", p.name, i, err))
					}
					return
				}
				l.noteAck(place{p.topic, partition, r.Offset}, i)
				p.noteAck()
			})
		}
		if seq%8 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
	}
}

func (p *producer) noteAck() {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.acks) == 0 || now.Sub(p.acks[len(p.acks)-1]) > time.Millisecond {
		p.acks = append(p.acks, now)
	}
}

// firstAckAfter returns when the first record after a moment was acknowledged, or zero,
// and forgets the earlier ones.
func (p *producer) firstAckAfter(moment time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n, at := range p.acks {
		if at.After(moment) {
			p.acks = p.acks[n:]
			return at
		}
	}
	p.acks = nil
	return time.Time{}
}
