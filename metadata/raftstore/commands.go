package raftstore

import (
	"context"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/protocol"
)

type (
	decider = controller.Controller
	image   = metadata.Image
	records = []metadata.Record
)

// CreateTopics implements metadata.Store.
func (s *Store) CreateTopics(ctx context.Context, cmd metadata.CreateTopics) (out []metadata.CreateTopicResult, err error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.CreateTopicResult, err error) {
		r, out = c.CreateTopics(m, cmd)
		return r, out, nil
	})
}

// DeleteTopics implements metadata.Store.
func (s *Store) DeleteTopics(ctx context.Context, topics []metadata.TopicRef) ([]metadata.DeleteTopicResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.DeleteTopicResult, err error) {
		r, out = c.DeleteTopics(m, topics)
		return r, out, nil
	})
}

// CreatePartitions implements metadata.Store.
func (s *Store) CreatePartitions(ctx context.Context, cmd metadata.CreatePartitions) ([]metadata.TopicResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.TopicResult, err error) {
		r, out = c.CreatePartitions(m, cmd)
		return r, out, nil
	})
}

// AlterPartition implements metadata.Store.
func (s *Store) AlterPartition(ctx context.Context, cmd metadata.AlterPartition) ([]metadata.AlterPartitionResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (records, []metadata.AlterPartitionResult, error) {
		return c.AlterPartition(m, cmd)
	})
}

// ElectLeaders implements metadata.Store.
func (s *Store) ElectLeaders(ctx context.Context, cmd metadata.ElectLeaders) ([]metadata.PartitionResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (records, []metadata.PartitionResult, error) {
		return c.ElectLeaders(m, cmd)
	})
}

// AlterPartitionReassignments implements metadata.Store.
func (s *Store) AlterPartitionReassignments(ctx context.Context, cmd metadata.AlterReassignments) ([]metadata.PartitionResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.PartitionResult, err error) {
		r, out = c.AlterPartitionReassignments(m, cmd)
		return r, out, nil
	})
}

// ListPartitionReassignments implements metadata.Store.
func (s *Store) ListPartitionReassignments(ctx context.Context, partitions []protocol.TopicPartition) ([]metadata.ReassignmentState, error) {
	if ctx.Err() != nil {
		return nil, protocol.ErrRequestTimedOut
	}
	return controller.ListPartitionReassignments(s.Image(), partitions), nil
}

// AssignReplicasToDirs implements metadata.Store.
func (s *Store) AssignReplicasToDirs(ctx context.Context, cmd metadata.AssignReplicasToDirs) ([]metadata.AssignDirResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (records, []metadata.AssignDirResult, error) {
		return c.AssignReplicasToDirs(m, cmd)
	})
}

// IncrementalAlterConfigs implements metadata.Store.
func (s *Store) IncrementalAlterConfigs(ctx context.Context, cmd metadata.IncrementalAlterConfigs) ([]metadata.ConfigResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.ConfigResult, err error) {
		r, out = c.IncrementalAlterConfigs(m, cmd)
		return r, out, nil
	})
}

// AlterConfigs implements metadata.Store.
func (s *Store) AlterConfigs(ctx context.Context, cmd metadata.AlterConfigs) ([]metadata.ConfigResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.ConfigResult, err error) {
		r, out = c.AlterConfigs(m, cmd)
		return r, out, nil
	})
}

// RegisterBroker implements metadata.Store.
func (s *Store) RegisterBroker(ctx context.Context, b metadata.BrokerRegistration) (int64, error) {
	return answer(s, ctx, func(c *decider, m *image, version int64) (records, int64, error) {
		return c.RegisterBroker(m, b, version)
	})
}

// Heartbeat implements metadata.Store.
func (s *Store) Heartbeat(ctx context.Context, h metadata.BrokerHeartbeat) (metadata.BrokerHeartbeatResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (records, metadata.BrokerHeartbeatResult, error) {
		return c.Heartbeat(m, h)
	})
}

// UnregisterBroker implements metadata.Store.
func (s *Store) UnregisterBroker(ctx context.Context, id int32) error {
	_, err := answer(s, ctx, func(c *decider, m *image, _ int64) (records, struct{}, error) {
		r, err := c.UnregisterBroker(m, id)
		return r, struct{}{}, err
	})
	return err
}

// AllocateProducerIDs implements metadata.Store.
func (s *Store) AllocateProducerIDs(ctx context.Context, broker int32, epoch int64) (metadata.ProducerIDBlock, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (records, metadata.ProducerIDBlock, error) {
		return c.AllocateProducerIDs(m, broker, epoch)
	})
}

// UpdateFeatures implements metadata.Store.
func (s *Store) UpdateFeatures(ctx context.Context, updates []metadata.FeatureUpdate, validateOnly bool) ([]metadata.FeatureResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.FeatureResult, err error) {
		r, out = c.UpdateFeatures(m, updates, validateOnly)
		return r, out, nil
	})
}

// AlterClientQuotas implements metadata.Store.
func (s *Store) AlterClientQuotas(ctx context.Context, alterations []metadata.QuotaAlteration, validateOnly bool) ([]metadata.QuotaResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.QuotaResult, err error) {
		r, out = c.AlterClientQuotas(m, alterations, validateOnly)
		return r, out, nil
	})
}

// AlterUserScramCredentials implements metadata.Store.
func (s *Store) AlterUserScramCredentials(ctx context.Context, deletions []metadata.ScramDeletion, upsertions []metadata.ScramUpsertion) ([]metadata.UserResult, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.UserResult, err error) {
		r, out = c.AlterUserScramCredentials(m, deletions, upsertions)
		return r, out, nil
	})
}

// CreateACLs implements metadata.Store.
func (s *Store) CreateACLs(ctx context.Context, acls []metadata.ACL) ([]error, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []error, err error) {
		r, out = c.CreateACLs(m, acls)
		return r, out, nil
	})
}

// DeleteACLs implements metadata.Store.
func (s *Store) DeleteACLs(ctx context.Context, filters []metadata.ACLFilter) ([]metadata.ACLDeletion, error) {
	return answer(s, ctx, func(c *decider, m *image, _ int64) (r records, out []metadata.ACLDeletion, err error) {
		r, out = c.DeleteACLs(m, filters)
		return r, out, nil
	})
}

// CreateDelegationToken implements metadata.Store.
func (s *Store) CreateDelegationToken(ctx context.Context, t metadata.DelegationToken) error {
	return s.run(ctx, func(c *decider, m *image, _ int64) (records, error) { return c.CreateDelegationToken(m, t) })
}

// SetDelegationTokenExpiry implements metadata.Store.
func (s *Store) SetDelegationTokenExpiry(ctx context.Context, id string, expiryTimestampMs int64) error {
	return s.run(ctx, func(c *decider, m *image, _ int64) (records, error) {
		return c.SetDelegationTokenExpiry(m, id, expiryTimestampMs)
	})
}

// RemoveDelegationToken implements metadata.Store.
func (s *Store) RemoveDelegationToken(ctx context.Context, id string) error {
	return s.run(ctx, func(c *decider, m *image, _ int64) (records, error) { return c.RemoveDelegationToken(m, id), nil })
}

// answer runs a command that has a result. The result is in a place of its own, because the
// caller may have gone when it comes.
func answer[T any](s *Store, ctx context.Context, decide func(*decider, *image, int64) (records, T, error)) (T, error) {
	result := new(T)
	err := s.run(ctx, func(c *decider, m *image, version int64) (records, error) {
		r, out, err := decide(c, m, version)
		*result = out
		return r, err
	})
	if err != nil {
		var none T
		return none, err
	}
	return *result, nil
}
