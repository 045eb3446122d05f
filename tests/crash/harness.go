package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// harness runs one broker through all its kills.
type harness struct {
	kind    peers.Kind
	dir     string
	random  *rand.Rand
	longest time.Duration

	broker    *peers.Broker
	ledger    *ledger
	producers []*producer
	backAfter []time.Duration // from exec to the first acknowledgement
	readCount int
	verified  map[string][]int64 // by topic: offset of each partition up to which all was read

	commitMu  sync.Mutex
	committed int64 // last offset whose commit was acknowledged
}

const (
	partitionCount = 2
	patience       = 2 * time.Minute
	group          = "crash-group"
)

// topics and how their producers send.
var topics = []struct {
	name       string
	acks       kgo.Acks
	idempotent bool
	codec      kgo.CompressionCodec
}{
	{"crash-idempotent", kgo.AllISRAcks(), true, kgo.NoCompression()},
	{"crash-lz4", kgo.AllISRAcks(), true, kgo.Lz4Compression()},
	{"crash-all", kgo.AllISRAcks(), false, kgo.NoCompression()},
	{"crash-one", kgo.LeaderAck(), false, kgo.NoCompression()},
}

func (h *harness) close() {
	for _, p := range h.producers {
		p.client.Close()
	}
	if h.broker != nil {
		h.broker.Close()
	}
}

