package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/bench/replay"
)

// foreignWork is what a principal may not do with what is not its own, by raw requests on
// a connection that it has logged in on; the answer is the error codes.
type foreignWork struct {
	name string
	want string
	ask  func(c *wire) (kmsg.Response, error)
	code func(kmsg.Response) int16
}

func foreignWorks() []foreignWork {
	const topic, group = "somebody-else-topic", "somebody-else-group"
	ask := func(r kmsg.Request, version int16) func(c *wire) (kmsg.Response, error) {
		return func(c *wire) (kmsg.Response, error) {
			r.SetVersion(version)
			return c.Ask(r, patience)
		}
	}
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks, produce.TimeoutMillis = -1, 1000
	produce.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: replay.Batch(1, 100)}}}}
	fetch := func(replica int32) *kmsg.FetchRequest {
		r := kmsg.NewPtrFetchRequest()
		r.ReplicaID, r.MaxWaitMillis, r.MaxBytes = replica, 0, 1000
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = 1000
		r.Topics = []kmsg.FetchRequestTopic{{Topic: topic, Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		return r
	}
	fetchCode := func(r kmsg.Response) int16 {
		f := r.(*kmsg.FetchResponse)
		if f.ErrorCode != 0 {
			return f.ErrorCode
		}
		return f.Topics[0].Partitions[0].ErrorCode
	}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = group, 10_000, 10_000, "consumer"
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range", Metadata: []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}}}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group = group
	create := kmsg.NewPtrCreateTopicsRequest()
	newTopic := kmsg.NewCreateTopicsRequestTopic()
	newTopic.Topic, newTopic.NumPartitions, newTopic.ReplicationFactor = topic+"-2", 1, 1
	create.Topics, create.TimeoutMillis = []kmsg.CreateTopicsRequestTopic{newTopic}, 1000
	remove := kmsg.NewPtrDeleteTopicsRequest()
	remove.TopicNames, remove.TimeoutMillis = []string{topic}, 1000
	acl := kmsg.NewPtrCreateACLsRequest()
	creation := kmsg.NewCreateACLsRequestCreation()
	creation.ResourceType, creation.ResourceName, creation.ResourcePatternType = kmsg.ACLResourceTypeTopic, "*", kmsg.ACLResourcePatternTypeLiteral
	creation.Principal, creation.Host, creation.Operation, creation.PermissionType = "User:*", "*", kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow
	acl.Creations = []kmsg.CreateACLsRequestCreation{creation}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Resources = []kmsg.DescribeConfigsRequestResource{{ResourceType: kmsg.ConfigResourceTypeBroker, ResourceName: "1"}}
	alter := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	alter.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: "admin", Mechanism: 1, Iterations: 4096, Salt: []byte("salt and pepper"), SaltedPassword: make([]byte, 32)}}
	transaction := kmsg.NewPtrInitProducerIDRequest()
	id := "somebody-else-transaction"
	transaction.TransactionalID, transaction.TransactionTimeoutMillis = &id, 1000
	metadata := kmsg.NewPtrMetadataRequest()
	name := topic
	metadata.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	return []foreignWork{
		{"Produce", "29", ask(produce, 9), func(r kmsg.Response) int16 { return r.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode }},
		{"Fetch", "29", ask(fetch(-1), 11), fetchCode},
		{"Fetch as a broker", "29", ask(fetch(2), 11), fetchCode},
		{"Metadata", "29", ask(metadata, 9), func(r kmsg.Response) int16 { return r.(*kmsg.MetadataResponse).Topics[0].ErrorCode }},
		{"JoinGroup", "30", ask(join, 5), func(r kmsg.Response) int16 { return r.(*kmsg.JoinGroupResponse).ErrorCode }},
		{"FindCoordinator", "30", func(c *wire) (kmsg.Response, error) {
			r := kmsg.NewPtrFindCoordinatorRequest()
			r.CoordinatorKey = group
			return ask(r, 3)(c)
		}, func(r kmsg.Response) int16 { return r.(*kmsg.FindCoordinatorResponse).ErrorCode }},
		{"CreateTopics", "29", ask(create, 5), func(r kmsg.Response) int16 { return r.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode }},
		{"DeleteTopics", "29", ask(remove, 4), func(r kmsg.Response) int16 { return r.(*kmsg.DeleteTopicsResponse).Topics[0].ErrorCode }},
		{"CreateAcls", "31", ask(acl, 2), func(r kmsg.Response) int16 { return r.(*kmsg.CreateACLsResponse).Results[0].ErrorCode }},
		{"DescribeConfigs of the broker", "31", ask(configs, 2), func(r kmsg.Response) int16 { return r.(*kmsg.DescribeConfigsResponse).Resources[0].ErrorCode }},
		{"AlterUserScramCredentials", "31", ask(alter, 0), func(r kmsg.Response) int16 {
			return r.(*kmsg.AlterUserSCRAMCredentialsResponse).Results[0].ErrorCode
		}},
		{"InitProducerId of a transaction", "53", ask(transaction, 4), func(r kmsg.Response) int16 { return r.(*kmsg.InitProducerIDResponse).ErrorCode }},
	}
}

// foreign runs all works as the principal of a row and returns what went otherwise.
func (w *world) foreign(ctx context.Context, r *row, works []foreignWork) error {
	c, err := w.login(r)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, f := range works {
		answer, askErr := f.ask(c)
		if askErr != nil {
			return errors.Join(err, fmt.Errorf("%s: %w", f.name, askErr))
		}
		if got := fmt.Sprint(f.code(answer)); got != f.want {
			err = errors.Join(err, fmt.Errorf("%s: error %s, want %s", f.name, got, f.want))
		}
	}
	return err
}
