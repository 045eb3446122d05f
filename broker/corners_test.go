package broker_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What stands here was found by tests/conformance: answers of Apache Kafka that ours differed
// from.

// newTopic creates a topic of one partition and returns its id.
func newTopic(t *testing.T, b *brokertest.Broker, name string, configs ...metadata.ConfigEntry) [16]byte {
	t.Helper()
	made, err := b.Broker().Store().CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{
		{Name: name, Partitions: 1, ReplicationFactor: 1, Configs: configs}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	return made[0].ID
}

func fetchVersion(version int16, topic string, id [16]byte) *kmsg.FetchRequest {
	req := fetchRequest(topic, 0)
	req.SetVersion(version)
	req.ReplicaID, req.MinBytes, req.MaxBytes, req.SessionEpoch = -1, 1, 1<<20, 0
	req.Topics[0].TopicID = id
	p := &req.Topics[0].Partitions[0]
	p.CurrentLeaderEpoch, p.LastFetchedEpoch, p.LogStartOffset = -1, -1, -1
	return req
}

func TestAFetchThatEmptiesItsSessionIsServedWhatItNamesItself(t *testing.T) {
	b := brokertest.Start(t)
	id := newTopic(t, b, "forgotten")
	w := dial(t, b)
	w.produceTo("forgotten", 1)
	session := w.call(fetchVersion(12, "forgotten", id)).(*kmsg.FetchResponse).SessionID
	req := fetchVersion(12, "forgotten", id)
	req.SessionID, req.SessionEpoch = session, 1
	f := kmsg.NewFetchRequestForgottenTopic()
	f.Topic, f.Partitions = "forgotten", []int32{0}
	req.ForgottenTopics = append(req.ForgottenTopics, f)
	resp := w.call(req).(*kmsg.FetchResponse)
	if resp.ErrorCode != 0 || resp.SessionID != 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Fatalf("%+v", resp)
	}
}

func TestAnIDInAFetchSessionStaysBoundToItsName(t *testing.T) {
	b := brokertest.Start(t)
	id := newTopic(t, b, "bound")
	w := dial(t, b)
	session := w.call(fetchVersion(13, "", id)).(*kmsg.FetchResponse).SessionID
	next := func(epoch int32) int16 {
		req := fetchVersion(13, "", id)
		req.SessionID, req.SessionEpoch, req.Topics = session, epoch, nil
		resp := w.call(req).(*kmsg.FetchResponse)
		if len(resp.Topics) != 1 {
			t.Fatalf("%+v", resp)
		}
		return resp.Topics[0].Partitions[0].ErrorCode
	}
	if _, err := b.Broker().Store().DeleteTopics(t.Context(), []metadata.TopicRef{{Name: "bound"}}); err != nil {
		t.Fatal(err)
	}
	if code := protocol.ErrorCode(next(1)); code != protocol.ErrUnknownTopicOrPartition {
		t.Errorf("of a topic that is gone: %v", code)
	}
	newTopic(t, b, "bound")
	if code := protocol.ErrorCode(next(2)); code != protocol.ErrInconsistentTopicID {
		t.Errorf("of a name that has another id: %v", code)
	}
}

func TestTheOrderOfAFetchSessionChangesByIncrementalAnswersOnly(t *testing.T) {
	b := brokertest.Start(t)
	made, err := b.Broker().Store().CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "turns", Partitions: 2, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	w := dial(t, b)
	for n := range int32(2) {
		req := kmsg.NewPtrProduceRequest()
		req.SetVersion(8)
		req.Acks, req.TimeoutMillis = -1, 10_000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "turns"
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = n, oneRecord(t, "k", "v")
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		w.call(req)
	}
	req := fetchVersion(12, "turns", [16]byte{})
	second := req.Topics[0].Partitions[0]
	second.Partition = 1
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, second)
	req.MaxBytes = 1 // room for the first batch only
	session := w.call(req).(*kmsg.FetchResponse).SessionID
	var first []int32
	for epoch := int32(1); epoch <= 3; epoch++ {
		next := fetchVersion(12, "turns", [16]byte{})
		next.SessionID, next.SessionEpoch, next.Topics, next.MaxBytes = session, epoch, nil, 1
		first = append(first, w.call(next).(*kmsg.FetchResponse).Topics[0].Partitions[0].Partition)
	}
	if !reflect.DeepEqual(first, []int32{0, 1, 0}) {
		t.Errorf("partitions come in the order %v", first)
	}
}

func TestAMaxMessageBytesOfZeroLetsNothingThrough(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "closed", metadata.ConfigEntry{Name: "max.message.bytes", Value: kmsg.StringPtr("0")})
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = -1, 10_000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = "closed"
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Records = oneRecord(t, "k", "v")
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	if code := protocol.ErrorCode(dial(t, b).call(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode); code != protocol.ErrMessageTooLarge {
		t.Error(code)
	}
}

