package metadata

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
)

// ErrRecordDoesNotFit says that a record cannot follow the image it was applied to: it names
// something unknown, or would break an invariant.
var ErrRecordDoesNotFit = errors.New("metadata record does not fit the image")

// Draft makes the next image out of the last and some records. It is used by one
// goroutine. The image it began with is never touched. After an error the draft is of no
// more use.
type Draft struct {
	base  *Image
	next  Image
	token *draftToken

	topics    map[protocol.UUID]*Topic // copies that are the draft's own
	edits     map[string]*Topic        // by name; nil is removed
	removed   []*Topic                 // as in base
	configs   map[ConfigResource]*configSet
	quotas    map[QuotaEntity]*quotaSet
	brokers   map[int32]struct{} // touched
	scram     map[ScramDeletion]struct{}
	acls      map[protocol.UUID]struct{}
	tokens    map[string]struct{}
	ownsLists struct{ brokers, features bool }
}

// NewDraft begins a draft on top of base.
func NewDraft(base *Image) *Draft {
	return &Draft{base: base, next: *base, token: new(draftToken)}
}

// Finish returns the image with all records applied, and what differs from the base. The
// draft may not be used again.
func (d *Draft) Finish(version int64) (*Image, *Delta) {
	d.next.topicsSorted = d.next.topicsSorted.apply(d.sortedEdits())
	d.next.version = version
	image := d.next
	return &image, d.delta(&image)
}

func (d *Draft) sortedEdits() []topicEdit {
	edits := make([]topicEdit, 0, len(d.edits))
	for name, topic := range d.edits {
		edits = append(edits, topicEdit{name, topic})
	}
	slices.SortFunc(edits, func(a, b topicEdit) int { return strings.Compare(a.name, b.name) })
	return edits
}

// Apply applies a record. The record stays the caller's and is not kept.
func (d *Draft) Apply(r Record) error {
	switch r := r.(type) {
	case *NoOpRecord:
		return nil
	case *ClusterIDRecord:
		if d.next.clusterID != "" && d.next.clusterID != r.ClusterID {
			return fmt.Errorf("%w: cluster id %q over %q", ErrRecordDoesNotFit, r.ClusterID, d.next.clusterID)
		}
		d.next.clusterID = r.ClusterID
	case *ControllerRecord:
		if r.Epoch < d.next.controllerEpoch {
			return fmt.Errorf("%w: controller epoch %d after %d", ErrRecordDoesNotFit, r.Epoch, d.next.controllerEpoch)
		}
		d.next.controllerID, d.next.controllerEpoch = r.ID, r.Epoch
	case *BrokerRecord:
		broker := r.Broker
		d.putBroker(&broker)
	case *BrokerChangeRecord:
		return d.changeBroker(r)
	case *RemoveBrokerRecord:
		return d.removeBroker(r)
	case *TopicRecord:
		return d.addTopic(r)
	case *RemoveTopicRecord:
		return d.removeTopic(r)
	case *PartitionsRecord:
		return d.addPartitions(r)
	case *PartitionChangeRecord:
		return d.changePartition(r)
	case *ConfigRecord:
		d.setConfig(r)
	case *QuotaRecord:
		d.setQuota(r)
	case *ScramCredentialRecord:
		credential := r.ScramCredential
		d.next.scram.put(&credential, d.token)
		touch(&d.scram, ScramDeletion{r.User, r.Mechanism})
	case *RemoveScramCredentialRecord:
		d.next.scram.remove(r.ScramDeletion, d.token)
		touch(&d.scram, r.ScramDeletion)
	case *DelegationTokenRecord:
		token := r.DelegationToken
		d.next.tokens.put(&token, d.token)
		touch(&d.tokens, r.ID)
	case *RemoveDelegationTokenRecord:
		d.next.tokens.remove(r.ID, d.token)
		touch(&d.tokens, r.ID)
	case *ACLRecord:
		acl := r.ACL
		d.next.acls.put(&acl, d.token)
		touch(&d.acls, r.ACL.ID)
	case *RemoveACLRecord:
		d.next.acls.remove(r.ID, d.token)
		touch(&d.acls, r.ID)
	case *ProducerIDsRecord:
		if r.Next < d.next.nextProducerID {
			return fmt.Errorf("%w: producer ids from %d after %d", ErrRecordDoesNotFit, r.Next, d.next.nextProducerID)
		}
		d.next.nextProducerID = r.Next
	case *FeatureRecord:
		d.setFeature(r)
	default:
		return fmt.Errorf("%w: %T", ErrRecordVersion, r)
	}
	return nil
}

// touch adds k to a set that is made when it is first needed.
func touch[K comparable](set *map[K]struct{}, k K) {
	if *set == nil {
		*set = map[K]struct{}{}
	}
	(*set)[k] = struct{}{}
}

