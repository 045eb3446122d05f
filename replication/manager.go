package replication

import (
	"fmt"
	"iter"
	"log/slog"
	"strconv"
	"sync"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Options of a Manager. Logs, ConfigOf and MinISROf are required.
type Options struct {
	BrokerID int32
	Logs     *log.Manager
	// ConfigOf returns the effective log settings of a topic under an image.
	ConfigOf func(image *metadata.Image, topic string) *log.Config
	// MinISROf returns the effective min.insync.replicas of a topic under an image.
	MinISROf func(image *metadata.Image, topic string) int
	Logger   *slog.Logger // discards
}

// Manager has the partitions that this broker hosts and keeps them as the metadata
// says. Lookups may come from any goroutine; Apply is the metadata store's subscriber.
type Manager struct {
	opts Options

	starting bool // the first Apply is under way, which alone touches it

	mu     sync.RWMutex // guards the maps, not what they lead to; held for moments only
	topics map[string]*hostedTopic
	byID   map[protocol.UUID]*hostedTopic
}

// hostedTopic is the partitions of one topic that are here, by number, nil where one is
// not. partitions is replaced, not changed.
type hostedTopic struct {
	name       string
	id         protocol.UUID
	partitions []*Partition
}

// NewManager returns a manager without partitions; the first Apply brings them.
func NewManager(opts Options) *Manager {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Manager{opts: opts, topics: map[string]*hostedTopic{}, byID: map[protocol.UUID]*hostedTopic{}}
}

// Get returns a partition that is hosted here, or nil.
func (m *Manager) Get(topic string, partition int32) *Partition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.topics[topic].get(partition)
}

// GetBytes is Get for a topic name in a buffer. It does not allocate.
func (m *Manager) GetBytes(topic []byte, partition int32) *Partition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.topics[string(topic)].get(partition)
}

// GetByID is Get for a topic id.
func (m *Manager) GetByID(id protocol.UUID, partition int32) *Partition {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.byID[id].get(partition)
}

// get is called with the manager's lock, or by Apply, which alone changes topics.
func (t *hostedTopic) get(partition int32) *Partition {
	if t == nil || partition < 0 || int(partition) >= len(t.partitions) {
		return nil
	}
	return t.partitions[partition]
}

// All yields every partition hosted, in no order.
func (m *Manager) All() iter.Seq[*Partition] {
	return func(yield func(*Partition) bool) {
		m.mu.RLock()
		topics := make([]*hostedTopic, 0, len(m.topics))
		for _, t := range m.topics {
			topics = append(topics, t)
		}
		m.mu.RUnlock()
		for _, t := range topics {
			m.mu.RLock()
			partitions := t.partitions
			m.mu.RUnlock()
			for _, p := range partitions {
				if p != nil && !yield(p) {
					return
				}
			}
		}
	}
}

// Apply brings the partitions in line with the image that a delta leads to. Calls come
// one at a time. When it returns, what the image promises to clients is served.
func (m *Manager) Apply(d *metadata.Delta, image *metadata.Image) {
	m.starting = d.Before.Version() == 0
	for _, t := range d.TopicsDeleted {
		m.deleteTopic(t)
	}
	m.open(d, image)
	for _, r := range d.Configs {
		m.applyConfig(r, image)
	}
}

func (m *Manager) deleteTopic(t *metadata.Topic) {
	m.mu.Lock()
	hosted := m.byID[t.ID]
	if hosted == nil {
		m.mu.Unlock()
		return
	}
	delete(m.byID, t.ID)
	if m.topics[t.Name] == hosted {
		delete(m.topics, t.Name)
	}
	m.mu.Unlock()
	for _, p := range hosted.partitions {
		if p == nil {
			continue
		}
		p.close(protocol.ErrUnknownTopicOrPartition)
		if err := m.opts.Logs.Delete(p.TopicPartition); err != nil {
			m.opts.Logger.Error("cannot delete the log of a deleted topic", "topic", p.Topic, "partition", p.Partition, "err", err)
		}
	}
}

// open creates and changes the partitions of a delta, and publishes each topic's new
// ones at once.
func (m *Manager) open(d *metadata.Delta, image *metadata.Image) {
	var current *hostedTopic
	var fresh []*Partition
	var cfg *log.Config
	var minISR int
	publish := func() {
		if current == nil || len(fresh) == 0 {
			return
		}
		partitions := append([]*Partition(nil), current.partitions...)
		for _, p := range fresh {
			for int(p.Partition) >= len(partitions) {
				partitions = append(partitions, nil)
			}
			partitions[p.Partition] = p
		}
		m.mu.Lock()
		current.partitions = partitions
		m.topics[current.name] = current
		m.byID[current.id] = current
		m.mu.Unlock()
		fresh = nil
	}
	for _, c := range d.Partitions {
		if current == nil || current.id != c.Topic.ID {
			publish()
			m.mu.RLock()
			current = m.byID[c.Topic.ID]
			m.mu.RUnlock()
			if current == nil {
				current = &hostedTopic{name: c.Topic.Name, id: c.Topic.ID}
			}
			cfg = m.opts.ConfigOf(image, c.Topic.Name)
			minISR = m.opts.MinISROf(image, c.Topic.Name)
		}
		p := current.get(c.Partition)
		switch hosted := c.After.HasReplica(m.opts.BrokerID); {
		case !hosted && p == nil:
			continue
		case !hosted:
			m.drop(current, p)
			continue
		case p == nil:
			p = m.create(c, cfg)
			fresh = append(fresh, p)
		}
		p.mu.Lock()
		err := p.setRole(roleOf(c.After, minISR))
		p.mu.Unlock()
		if err != nil {
			m.opts.Logger.Error("cannot take a role", "topic", p.Topic, "partition", p.Partition, "err", err)
		}
	}
	publish()
}