func (h *harness) run(ctx context.Context, kills int) error {
	cache, err := peers.OpenCache(nil)
	if err != nil {
		return err
	}
	h.ledger = newLedger()
	h.verified = map[string][]int64{}
	if h.broker, err = cache.StartBroker(h.kind, peers.BrokerOptions{Dir: filepath.Join(h.dir, "broker"), Config: brokerConfig()}); err != nil {
		return err
	}
	if err := h.createTopics(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, t := range topics {
		if err := h.addProducer(ctx, &wg, t.name, "long-"+t.name, t.acks, t.idempotent, t.codec); err != nil {
			return err
		}
	}
	wg.Go(func() { h.commit(ctx) })
	for n := range kills {
		if err := h.cycle(ctx, &wg, n); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		fmt.Printf("kill %d: %d acknowledged so far, back after %v\n", n+1, h.ledger.ackedCount(), h.backAfter[n].Round(time.Millisecond))
	}
	cancel()
	wg.Wait()
	return h.finish()
}

// cycle loads, kills, starts and checks once.
func (h *harness) cycle(ctx context.Context, wg *sync.WaitGroup, n int) error {
	// A producer that is born in this cycle must not get an id that was given out before.
	name := fmt.Sprintf("born-%d", n)
	if err := h.addProducer(ctx, wg, "crash-idempotent", name, kgo.AllISRAcks(), true, kgo.NoCompression()); err != nil {
		return err
	}
	if err := h.waitForProgress(); err != nil {
		return fmt.Errorf("before the kill: %w", err)
	}
	time.Sleep(time.Duration(h.random.Int63n(int64(h.longest))))
	h.broker.Kill()
	h.commitMu.Lock()
	committed := h.committed
	h.commitMu.Unlock()
	acked := h.ledger.snapshotAcked()
	if h.random.Intn(3) == 0 {
		torn, err := tearTails(h.broker.DataDir, h.random)
		if err != nil {
			return err
		}
		fmt.Printf("kill %d: garbage at the end of %d segments\n", n+1, torn)
	}
	if err := h.broker.StartOnly(); err != nil {
		return err
	}
	if err := h.waitForProgress(); err != nil {
		return fmt.Errorf("after the restart: %w", err)
	}
	h.backAfter = append(h.backAfter, h.firstAck().Sub(h.broker.Started))
	if err := h.verify(acked); err != nil {
		return err
	}
	if err := h.verifyCommit(committed); err != nil {
		return err
	}
	h.retire(name)
	return h.ledger.failure()
}

// finish checks the whole log, stops the broker cleanly, and checks it again.
func (h *harness) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, p := range h.producers {
		if err := p.client.Flush(ctx); err != nil {
			return fmt.Errorf("producer %s: %w", p.name, err)
		}
	}
	if err := h.ledger.failure(); err != nil {
		return err
	}
	for _, when := range []string{"at the end", "after a clean restart"} {
		h.verified = map[string][]int64{}
		h.readCount = 0
		if err := h.verify(h.ledger.snapshotAcked()); err != nil {
			return fmt.Errorf("%s: %w", when, err)
		}
		if when == "at the end" {
			if err := h.broker.Stop(patience); err != nil {
				return err
			}
			if err := h.broker.Start(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *harness) createTopics(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(h.broker.Addr))
	if err != nil {
		return err
	}
	defer client.Close()
	for _, t := range topics {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, partitionCount, 1, nil, t.name); err != nil {
			return fmt.Errorf("create %s: %w", t.name, err)
		}
	}
	return nil
}

// waitForProgress waits until each live producer has had another record acknowledged.
func (h *harness) waitForProgress() error {
	start := map[string]int64{}
	for _, p := range h.producers {
		start[p.name] = h.ledger.acksOf(p.name)
	}
	deadline := time.Now().Add(patience)
	for _, p := range h.producers {
		for !p.retired() && h.ledger.acksOf(p.name) == start[p.name] {
			if err := h.ledger.failure(); err != nil {
				return err
			}
			select {
			case <-h.broker.Done():
				return fmt.Errorf("the broker ended by itself: %v, see %s", h.broker.Err(), h.broker.LogPath)
			default:
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("no record of %s was acknowledged within %v", p.name, patience)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// firstAck is when the first record was acknowledged after the broker's last start.
func (h *harness) firstAck() time.Time {
	first := time.Now()
	for _, p := range h.producers {
		if at := p.firstAckAfter(h.broker.Started); !at.IsZero() && at.Before(first) {
			first = at
		}
	}
	return first
}

// verify reads all topics from where it last stopped to their ends and checks.
func (h *harness) verify(acked map[place]id) error {
	for _, t := range topics {
		from := h.verified[t.name]
		if from == nil {
			from = make([]int64, partitionCount)
		}
		read, ends, err := h.read(t.name, from)
		if err != nil {
			return fmt.Errorf("read %s: %w", t.name, err)
		}
		covered := func(p place) bool {
			return p.topic == t.name && p.offset >= from[p.partition] && (p.offset < ends[p.partition] || acked[p] != id{})
		}
		found := map[place]id{}
		for partition, records := range read {
			for n, i := range records {
				found[place{t.name, int32(partition), from[partition] + int64(n)}] = i
			}
		}
		if err := h.ledger.check(found, acked, covered); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		h.readCount += len(found)
		if from[0] == 0 && from[1] == 0 {
			for partition, records := range read {
				if err := checkOrder(int32(partition), records, func(string) bool { return t.idempotent }); err != nil {
					return fmt.Errorf("%s: %w", t.name, err)
				}
			}
		}
		h.verified[t.name] = ends
	}
	return nil
}

// read returns the records of a topic, by partition, from some offsets to the ends there
// are when it begins.
func (h *harness) read(topic string, from []int64) (records [][]id, ends []int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	offsets := map[int32]kgo.Offset{}
	for p, o := range from {
		offsets[int32(p)] = kgo.NewOffset().At(o)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(h.broker.Addr), kgo.FetchMaxWait(200*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, nil, err
	}
	records, ends = make([][]id, partitionCount), make([]int64, partitionCount)
	missing := int64(0)
	for p := range ends {
		ends[p] = listed[topic][int32(p)].Offset
		if ends[p] < from[p] {
			return nil, nil, fmt.Errorf("partition %d ends at %d; %d was read before", p, ends[p], from[p])
		}
		missing += ends[p] - from[p]
	}
	for missing > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && !errors.Is(err, kerr.NotLeaderForPartition) {
			return nil, nil, fmt.Errorf("with %d records to come: %w", missing, err)
		}
		var failed error
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= ends[r.Partition] || failed != nil {
				return
			}
			if due := from[r.Partition] + int64(len(records[r.Partition])); r.Offset != due {
				failed = fmt.Errorf("partition %d: offset %d where %d was due", r.Partition, r.Offset, due)
				return
			}
			i, err := parseID(r.Value)
			if err != nil {
				failed = fmt.Errorf("partition %d offset %d: %w", r.Partition, r.Offset, err)
				return
			}
			records[r.Partition] = append(records[r.Partition], i)
			missing--
		})
		if failed != nil {
			return nil, nil, failed
		}
	}
	return records, ends, nil
}

// commit commits ever higher offsets of a group.
func (h *harness) commit(ctx context.Context) {
	client, err := kgo.NewClient(append(clientOptions(), kgo.SeedBrokers(h.broker.Addr))...)
	if err != nil {
		h.ledger.noteFailure(err)
		return
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for next := int64(1); ctx.Err() == nil; next++ {
		var offsets kadm.Offsets
		offsets.AddOffset("crash-one", 0, next, -1)
		one, cancel := context.WithTimeout(ctx, 3*time.Second)
		answer, err := admin.CommitOffsets(one, group, offsets)
		cancel()
		if err == nil && answer.Error() == nil {
			h.commitMu.Lock()
			h.committed = next
			h.commitMu.Unlock()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *harness) verifyCommit(atLeast int64) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client, err := kgo.NewClient(append(clientOptions(), kgo.SeedBrokers(h.broker.Addr))...)
	if err != nil {
		return err
	}
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, group)
	if err != nil {
		return fmt.Errorf("fetch the committed offsets: %w", err)
	}
	if got, ok := offsets.Lookup("crash-one", 0); atLeast > 0 && (!ok || got.At < atLeast) {
		return fmt.Errorf("the group's offset is %d; %d was acknowledged", got.At, atLeast)
	}
	return nil
}

// retire ends the producer that was born in the last cycle.
func (h *harness) retire(name string) {
	for _, p := range h.producers {
		if p.name == name {
			p.stop()
		}
	}
}

func clientOptions() []kgo.Opt {
	return []kgo.Opt{
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.RequestRetries(1 << 30),
		kgo.RetryTimeout(patience),
		kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.UnknownTopicRetries(-1),
	}
}

var padding = strings.Repeat(".", 120)
