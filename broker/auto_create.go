package broker

import (
	"context"
	"strconv"
	"time"

	"github.com/barnabas-broker/barnabas/broker/group"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// autoCreateTimeout bounds the making of a topic that a client did not ask for in words.
const autoCreateTimeout = 30 * time.Second

// autoCreate makes topics with the broker's defaults, internal ones with Kafka's settings
// for them. It returns the codes of those that could not be made; one that somebody else
// made meanwhile is none of them.
func (b *Broker) autoCreate(ctx context.Context, names []string) map[string]protocol.ErrorCode {
	ctx, cancel := context.WithTimeout(ctx, autoCreateTimeout)
	defer cancel()
	var c metadata.CreateTopics
	seen := map[string]bool{}
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			c.Topics = append(c.Topics, b.newTopic(name))
		}
	}
	failed := map[string]protocol.ErrorCode{}
	results, err := b.store.CreateTopics(ctx, c)
	if err != nil {
		b.logger.Warn("cannot create topics on demand", "err", err)
		for _, name := range names {
			failed[name] = protocol.ErrLeaderNotAvailable
		}
		return failed
	}
	for _, res := range results {
		switch code := codeOf(res.Err); code {
		case protocol.None, protocol.ErrTopicAlreadyExists:
		case protocol.ErrInvalidReplicationFactor, protocol.ErrInvalidTopicException:
			failed[res.Name] = code
		default:
			b.logger.Warn("cannot create a topic on demand", "topic", res.Name, "err", res.Err)
			failed[res.Name] = protocol.ErrLeaderNotAvailable
		}
	}
	return failed
}

// newTopic is what a topic made on demand looks like.
func (b *Broker) newTopic(name string) metadata.NewTopic {
	c := b.config().Broker()
	brokers := 0
	for _, broker := range b.store.Image().Brokers() {
		if !broker.Fenced {
			brokers++
		}
	}
	offsetsFactor, transactionsFactor, minISR, _ := b.config().ClampReplicationFactors(max(brokers, 1))
	entry := func(key, value string) metadata.ConfigEntry { return metadata.ConfigEntry{Name: key, Value: &value} }
	switch name {
	case group.OffsetsTopic:
		return metadata.NewTopic{Name: name, Partitions: c.Group.OffsetsTopicPartitions, ReplicationFactor: offsetsFactor,
			Configs: []metadata.ConfigEntry{
				entry("cleanup.policy", "compact"), entry("compression.type", "producer"),
				entry("segment.bytes", strconv.Itoa(int(c.Group.OffsetsTopicSegmentBytes))),
			}}
	case transactionTopic:
		return metadata.NewTopic{Name: name, Partitions: c.Transaction.StateLogPartitions, ReplicationFactor: transactionsFactor,
			Configs: []metadata.ConfigEntry{
				entry("cleanup.policy", "compact"), entry("compression.type", "uncompressed"),
				entry("segment.bytes", strconv.Itoa(int(c.Transaction.StateLogSegmentBytes))),
				entry("min.insync.replicas", strconv.Itoa(int(minISR))), entry("unclean.leader.election.enable", "false"),
			}}
	}
	return metadata.NewTopic{Name: name, Partitions: -1, ReplicationFactor: -1}
}

// transactionTopic is the internal topic of transactions.
const transactionTopic = "__transaction_state"

// ensureTopic makes an internal topic unless it is there.
func (b *Broker) ensureTopic(ctx context.Context, name string) error {
	if b.store.Image().Topic(name) != nil {
		return nil
	}
	b.internalMu.Lock()
	defer b.internalMu.Unlock()
	if b.store.Image().Topic(name) != nil {
		return nil
	}
	if code := b.autoCreate(ctx, []string{name})[name]; code != protocol.None {
		return code
	}
	// Its partitions are empty and so are loaded at once; who asked need not be told to
	// come again, which clients of OffsetFetch v0 do not know how to.
	return b.groups.WaitLoaded(ctx)
}
