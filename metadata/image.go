package metadata

import (
	"iter"
	"maps"
	"slices"
	"sort"
	"unsafe"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Image is all metadata at one moment. It is immutable and may be read by any number of
// goroutines. The zero Image is not usable; [EmptyImage] makes one with nothing in it.
type Image struct {
	version         int64
	clusterID       string
	controllerID    int32
	controllerEpoch int32
	nextProducerID  int64
	partitionCount  int

	topicsByName    table[string, Topic]
	topicsByID      table[protocol.UUID, Topic]
	topicsColliding table[string, Topic] // those with a dot or underscore, by collisionName
	topicsSorted    sortedTopics
	brokers         []*Broker // ascending by id
	configs         table[ConfigResource, configSet]
	quotas          table[QuotaEntity, quotaSet]
	scram           table[ScramDeletion, ScramCredential]
	acls            table[protocol.UUID, ACL]
	tokens          table[string, DelegationToken]
	features        map[string]int16

	intern *interner
}

// configSet is the keys of one resource; it is never empty.
type configSet struct {
	resource ConfigResource
	values   map[string]string
}

// quotaSet is the quotas of one entity; it is never empty.
type quotaSet struct {
	entity QuotaEntity
	values map[string]float64
}

// EmptyImage returns an image with nothing in it, of version 0.
func EmptyImage() *Image {
	return &Image{
		controllerID:    NoLeader,
		topicsByName:    newTable(func(t *Topic) string { return t.Name }, hashString),
		topicsByID:      newTable(func(t *Topic) protocol.UUID { return t.ID }, hashUUID),
		topicsColliding: newTable(func(t *Topic) string { return collisionName(t.Name) }, hashString),
		configs:         newTable(func(c *configSet) ConfigResource { return c.resource }, hashComparable[ConfigResource]),
		quotas:          newTable(func(q *quotaSet) QuotaEntity { return q.entity }, hashComparable[QuotaEntity]),
		scram: newTable(func(c *ScramCredential) ScramDeletion { return ScramDeletion{c.User, c.Mechanism} },
			hashComparable[ScramDeletion]),
		acls:   newTable(func(a *ACL) protocol.UUID { return a.ID }, hashUUID),
		tokens: newTable(func(t *DelegationToken) string { return t.ID }, hashString),
		intern: newInterner(),
	}
}

// Version is the place in the store's history that the image stands for. It grows with
// every change and can be compared between brokers of one cluster.
func (m *Image) Version() int64 { return m.version }

// ClusterID is the id of the cluster, empty until there is one.
func (m *Image) ClusterID() string { return m.clusterID }

// ControllerID is the broker that decides, -1 if none is known.
func (m *Image) ControllerID() int32 { return m.controllerID }

// ControllerEpoch is the number of the controller's reign.
func (m *Image) ControllerEpoch() int32 { return m.controllerEpoch }

// NextProducerID is the first producer id of the next block.
func (m *Image) NextProducerID() int64 { return m.nextProducerID }

// Topic returns the topic of a name, or nil.
func (m *Image) Topic(name string) *Topic { return m.topicsByName.get(name) }

// TopicBytes is Topic for a name that stands in a buffer. It allocates nothing and keeps nothing.
func (m *Image) TopicBytes(name []byte) *Topic {
	return m.topicsByName.get(unsafe.String(unsafe.SliceData(name), len(name)))
}

// TopicByID returns the topic of an id, or nil.
func (m *Image) TopicByID(id protocol.UUID) *Topic { return m.topicsByID.get(id) }

// Partition returns a partition, or nil if topic or partition is unknown.
func (m *Image) Partition(tp protocol.TopicPartition) *Partition {
	return m.Topic(tp.Topic).Partition(tp.Partition)
}

// CollidingTopic returns a topic whose name Kafka's metrics cannot tell from name, because
// they differ only in dots and underscores, or nil. A topic collides with itself.
func (m *Image) CollidingTopic(name string) *Topic {
	if !HasCollisionCharacters(name) {
		return nil
	}
	return m.topicsColliding.get(collisionName(name))
}

// Topics yields all topics in the order of their names.
func (m *Image) Topics() iter.Seq[*Topic] { return m.topicsSorted.all() }

// TopicsFrom yields the topics whose name is not below from, in the order of their names.
func (m *Image) TopicsFrom(from string) iter.Seq[*Topic] { return m.topicsSorted.from(from) }

// TopicCount is the number of topics.
func (m *Image) TopicCount() int { return m.topicsByName.count }

// PartitionCount is the number of partitions of all topics.
func (m *Image) PartitionCount() int { return m.partitionCount }

// Broker returns a registered broker, or nil.
func (m *Image) Broker(id int32) *Broker {
	at := sort.Search(len(m.brokers), func(i int) bool { return m.brokers[i].ID >= id })
	if at < len(m.brokers) && m.brokers[at].ID == id {
		return m.brokers[at]
	}
	return nil
}

// Brokers returns all registered brokers, fenced ones too, ascending by id.
func (m *Image) Brokers() []*Broker { return m.brokers }

// IsAlive says whether a broker is registered and not fenced.
func (m *Image) IsAlive(id int32) bool {
	b := m.Broker(id)
	return b != nil && !b.Fenced
}

// Config returns the keys set on a resource; nil if none is.
func (m *Image) Config(t ResourceType, name string) map[string]string {
	set := m.configs.get(ConfigResource{t, name})
	if set == nil {
		return nil
	}
	return set.values
}

// ConfigNames returns the names of the resources of a kind that have a key set, sorted.
func (m *Image) ConfigNames(t ResourceType) []string {
	var names []string
	for set := range m.configs.all() {
		if set.resource.Type == t {
			names = append(names, set.resource.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Quotas returns the quotas set for exactly this entity, by key; nil if none is.
func (m *Image) Quotas(e QuotaEntity) map[string]float64 {
	set := m.quotas.get(e)
	if set == nil {
		return nil
	}
	return set.values
}

// AllQuotas yields every entity with its quotas, in no order.
func (m *Image) AllQuotas() iter.Seq2[QuotaEntity, map[string]float64] {
	return func(yield func(QuotaEntity, map[string]float64) bool) {
		for set := range m.quotas.all() {
			if !yield(set.entity, set.values) {
				return
			}
		}
	}
}

// ScramCredential returns a user's credential, or nil.
func (m *Image) ScramCredential(user string, mechanism ScramMechanism) *ScramCredential {
	return m.scram.get(ScramDeletion{user, mechanism})
}

// ScramCredentials yields all credentials in no order.
func (m *Image) ScramCredentials() iter.Seq[*ScramCredential] { return m.scram.all() }

// ACL returns the ACL of an id, or nil.
func (m *Image) ACL(id protocol.UUID) *ACL { return m.acls.get(id) }

// ACLs yields all ACLs in no order.
func (m *Image) ACLs() iter.Seq[*ACL] { return m.acls.all() }

// DelegationToken returns the token of an id, or nil.
func (m *Image) DelegationToken(id string) *DelegationToken { return m.tokens.get(id) }

// DelegationTokens yields all tokens in no order.
func (m *Image) DelegationTokens() iter.Seq[*DelegationToken] { return m.tokens.all() }

// Feature returns the finalized level of a feature, 0 if it has none.
func (m *Image) Feature(name string) int16 { return m.features[name] }

// Features returns the names of the finalized features, sorted.
func (m *Image) Features() []string { return slices.Sorted(maps.Keys(m.features)) }