func (d *Draft) putBroker(b *Broker) {
	if !d.ownsLists.brokers {
		d.next.brokers = slices.Clone(d.next.brokers)
		d.ownsLists.brokers = true
	}
	at, found := slices.BinarySearchFunc(d.next.brokers, b.ID, func(b *Broker, id int32) int { return cmp.Compare(b.ID, id) })
	if found {
		d.next.brokers[at] = b
	} else {
		d.next.brokers = slices.Insert(d.next.brokers, at, b)
	}
	touch(&d.brokers, b.ID)
}

func (d *Draft) changeBroker(r *BrokerChangeRecord) error {
	old := d.next.Broker(r.ID)
	if old == nil || old.Epoch != r.Epoch {
		return fmt.Errorf("%w: change of broker %d in epoch %d", ErrRecordDoesNotFit, r.ID, r.Epoch)
	}
	broker := *old
	if r.Fenced != nil {
		broker.Fenced = *r.Fenced
	}
	if r.InControlledShutdown != nil {
		broker.InControlledShutdown = *r.InControlledShutdown
	}
	if r.LogDirs != nil {
		broker.LogDirs = *r.LogDirs
	}
	d.putBroker(&broker)
	return nil
}

func (d *Draft) removeBroker(r *RemoveBrokerRecord) error {
	old := d.next.Broker(r.ID)
	if old == nil || old.Epoch != r.Epoch {
		return fmt.Errorf("%w: removal of broker %d in epoch %d", ErrRecordDoesNotFit, r.ID, r.Epoch)
	}
	d.next.brokers = slices.DeleteFunc(slices.Clone(d.next.brokers), func(b *Broker) bool { return b.ID == r.ID })
	d.ownsLists.brokers = true
	touch(&d.brokers, r.ID)
	return nil
}

func (d *Draft) addTopic(r *TopicRecord) error {
	if d.next.topicsByName.get(r.Name) != nil || d.next.topicsByID.get(r.ID) != nil {
		return fmt.Errorf("%w: topic %q exists", ErrRecordDoesNotFit, r.Name)
	}
	d.putTopic(&Topic{Name: r.Name, ID: r.ID})
	return nil
}

// putTopic makes t, which is the draft's own, the topic of its name and id.
func (d *Draft) putTopic(t *Topic) {
	if d.topics == nil {
		d.topics, d.edits = map[protocol.UUID]*Topic{}, map[string]*Topic{}
	}
	d.topics[t.ID] = t
	d.edits[t.Name] = t
	d.next.topicsByName.put(t, d.token)
	d.next.topicsByID.put(t, d.token)
	if HasCollisionCharacters(t.Name) {
		d.next.topicsColliding.put(t, d.token)
	}
}

// ownTopic returns a copy of a topic that the draft may change, or nil.
func (d *Draft) ownTopic(id protocol.UUID) *Topic {
	if t := d.topics[id]; t != nil {
		return t
	}
	old := d.next.topicsByID.get(id)
	if old == nil {
		return nil
	}
	t := &Topic{Name: old.Name, ID: old.ID, Partitions: slices.Clone(old.Partitions)}
	d.putTopic(t)
	return t
}

func (d *Draft) removeTopic(r *RemoveTopicRecord) error {
	t := d.next.topicsByID.get(r.ID)
	if t == nil {
		return fmt.Errorf("%w: removal of topic %s", ErrRecordDoesNotFit, r.ID)
	}
	if d.edits == nil {
		d.topics, d.edits = map[protocol.UUID]*Topic{}, map[string]*Topic{}
	}
	delete(d.topics, r.ID)
	d.edits[t.Name] = nil
	d.next.topicsByName.remove(t.Name, d.token)
	d.next.topicsByID.remove(t.ID, d.token)
	if HasCollisionCharacters(t.Name) {
		if other := d.next.topicsColliding.get(collisionName(t.Name)); other != nil && other.ID == t.ID {
			d.next.topicsColliding.remove(collisionName(t.Name), d.token)
		}
	}
	d.next.partitionCount -= len(t.Partitions)
	if old := d.base.topicsByID.get(r.ID); old != nil {
		d.removed = append(d.removed, old)
	}
	resource := ConfigResource{TopicResource, t.Name}
	if d.next.configs.get(resource) != nil {
		d.next.configs.remove(resource, d.token)
		if d.configs == nil {
			d.configs = map[ConfigResource]*configSet{}
		}
		d.configs[resource] = nil
	}
	return nil
}

func (d *Draft) addPartitions(r *PartitionsRecord) error {
	t := d.ownTopic(r.TopicID)
	if t == nil || int(r.First) != len(t.Partitions) {
		return fmt.Errorf("%w: partitions from %d on of topic %s", ErrRecordDoesNotFit, r.First, r.TopicID)
	}
	t.Partitions = slices.Grow(t.Partitions, len(r.Partitions))
	copies := make([]Partition, len(r.Partitions))
	for i, p := range r.Partitions {
		if err := p.check(); err != nil {
			return err
		}
		copies[i] = *p
		d.next.intern.partition(&copies[i])
		t.Partitions = append(t.Partitions, &copies[i])
	}
	d.next.partitionCount += len(r.Partitions)
	return nil
}