func roleOf(p *metadata.Partition, minISR int) *Role {
	return &Role{
		Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, PartitionEpoch: p.PartitionEpoch,
		Replicas: p.Replicas, ISR: p.ISR, MinISR: min(minISR, len(p.Replicas)),
	}
}

// create opens the log of a new partition of ours. A failure leaves a partition that
// answers with it.
func (m *Manager) create(c metadata.PartitionDelta, cfg *log.Config) *Partition {
	p := &Partition{TopicPartition: c.TopicPartition(), TopicID: c.Topic.ID, brokerID: m.opts.BrokerID}
	l, err := m.openLog(p, cfg)
	if err != nil {
		m.opts.Logger.Error("partition is offline", "topic", p.Topic, "partition", p.Partition, "err", err)
		p.openErr.Store(&err)
		return p
	}
	p.log.Store(l)
	return p
}

func (m *Manager) openLog(p *Partition, cfg *log.Config) (*log.Log, error) {
	if l := m.opts.Logs.Get(p.TopicPartition); l != nil {
		switch id := l.TopicID(); {
		case id == p.TopicID:
			l.SetConfig(cfg)
			return l, nil
		case id.IsZero():
			if err := l.SetTopicID(p.TopicID); err != nil {
				return nil, err
			}
			l.SetConfig(cfg)
			return l, nil
		}
		// A topic of another life under the same name. Its data is set aside, not removed:
		// nobody asked for that.
		m.opts.Logger.Warn("a log of another topic id is in the way and is set aside", "topic", p.Topic,
			"partition", p.Partition, "found", l.TopicID().String(), "expected", p.TopicID.String(), "dir", l.Dir())
		if err := m.opts.Logs.MarkStray(p.TopicPartition); err != nil {
			return nil, err
		}
	}
	if m.starting {
		if err := m.missing(p); err != nil {
			return nil, err
		}
	}
	return m.opts.Logs.Create(p.TopicPartition, p.TopicID, cfg, "")
}

// missing looks at a partition that the cluster knows since before this broker was started,
// and that has no log. It may be in a directory that is offline: then an empty log must
// not take its place.
func (m *Manager) missing(p *Partition) error {
	for _, d := range m.opts.Logs.Dirs() {
		if d.Err != nil {
			return fmt.Errorf("the log of %v is in no directory in use, it may be in one that is offline: %w", p.TopicPartition, d.Err)
		}
	}
	if m.opts.Logs.Broken()[p.TopicPartition] == nil {
		m.opts.Logger.Warn("partition has no log here and begins empty", "topic", p.Topic, "partition", p.Partition)
	}
	return nil
}

// drop ends a replica that is no longer assigned to this broker.
func (m *Manager) drop(t *hostedTopic, p *Partition) {
	partitions := append([]*Partition(nil), t.partitions...)
	partitions[p.Partition] = nil
	m.mu.Lock()
	t.partitions = partitions
	m.mu.Unlock()
	p.close(protocol.ErrNotLeaderOrFollower)
	if err := m.opts.Logs.Delete(p.TopicPartition); err != nil {
		m.opts.Logger.Error("cannot delete the log of a removed replica", "topic", p.Topic, "partition", p.Partition, "err", err)
	}
}

// applyConfig puts the changed settings of a topic, or of all topics if a broker's
// changed, in force.
func (m *Manager) applyConfig(r metadata.ConfigResource, image *metadata.Image) {
	switch r.Type {
	case metadata.TopicResource:
		m.mu.RLock()
		t := m.topics[r.Name]
		m.mu.RUnlock()
		if t != nil {
			m.reconfigure(t, image)
		}
	case metadata.BrokerResource:
		if r.Name != "" && r.Name != strconv.Itoa(int(m.opts.BrokerID)) {
			return
		}
		m.opts.Logs.SetDefaultConfig(m.opts.ConfigOf(image, ""))
		m.mu.RLock()
		topics := make([]*hostedTopic, 0, len(m.topics))
		for _, t := range m.topics {
			topics = append(topics, t)
		}
		m.mu.RUnlock()
		for _, t := range topics {
			m.reconfigure(t, image)
		}
	}
}

func (m *Manager) reconfigure(t *hostedTopic, image *metadata.Image) {
	cfg := m.opts.ConfigOf(image, t.name)
	minISR := m.opts.MinISROf(image, t.name)
	for _, p := range t.partitions {
		if p == nil {
			continue
		}
		if l, err := p.Log(); err == nil {
			l.SetConfig(cfg)
		}
		p.mu.Lock()
		role := *p.role.Load()
		role.MinISR = min(minISR, len(role.Replicas))
		p.role.Store(&role)
		p.mu.Unlock()
	}
}

// Close closes every partition; the logs are the caller's to close.
func (m *Manager) Close() {
	for p := range m.All() {
		p.close(protocol.ErrNotLeaderOrFollower)
	}
}