func TestIncrementalAlterConfigsAnswersInTheOrderOfTheRequest(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "there")
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	for _, name := range []string{"there", "not-there"} {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kmsg.ConfigResourceTypeTopic, name
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = "retention.ms", kmsg.StringPtr("5")
		r.Configs = append(r.Configs, c)
		req.Resources = append(req.Resources, r)
	}
	resp := dial(t, b).call(req).(*kmsg.IncrementalAlterConfigsResponse)
	if resp.Resources[0].ResourceName != "there" || resp.Resources[0].ErrorCode != 0 || resp.Resources[1].ErrorCode != int16(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("%+v", resp.Resources)
	}
}

func TestAQuotaFilterForTheDefaultWithANameIsRefused(t *testing.T) {
	b := brokertest.Start(t)
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	c := kmsg.NewDescribeClientQuotasRequestComponent()
	c.EntityType, c.MatchType, c.Match = "user", 1, kmsg.StringPtr("a")
	req.Components = append(req.Components, c)
	if resp := dial(t, b).call(req).(*kmsg.DescribeClientQuotasResponse); resp.ErrorCode != int16(protocol.ErrInvalidRequest) || resp.Entries != nil {
		t.Errorf("%+v", resp)
	}
}

func TestAQuotaEntityThatNamesATypeTwiceIsAnsweredWithTheLast(t *testing.T) {
	b := brokertest.Start(t)
	req := kmsg.NewPtrAlterClientQuotasRequest()
	e := kmsg.NewAlterClientQuotasRequestEntry()
	for _, name := range []string{"a", "b"} {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		part.Type, part.Name = "user", kmsg.StringPtr(name)
		e.Entity = append(e.Entity, part)
	}
	op := kmsg.NewAlterClientQuotasRequestEntryOp()
	op.Key, op.Value = "producer_byte_rate", 1
	e.Ops = append(e.Ops, op)
	req.Entries = append(req.Entries, e)
	resp := dial(t, b).call(req).(*kmsg.AlterClientQuotasResponse)
	if resp.Entries[0].ErrorCode != 0 || len(resp.Entries[0].Entity) != 1 || *resp.Entries[0].Entity[0].Name != "b" {
		t.Errorf("%+v", resp.Entries)
	}
}

func TestAnEmptySaltedPasswordIsRefused(t *testing.T) {
	b := brokertest.Start(t)
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = "anybody", 1, 4096, []byte("salt"), []byte{}
	req.Upsertions = append(req.Upsertions, u)
	resp := dial(t, b).call(req).(*kmsg.AlterUserSCRAMCredentialsResponse)
	if resp.Results[0].ErrorCode != int16(protocol.ErrUnacceptableCredential) {
		t.Errorf("%+v", resp.Results)
	}
}

func TestDescribeQuorumShowsOneVoterAndOnlyTheOnePartition(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	for version := range int16(3) {
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.SetVersion(version)
		rt := kmsg.NewDescribeQuorumRequestTopic()
		rt.Topic = "__cluster_metadata"
		rt.Partitions = append(rt.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
		req.Topics = append(req.Topics, rt)
		p := w.call(req).(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0]
		id := b.Broker().Store().Image().ControllerID()
		if p.ErrorCode != 0 || p.LeaderID != id || p.LeaderEpoch < 1 || p.HighWatermark < 1 ||
			len(p.CurrentVoters) != 1 || p.CurrentVoters[0].ReplicaID != id || p.CurrentVoters[0].LogEndOffset < p.HighWatermark {
			t.Errorf("v%d: %+v", version, p)
		}
		req.Topics[0].Partitions[0].Partition = 1
		p = w.call(req).(*kmsg.DescribeQuorumResponse).Topics[0].Partitions[0]
		if p.ErrorCode != int16(protocol.ErrUnknownTopicOrPartition) || len(p.CurrentVoters) > 0 {
			t.Errorf("v%d of another partition: %+v", version, p)
		}
	}
}

func TestUnregisterBrokerKeepsTheOneThatIsAsked(t *testing.T) {
	b := brokertest.Start(t)
	w := dial(t, b)
	for id, want := range map[int32]protocol.ErrorCode{77: protocol.ErrBrokerIDNotRegistered, b.Broker().Store().Image().ControllerID(): protocol.ErrInvalidRequest} {
		req := kmsg.NewPtrUnregisterBrokerRequest()
		req.BrokerID = id
		if resp := w.call(req).(*kmsg.UnregisterBrokerResponse); resp.ErrorCode != int16(want) {
			t.Errorf("broker %d: %+v", id, resp)
		}
	}
}

// What a refusal looks like, beside its code, as tests/conformance -secured found it.
func TestRefusalsHaveApachesForm(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	newTopic(t, b, "hidden")
	w := dial(t, b)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.SetVersion(3)
	find.CoordinatorKey = "g"
	if resp := w.call(find).(*kmsg.FindCoordinatorResponse); resp.ErrorMessage == nil || *resp.ErrorMessage != "Group authorization failed." {
		t.Errorf("FindCoordinator: %+v", resp)
	}
	join := kmsg.NewPtrJoinGroupRequest()
	join.SetVersion(7)
	join.Group = "g"
	if resp := w.call(join).(*kmsg.JoinGroupResponse); resp.Protocol != nil {
		t.Errorf("JoinGroup: %+v", resp)
	}
	list := kmsg.NewPtrListPartitionReassignmentsRequest()
	lt := kmsg.NewListPartitionReassignmentsRequestTopic()
	lt.Topic, lt.Partitions = "hidden", []int32{0}
	list.Topics = append(list.Topics, lt)
	if resp := w.call(list).(*kmsg.ListPartitionReassignmentsResponse); resp.ErrorCode != int16(protocol.ErrClusterAuthorizationFailed) || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		t.Errorf("ListPartitionReassignments: %+v", resp)
	}
	if _, err := b.Broker().Store().CreateACLs(t.Context(), []metadata.ACL{{ResourceType: 2, ResourceName: "hidden", PatternType: 3,
		Principal: "User:ANONYMOUS", Host: "*", Operation: 8, Permission: 3}}); err != nil {
		t.Fatal(err)
	}
	del := kmsg.NewPtrDeleteTopicsRequest()
	del.SetVersion(6)
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr("hidden")
	del.Topics = append(del.Topics, dt)
	if resp := w.call(del).(*kmsg.DeleteTopicsResponse); resp.Topics[0].ErrorCode != int16(protocol.ErrTopicAuthorizationFailed) || resp.Topics[0].TopicID != [16]byte{} {
		t.Errorf("DeleteTopics: %+v", resp)
	}
}

