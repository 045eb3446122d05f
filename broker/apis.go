package broker

import (
	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// api is one row of the table of APIs. ApiVersions, dispatch, authorization, metrics,
// docs/protocol-support.md and the sweep tests all read the table.
type api struct {
	key      int16
	name     string // Kafka's, e.g. "ListOffsets"
	min, max int16  // versions served

	// needs lists every check that the handler may make. One that is not listed is
	// refused, so that the table cannot say less than the code does.
	needs []need
	// handle begins the request and sees to its answer; see request.
	handle func(*Broker, *request)
	// own says that the handler decodes the body itself, by a decoder that is bounded by
	// construction. All others get their message from kmsg, after the schema's check.
	own bool
}

// need is one kind of authorization.
type need struct {
	operation acl.Operation
	resource  acl.ResourceType
}

func needs(n ...need) []need { return n }

// apiTable is what this broker serves. Versions are all that Apache 3.9 or 4.3 serve,
// except where a row says less.
func apiTable() []api {
	var (
		readTopic       = need{acl.Read, acl.TopicResource}
		writeTopic      = need{acl.Write, acl.TopicResource}
		createTopic     = need{acl.Create, acl.TopicResource}
		deleteTopic     = need{acl.Delete, acl.TopicResource}
		alterTopic      = need{acl.Alter, acl.TopicResource}
		describeTopic   = need{acl.Describe, acl.TopicResource}
		topicConfigs    = need{acl.DescribeConfigs, acl.TopicResource}
		alterTopicConf  = need{acl.AlterConfigs, acl.TopicResource}
		readGroup       = need{acl.Read, acl.GroupResource}
		describeGroup   = need{acl.Describe, acl.GroupResource}
		deleteGroup     = need{acl.Delete, acl.GroupResource}
		groupConfigs    = need{acl.DescribeConfigs, acl.GroupResource}
		alterGroupConf  = need{acl.AlterConfigs, acl.GroupResource}
		clusterAction   = need{acl.ClusterAction, acl.ClusterResource}
		createCluster   = need{acl.Create, acl.ClusterResource}
		deleteCluster   = need{acl.Delete, acl.ClusterResource}
		alterCluster    = need{acl.Alter, acl.ClusterResource}
		describeCluster = need{acl.Describe, acl.ClusterResource}
		clusterConfigs  = need{acl.DescribeConfigs, acl.ClusterResource}
		alterClusterCfg = need{acl.AlterConfigs, acl.ClusterResource}
		idempotentWrite = need{acl.IdempotentWrite, acl.ClusterResource}
		writeTxn        = need{acl.Write, acl.TransactionalIDResource}
		describeTxn     = need{acl.Describe, acl.TransactionalIDResource}
		createTokens    = need{acl.CreateTokens, acl.UserResource}
		describeTokens  = need{acl.DescribeTokens, acl.UserResource}
		describeToken   = need{acl.Describe, acl.DelegationTokenResource}
	)
	rows := []api{
		{key: protocol.KeyProduce, own: true, handle: (*Broker).handleProduce, needs: needs(writeTopic, writeTxn)},
		{key: protocol.KeyFetch, own: true, handle: (*Broker).handleFetch, needs: needs(readTopic, clusterAction)},
		{key: protocol.KeyListOffsets, handle: (*Broker).handleListOffsets, needs: needs(describeTopic)},
		{key: protocol.KeyMetadata, handle: (*Broker).handleMetadata, needs: needs(describeTopic, createTopic, createCluster, describeCluster)},
		{key: protocol.KeyOffsetCommit, handle: (*Broker).handleOffsetCommit, needs: needs(readGroup, readTopic)},
		{key: protocol.KeyOffsetFetch, handle: (*Broker).handleOffsetFetch, needs: needs(describeGroup, describeTopic)},
		{key: protocol.KeyFindCoordinator, handle: (*Broker).handleFindCoordinator, needs: needs(describeGroup, describeTxn, clusterAction)},
		{key: protocol.KeyJoinGroup, handle: (*Broker).handleJoinGroup, needs: needs(readGroup)},
		{key: protocol.KeyHeartbeat, handle: (*Broker).handleHeartbeat, needs: needs(readGroup)},
		{key: protocol.KeyLeaveGroup, handle: (*Broker).handleLeaveGroup, needs: needs(readGroup)},
		{key: protocol.KeySyncGroup, handle: (*Broker).handleSyncGroup, needs: needs(readGroup)},
		{key: protocol.KeyDescribeGroups, handle: (*Broker).handleDescribeGroups, needs: needs(describeGroup)},
		{key: protocol.KeyListGroups, handle: (*Broker).handleListGroups, needs: needs(describeCluster, describeGroup)},
		{key: protocol.KeySASLHandshake, own: true, handle: (*Broker).handleSASLHandshake},
		{key: protocol.KeyAPIVersions, own: true, handle: (*Broker).handleAPIVersions},
		{key: protocol.KeyCreateTopics, handle: (*Broker).handleCreateTopics, needs: needs(createCluster, createTopic, topicConfigs)},
		{key: protocol.KeyDeleteTopics, handle: (*Broker).handleDeleteTopics, needs: needs(deleteCluster, describeTopic, deleteTopic)},
		{key: protocol.KeyDeleteRecords, handle: (*Broker).handleDeleteRecords, needs: needs(deleteTopic)},
		{key: protocol.KeyInitProducerID, handle: (*Broker).handleInitProducerID, needs: needs(writeTxn, idempotentWrite, writeTopic)},
		{key: protocol.KeyOffsetForLeaderEpoch, handle: (*Broker).handleOffsetForLeaderEpoch, needs: needs(clusterAction, describeTopic)},
		{key: protocol.KeyDescribeACLs, handle: (*Broker).handleDescribeACLs, needs: needs(describeCluster)},
		{key: protocol.KeyCreateACLs, handle: (*Broker).handleCreateACLs, needs: needs(alterCluster)},
		{key: protocol.KeyDeleteACLs, handle: (*Broker).handleDeleteACLs, needs: needs(alterCluster)},
		{key: protocol.KeyDescribeConfigs, handle: (*Broker).handleDescribeConfigs, needs: needs(topicConfigs, clusterConfigs, groupConfigs)},
		{key: protocol.KeyAlterConfigs, handle: (*Broker).handleAlterConfigs, needs: needs(alterTopicConf, alterClusterCfg, alterGroupConf)},
		{key: protocol.KeyAlterReplicaLogDirs, handle: (*Broker).handleAlterReplicaLogDirs, needs: needs(alterCluster)},
		{key: protocol.KeyDescribeLogDirs, handle: (*Broker).handleDescribeLogDirs, needs: needs(describeCluster)},
		{key: protocol.KeySASLAuthenticate, own: true, handle: (*Broker).handleSASLAuthenticate},
		{key: protocol.KeyCreatePartitions, handle: (*Broker).handleCreatePartitions, needs: needs(alterTopic)},
		{key: protocol.KeyCreateDelegationToken, handle: (*Broker).handleCreateDelegationToken, needs: needs(createTokens)},
		{key: protocol.KeyRenewDelegationToken, handle: (*Broker).handleRenewDelegationToken},
		{key: protocol.KeyExpireDelegationToken, handle: (*Broker).handleExpireDelegationToken},
		{key: protocol.KeyDescribeDelegationToken, handle: (*Broker).handleDescribeDelegationToken, needs: needs(describeToken, describeTokens)},
		{key: protocol.KeyDeleteGroups, handle: (*Broker).handleDeleteGroups, needs: needs(deleteGroup)},
		{key: protocol.KeyElectLeaders, handle: (*Broker).handleElectLeaders, needs: needs(alterCluster)},
		{key: protocol.KeyIncrementalAlterConfigs, handle: (*Broker).handleIncrementalAlterConfigs, needs: needs(alterTopicConf, alterClusterCfg, alterGroupConf)},
		{key: protocol.KeyAlterPartitionReassignments, handle: (*Broker).handleAlterPartitionReassignments, needs: needs(alterCluster)},
		{key: protocol.KeyListPartitionReassignments, handle: (*Broker).handleListPartitionReassignments, needs: needs(describeCluster)},
		{key: protocol.KeyOffsetDelete, handle: (*Broker).handleOffsetDelete, needs: needs(deleteGroup, readTopic)},
		{key: protocol.KeyDescribeClientQuotas, handle: (*Broker).handleDescribeClientQuotas, needs: needs(clusterConfigs)},
		{key: protocol.KeyAlterClientQuotas, handle: (*Broker).handleAlterClientQuotas, needs: needs(alterClusterCfg)},
		{key: protocol.KeyDescribeUserSCRAMCredentials, handle: (*Broker).handleDescribeUserSCRAMCredentials, needs: needs(describeCluster)},
		{key: protocol.KeyAlterUserSCRAMCredentials, handle: (*Broker).handleAlterUserSCRAMCredentials, needs: needs(alterCluster)},
		{key: protocol.KeyDescribeQuorum, handle: (*Broker).handleDescribeQuorum, needs: needs(describeCluster)},
		{key: protocol.KeyUpdateFeatures, handle: (*Broker).handleUpdateFeatures, needs: needs(alterCluster)},
		{key: protocol.KeyDescribeCluster, handle: (*Broker).handleDescribeCluster, needs: needs(describeCluster)},
		{key: protocol.KeyDescribeProducers, handle: (*Broker).handleDescribeProducers, needs: needs(readTopic)},
		{key: protocol.KeyUnregisterBroker, handle: (*Broker).handleUnregisterBroker, needs: needs(alterCluster)},
		{key: protocol.KeyGetTelemetrySubscriptions, handle: (*Broker).handleGetTelemetrySubscriptions},
		{key: protocol.KeyPushTelemetry, handle: (*Broker).handlePushTelemetry},
		{key: protocol.KeyListConfigResources, handle: (*Broker).handleListConfigResources, needs: needs(clusterConfigs)},
		{key: protocol.KeyDescribeTopicPartitions, handle: (*Broker).handleDescribeTopicPartitions, needs: needs(describeTopic)},
	}
	for i := range rows {
		row := &rows[i]
		s := schema.Lookup(row.key)
		row.name, row.min, row.max = s.Name, s.Min, s.Max
		if m := kmsg.RequestForKey(row.key); !row.own && m != nil {
			row.max = min(row.max, m.MaxVersion())
		}
	}
	return rows
}

// maxAPIKey bounds the array that dispatch indexes.
const maxAPIKey = 128

// apiIndex is the table by key.
type apiIndex [maxAPIKey]*api

func newAPIIndex(rows []api) *apiIndex {
	var index apiIndex
	for i := range rows {
		index[rows[i].key] = &rows[i]
	}
	return &index
}

func (x *apiIndex) lookup(key int16) *api {
	if key < 0 || key >= maxAPIKey {
		return nil
	}
	return x[key]
}

// serves says whether the API has the version.
func (a *api) serves(version int16) bool { return version >= a.min && version <= a.max }

func (a *api) mayNeed(n need) bool {
	for _, have := range a.needs {
		if have == n {
			return true
		}
	}
	return false
}
