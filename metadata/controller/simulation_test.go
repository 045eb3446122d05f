package controller

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

var simSeed = flag.Uint64("sim.seed", 0, "run this history only")

// world is a cluster of brokers that come, go, fall silent, shrink and grow ISRs, and of
// admins that do what they like, all chosen by one seed.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	now   time.Time
	c     *Controller
	image *metadata.Image
	ids   uint64
	// history of each partition of a topic id: epochs only grow.
	leaderEpochs, partitionEpochs map[partitionKey]int32
	leaders                       map[leadership]int32 // the one leader of each leader epoch
	brokerEpochs                  map[int32]int64
}

type leadership struct {
	partitionKey
	epoch int32
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), now: time.Unix(1e9, 0), image: metadata.EmptyImage(),
		leaderEpochs: map[partitionKey]int32{}, partitionEpochs: map[partitionKey]int32{}, leaders: map[leadership]int32{}, brokerEpochs: map[int32]int64{}}
	w.c = New(Options{LocalBroker: -1, DefaultPartitions: 3, DefaultReplicationFactor: 2, Rand: w.rng,
		Now: func() time.Time { return w.now }, NewUUID: w.newID})
	return w
}

func (w *world) newID() (id protocol.UUID) {
	w.ids++
	copy(id[:], fmt.Sprintf("%016d", w.ids))
	return id
}

func (w *world) apply(records []metadata.Record) {
	if len(records) == 0 {
		return
	}
	d := metadata.NewDraft(w.image)
	for _, r := range records {
		if err := d.Apply(r); err != nil {
			w.t.Fatalf("%#v: %v", r, err)
		}
	}
	var delta *metadata.Delta
	w.image, delta = d.Finish(w.image.Version() + 1)
	w.check(delta)
}

func (w *world) check(delta *metadata.Delta) {
	for _, p := range delta.Partitions {
		key := partitionKey{p.Topic.ID, p.Partition}
		after := p.After
		if old, ok := w.leaderEpochs[key]; ok && after.LeaderEpoch < old {
			w.t.Fatalf("%v: leader epoch %d after %d", p.TopicPartition(), after.LeaderEpoch, old)
		}
		if old, ok := w.partitionEpochs[key]; ok && after.PartitionEpoch <= old {
			w.t.Fatalf("%v: partition epoch %d after %d", p.TopicPartition(), after.PartitionEpoch, old)
		}
		w.leaderEpochs[key], w.partitionEpochs[key] = after.LeaderEpoch, after.PartitionEpoch
		if after.Leader != metadata.NoLeader {
			at := leadership{key, after.LeaderEpoch}
			if other, ok := w.leaders[at]; ok && other != after.Leader {
				w.t.Fatalf("%v: %d and %d lead in epoch %d", p.TopicPartition(), other, after.Leader, after.LeaderEpoch)
			}
			w.leaders[at] = after.Leader
		}
	}
	for topic := range w.image.Topics() {
		for i, p := range topic.Partitions {
			w.checkPartition(fmt.Sprintf("%s-%d", topic.Name, i), p)
		}
	}
	for _, b := range w.image.Brokers() {
		if b.Epoch < w.brokerEpochs[b.ID] {
			w.t.Fatalf("broker %d: epoch %d after %d", b.ID, b.Epoch, w.brokerEpochs[b.ID])
		}
		w.brokerEpochs[b.ID] = b.Epoch
	}
}

func (w *world) checkPartition(name string, p *metadata.Partition) {
	switch {
	case len(p.ISR) == 0 || len(p.Replicas) == 0:
		w.t.Fatalf("%s is empty: %+v", name, p)
	case !containsAll(p.Replicas, p.ISR):
		w.t.Fatalf("%s: the ISR is not of the replicas: %+v", name, p)
	case p.Leader != metadata.NoLeader && !slices.Contains(p.ISR, p.Leader):
		w.t.Fatalf("%s: the leader is not in sync: %+v", name, p)
	case p.Leader != metadata.NoLeader && !w.image.IsAlive(p.Leader):
		w.t.Fatalf("%s: broker %d leads and is not alive: %+v", name, p.Leader, p)
	case !containsAll(p.Replicas, p.Adding) || !containsAll(p.Replicas, p.Removing):
		w.t.Fatalf("%s: adding or removing is not of the replicas: %+v", name, p)
	case len(p.ISR) > 1 && slices.ContainsFunc(p.ISR, func(id int32) bool { return !isActive(w.image, id) }):
		w.t.Fatalf("%s: an inactive broker is in sync beside others: %+v", name, p)
	}
	if p.Leader == metadata.NoLeader {
		for _, id := range p.ISR {
			if isActive(w.image, id) {
				w.t.Fatalf("%s has no leader while %d could: %+v", name, id, p)
			}
		}
	}
}

func (w *world) randomPartition() (*metadata.Topic, int32) {
	n := w.image.TopicCount()
	if n == 0 {
		return nil, 0
	}
	n = w.rng.IntN(n)
	for t := range w.image.Topics() {
		if n == 0 {
			return t, w.rng.Int32N(int32(len(t.Partitions)))
		}
		n--
	}
	return nil, 0
}