func TestNullRecordsAreRefusedForTheirPartitionAlone(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "nulls")
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(8)
	req.Acks, req.TimeoutMillis = -1, 10_000
	for _, topic := range []string{"nulls", "none"} {
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = topic
		rt.Partitions = append(rt.Partitions, kmsg.NewProduceRequestTopicPartition())
		req.Topics = append(req.Topics, rt)
	}
	other := kmsg.NewProduceRequestTopicPartition()
	other.Partition = 7
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, other)
	resp := dial(t, b).call(req).(*kmsg.ProduceResponse)
	var got []protocol.ErrorCode
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			got = append(got, protocol.ErrorCode(p.ErrorCode))
		}
	}
	want := []protocol.ErrorCode{protocol.ErrInvalidRecord, protocol.ErrUnknownTopicOrPartition, protocol.ErrUnknownTopicOrPartition}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What a message quotes may be longer than any string of an answer.
func TestAnErrorMessageFitsIntoItsAnswer(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "there")
	long := strings.Repeat("o", 1<<15-1)
	create := kmsg.NewPtrCreateTopicsRequest()
	create.SetVersion(3)
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "long", 1, 1
	rc := kmsg.NewCreateTopicsRequestTopicConfig()
	rc.Name, rc.Value = long, kmsg.StringPtr("x")
	rt.Configs = append(rt.Configs, rc)
	create.Topics = append(create.Topics, rt)
	w := dial(t, b)
	created := w.call(create).(*kmsg.CreateTopicsResponse).Topics
	if len(created) != 1 || protocol.ErrorCode(created[0].ErrorCode) != protocol.ErrInvalidConfig || len(*created[0].ErrorMessage) > 1<<15-1 {
		t.Errorf("%d topics, %+v", len(created), created[0].ErrorCode)
	}
	describe := kmsg.NewPtrDescribeConfigsRequest()
	describe.SetVersion(1)
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, long
	describe.Resources = append(describe.Resources, rr)
	described := w.call(describe).(*kmsg.DescribeConfigsResponse).Resources
	if len(described) != 1 || described[0].ResourceName != long || protocol.ErrorCode(described[0].ErrorCode) != protocol.ErrInvalidTopicException {
		t.Errorf("%d resources", len(described))
	}
}

func TestTheCursorsPartitionIsOfTheTopicThatItNames(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "there")
	req := kmsg.NewPtrDescribeTopicPartitionsRequest()
	for _, name := range []string{"absent", "there"} {
		rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
		rt.Topic = name
		req.Topics = append(req.Topics, rt)
	}
	req.ResponsePartitionLimit = 10
	req.Cursor = &kmsg.DescribeTopicPartitionsRequestCursor{Topic: "absent", Partition: 5}
	resp := dial(t, b).call(req).(*kmsg.DescribeTopicPartitionsResponse)
	if len(resp.Topics) != 2 || len(resp.Topics[1].Partitions) != 1 {
		t.Errorf("%+v", resp)
	}
}

func TestListConfigResourcesNamesATypeOnce(t *testing.T) {
	b := brokertest.Start(t)
	newTopic(t, b, "once")
	req := kmsg.NewPtrListConfigResourcesRequest()
	req.SetVersion(1)
	req.ResourceTypes = []int8{2, 2}
	if got := dial(t, b).call(req).(*kmsg.ListConfigResourcesResponse).ConfigResources; len(got) != 1 {
		t.Errorf("%+v", got)
	}
}