func (d *Draft) changePartition(r *PartitionChangeRecord) error {
	if d.next.topicsByID.get(r.TopicID).Partition(r.Partition) == nil {
		return fmt.Errorf("%w: change of partition %d of topic %s", ErrRecordDoesNotFit, r.Partition, r.TopicID)
	}
	t := d.ownTopic(r.TopicID)
	p := t.Partitions[r.Partition].Merge(r)
	if err := p.check(); err != nil {
		return err
	}
	d.next.intern.partition(p)
	t.Partitions[r.Partition] = p
	return nil
}

// Merge returns the partition as it is after the change r.
func (p *Partition) Merge(r *PartitionChangeRecord) *Partition {
	next := *p
	next.PartitionEpoch++
	if r.Leader != nil {
		next.Leader = *r.Leader
		next.LeaderEpoch++
	}
	if r.ISR != nil {
		next.ISR = r.ISR
	}
	if r.Replicas != nil {
		next.Replicas = r.Replicas
	}
	if r.Adding != nil {
		next.Adding = *r.Adding
	}
	if r.Removing != nil {
		next.Removing = *r.Removing
	}
	if r.Directories != nil {
		next.Directories = r.Directories
	}
	if r.Recovery != nil {
		next.Recovery = *r.Recovery
	}
	return &next
}

// check says whether the invariants of a partition hold.
func (p *Partition) check() error {
	switch {
	case len(p.Replicas) == 0:
		return fmt.Errorf("%w: partition without replicas", ErrRecordDoesNotFit)
	case p.Leader != NoLeader && !p.InISR(p.Leader):
		return fmt.Errorf("%w: leader %d outside of the ISR %v", ErrRecordDoesNotFit, p.Leader, p.ISR)
	case len(p.Directories) != 0 && len(p.Directories) != len(p.Replicas):
		return fmt.Errorf("%w: %d directories for %d replicas", ErrRecordDoesNotFit, len(p.Directories), len(p.Replicas))
	}
	for _, id := range p.ISR {
		if !p.HasReplica(id) {
			return fmt.Errorf("%w: in-sync replica %d is not in %v", ErrRecordDoesNotFit, id, p.Replicas)
		}
	}
	return nil
}

// partition replaces the lists of p, which nobody else sees yet, by shared ones.
func (n *interner) partition(p *Partition) {
	sameISR := equalIDs(p.ISR, p.Replicas)
	p.Replicas = n.list(p.Replicas)
	if sameISR {
		p.ISR = p.Replicas
	} else {
		p.ISR = n.list(p.ISR)
	}
	p.Adding, p.Removing = n.list(p.Adding), n.list(p.Removing)
	p.Directories = n.directories(p.Directories)
}

func (d *Draft) setConfig(r *ConfigRecord) {
	if d.configs == nil {
		d.configs = map[ConfigResource]*configSet{}
	}
	set := d.configs[r.Resource]
	if set == nil {
		set = &configSet{resource: r.Resource, values: map[string]string{}}
		if old := d.next.configs.get(r.Resource); old != nil {
			set.values = maps.Clone(old.values)
		}
		d.configs[r.Resource] = set
	}
	if r.Value != nil {
		set.values[r.Name] = *r.Value
	} else {
		delete(set.values, r.Name)
	}
	if len(set.values) > 0 {
		d.next.configs.put(set, d.token)
	} else {
		d.next.configs.remove(r.Resource, d.token)
	}
}

func (d *Draft) setQuota(r *QuotaRecord) {
	if d.quotas == nil {
		d.quotas = map[QuotaEntity]*quotaSet{}
	}
	set := d.quotas[r.Entity]
	if set == nil {
		set = &quotaSet{entity: r.Entity, values: map[string]float64{}}
		if old := d.next.quotas.get(r.Entity); old != nil {
			set.values = maps.Clone(old.values)
		}
		d.quotas[r.Entity] = set
	}
	if !r.Remove {
		set.values[r.Key] = r.Value
	} else {
		delete(set.values, r.Key)
	}
	if len(set.values) > 0 {
		d.next.quotas.put(set, d.token)
	} else {
		d.next.quotas.remove(r.Entity, d.token)
	}
}

func (d *Draft) setFeature(r *FeatureRecord) {
	if !d.ownsLists.features {
		d.next.features = maps.Clone(d.next.features)
		if d.next.features == nil {
			d.next.features = map[string]int16{}
		}
		d.ownsLists.features = true
	}
	if r.Level == 0 {
		delete(d.next.features, r.Name)
	} else {
		d.next.features[r.Name] = r.Level
	}
}

// ControllerEpoch is the controller epoch after the records applied so far.
func (d *Draft) ControllerEpoch() int32 { return d.next.controllerEpoch }