func (w *world) step() {
	const brokers = 6
	id := w.rng.Int32N(brokers)
	topic, n := w.randomPartition()
	switch w.rng.IntN(14) {
	case 0, 1:
		previous := int64(-1)
		if b := w.image.Broker(id); b != nil && w.rng.IntN(2) == 0 {
			previous = b.Epoch
		}
		records, _, err := w.c.RegisterBroker(w.image, metadata.BrokerRegistration{ID: id, Incarnation: w.newID(), PreviousEpoch: previous,
			Rack: string(rune('a' + id%3)), LogDirs: []protocol.UUID{{1, 15: byte(id)}}, Fenced: w.rng.IntN(2) == 0}, w.image.Version()+1)
		if err == nil {
			w.apply(records)
		}
	case 2, 3, 4:
		if b := w.image.Broker(id); b != nil {
			records, _, err := w.c.Heartbeat(w.image, metadata.BrokerHeartbeat{ID: id, Epoch: b.Epoch, ImageVersion: w.image.Version(),
				WantFence: w.rng.IntN(6) == 0, WantShutDown: w.rng.IntN(6) == 0})
			if err != nil {
				w.t.Fatal(err)
			}
			w.apply(records)
		}
	case 5:
		w.now = w.now.Add(time.Duration(w.rng.IntN(6)) * time.Second)
		for {
			records := w.c.FenceStale(w.image)
			if records == nil {
				break
			}
			w.apply(records)
		}
	case 6:
		replicas := int16(1 + w.rng.IntN(3))
		records, _ := w.c.CreateTopics(w.image, metadata.CreateTopics{Topics: []metadata.NewTopic{
			{Name: fmt.Sprintf("t%d", w.rng.IntN(20)), Partitions: 1 + w.rng.Int32N(4), ReplicationFactor: replicas}}})
		w.apply(records)
	case 7:
		if topic != nil && w.rng.IntN(4) == 0 {
			records, _ := w.c.DeleteTopics(w.image, []metadata.TopicRef{{ID: topic.ID}})
			w.apply(records)
		}
	case 8:
		if topic != nil {
			target := w.rng.Perm(brokers)[:1+w.rng.IntN(3)]
			r := metadata.Reassignment{TopicPartition: protocol.TopicPartition{Topic: topic.Name, Partition: n}}
			if w.rng.IntN(3) > 0 {
				for _, id := range target {
					r.Replicas = append(r.Replicas, int32(id))
				}
			}
			records, _ := w.c.AlterPartitionReassignments(w.image, metadata.AlterReassignments{Reassignments: []metadata.Reassignment{r}})
			w.apply(records)
		}
	case 9, 10, 11:
		if topic != nil {
			w.alterISR(topic, n)
		}
	case 12:
		records, _, err := w.c.ElectLeaders(w.image, metadata.ElectLeaders{Type: metadata.ElectionType(w.rng.IntN(2)), All: true})
		if err != nil {
			w.t.Fatal(err)
		}
		w.apply(records)
		records, _ = w.c.BalanceLeaders(w.image)
		w.apply(records)
	case 13:
		if w.rng.IntN(4) == 0 {
			if records, err := w.c.UnregisterBroker(w.image, id); err == nil {
				w.apply(records)
				delete(w.brokerEpochs, id)
			}
		} else {
			w.c.Activate(w.image) // a new controller takes over
		}
	}
}

// alterISR lets a leader ask for an ISR, right or wrong.
func (w *world) alterISR(topic *metadata.Topic, n int32) {
	p := topic.Partitions[n]
	leader := w.image.Broker(p.Leader)
	if leader == nil {
		return
	}
	change := metadata.ISRChange{TopicID: topic.ID, Partition: n, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch - w.rng.Int32N(2)}
	for _, id := range p.Replicas {
		if id == p.Leader || w.rng.IntN(4) > 0 {
			change.ISR = append(change.ISR, metadata.ISRMember{Broker: id, Epoch: -1})
		}
	}
	records, out, err := w.c.AlterPartition(w.image, metadata.AlterPartition{Broker: leader.ID, Epoch: leader.Epoch, Partitions: []metadata.ISRChange{change}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.apply(records)
	if state := out[0].State; state != nil && out[0].Err == nil {
		if now := w.image.TopicByID(topic.ID).Partitions[n]; now.PartitionEpoch != state.PartitionEpoch || !slices.Equal(now.ISR, state.ISR) {
			w.t.Fatalf("answered %+v, became %+v", state, now)
		}
	}
}

// Whatever brokers and admins do, one leader leads in one epoch, leaders are in sync and
// alive, and epochs never go back. A failure prints its seed; -sim.seed runs that history again.
func TestInvariantsHoldThroughAnyHistory(t *testing.T) {
	seeds, steps := uint64(200), 400
	if testing.Short() {
		seeds = 20
	}
	first := uint64(1)
	if *simSeed != 0 {
		first, seeds = *simSeed, *simSeed
	}
	for seed := first; seed <= seeds; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range steps {
				w.step()
			}
		})
	}
}
