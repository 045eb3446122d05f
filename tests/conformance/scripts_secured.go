package main

import (
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sweepNeeds are the authorizations that an API may ask for, by key.
var sweepNeeds = []struct {
	key   int16
	needs []need
}{
	{0, []need{{opWrite, onTopic}, {opWrite, onTransactionalID}}},
	{1, []need{{opRead, onTopic}, {opClusterAction, onCluster}}},
	{2, []need{{opDescribe, onTopic}}},
	{3, []need{{opDescribe, onTopic}, {opCreate, onTopic}, {opCreate, onCluster}, {opDescribe, onCluster}}},
	{8, []need{{opRead, onGroup}, {opRead, onTopic}}},
	{9, []need{{opDescribe, onGroup}, {opDescribe, onTopic}}},
	{10, []need{{opDescribe, onGroup}, {opDescribe, onTransactionalID}}},
	{11, []need{{opRead, onGroup}}},
	{12, []need{{opRead, onGroup}}},
	{13, []need{{opRead, onGroup}}},
	{14, []need{{opRead, onGroup}}},
	{15, []need{{opDescribe, onGroup}, {opAll, onGroup}}},
	{16, []need{{opDescribe, onCluster}, {opDescribe, onGroup}}},
	{19, []need{{opCreate, onCluster}, {opCreate, onTopic}, {opDescribeConfigs, onTopic}}},
	{20, []need{{opDescribe, onTopic}, {opDelete, onTopic}}},
	{21, []need{{opDelete, onTopic}}},
	{22, []need{{opIdempotentWrite, onCluster}, {opWrite, onTopic}, {opWrite, onTransactionalID}}},
	{23, []need{{opDescribe, onTopic}, {opClusterAction, onCluster}}},
	{29, []need{{opDescribe, onCluster}}},
	{30, []need{{opAlter, onCluster}}},
	{31, []need{{opAlter, onCluster}}},
	{32, []need{{opDescribeConfigs, onTopic}, {opDescribeConfigs, onCluster}, {opDescribeConfigs, onGroup}}},
	{33, []need{{opAlterConfigs, onTopic}, {opAlterConfigs, onCluster}}},
	{34, []need{{opAlter, onCluster}}},
	{35, []need{{opDescribe, onCluster}}},
	{37, []need{{opAlter, onTopic}}},
	{42, []need{{opDelete, onGroup}}},
	{43, []need{{opAlter, onCluster}}},
	{44, []need{{opAlterConfigs, onTopic}, {opAlterConfigs, onCluster}}},
	{45, []need{{opAlter, onCluster}}},
	{46, []need{{opDescribe, onCluster}}},
	{47, []need{{opDelete, onGroup}, {opRead, onTopic}}},
	{48, []need{{opDescribeConfigs, onCluster}}},
	{49, []need{{opAlterConfigs, onCluster}}},
	{50, []need{{opDescribe, onCluster}}},
	{51, []need{{opAlter, onCluster}}},
	{55, []need{{opDescribe, onCluster}}},
	{57, []need{{opAlter, onCluster}}},
	{60, []need{{opDescribe, onCluster}, {opAlter, onCluster}}},
	{61, []need{{opRead, onTopic}}},
	{64, []need{{opAlter, onCluster}}},
	{74, []need{{opDescribeConfigs, onCluster}}},
	{75, []need{{opDescribe, onTopic}}},
}

// sweepRequest is the request of a sweep about a name, in any version.
func sweepRequest(key, version int16, name string, id [16]byte) kmsg.Request {
	req := brokertest.SweepRequest(key, version, name)
	req.SetVersion(version)
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		r.Topics[0].TopicID, r.Topics[0].Partitions[0].Records, r.TimeoutMillis = id, recordsFor(version, "x"), 5000
	case *kmsg.FetchRequest:
		r.Topics[0].TopicID, r.MaxBytes, r.MaxWaitMillis = id, 1<<20, 0
		r.Topics[0].Partitions[0].PartitionMaxBytes, r.ClusterID, r.SessionEpoch = 1<<20, nil, -1
	case *kmsg.ListOffsetsRequest:
		r.Topics[0].Partitions[0].Timestamp, r.Topics[0].Partitions[0].MaxNumOffsets, r.ReplicaID = -1, 1, -1
	case *kmsg.MetadataRequest:
		r.AllowAutoTopicCreation = false
		r.IncludeClusterAuthorizedOperations, r.IncludeTopicAuthorizedOperations = true, true
	case *kmsg.OffsetCommitRequest:
		r.Generation, r.InstanceID, r.RetentionTimeMillis, r.Topics[0].TopicID = -1, nil, -1, id
	case *kmsg.OffsetFetchRequest:
		for i := range r.Groups {
			r.Groups[i].MemberID, r.Groups[i].MemberEpoch = nil, -1
			r.Groups[i].Topics[0].TopicID = id
		}
	case *kmsg.JoinGroupRequest:
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.InstanceID = 30000, 30000, nil
	case *kmsg.DescribeGroupsRequest:
		r.IncludeAuthorizedOperations = true
	case *kmsg.CreateTopicsRequest:
		r.TimeoutMillis = 5000
		r.Topics[0].NumPartitions, r.Topics[0].ReplicationFactor, r.Topics[0].ReplicaAssignment = 1, 1, nil
		r.Topics[0].Configs[0].Name, r.Topics[0].Configs[0].Value = "retention.ms", ptr("77")
	case *kmsg.DeleteTopicsRequest:
		r.TimeoutMillis = 5000
	case *kmsg.DeleteRecordsRequest:
		r.TimeoutMillis = 5000
		r.Topics[0].Partitions[0].Offset = 1
	case *kmsg.InitProducerIDRequest:
		r.TransactionTimeoutMillis, r.ProducerID, r.ProducerEpoch = 60000, -1, -1
	case *kmsg.OffsetForLeaderEpochRequest:
		r.ReplicaID = -1
	case *kmsg.DescribeACLsRequest:
		r.ResourceName = &name
	case *kmsg.IncrementalAlterConfigsRequest:
		r.Resources[0].Configs[0].Name, r.Resources[0].Configs[0].Value = "retention.ms", ptr("78")
	case *kmsg.AlterConfigsRequest:
		r.Resources[0].Configs[0].Name, r.Resources[0].Configs[0].Value = "retention.ms", ptr("79")
	case *kmsg.DescribeConfigsRequest:
		r.Resources[0].ConfigNames = []string{"retention.ms"}
	case *kmsg.CreatePartitionsRequest:
		r.TimeoutMillis, r.Topics[0].Count, r.Topics[0].Assignment = 5000, 1, nil
	case *kmsg.ElectLeadersRequest:
		r.TimeoutMillis = 5000
	case *kmsg.AlterPartitionAssignmentsRequest:
		r.TimeoutMillis = 5000
	case *kmsg.DescribeClientQuotasRequest:
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.Match = "user", &name
		r.Components = []kmsg.DescribeClientQuotasRequestComponent{c}
	case *kmsg.AlterClientQuotasRequest:
		r.Entries[0].Entity[0].Type, r.Entries[0].Ops[0].Key, r.Entries[0].Ops[0].Value = "user", "producer_byte_rate", 1e9
	case *kmsg.AlterUserSCRAMCredentialsRequest:
		r.Deletions = nil
		u := &r.Upsertions[0]
		u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = 1, 4096, []byte("salt"), make([]byte, 32)
	case *kmsg.DescribeQuorumRequest:
		r.Topics[0].Topic = "__cluster_metadata"
	case *kmsg.UnregisterBrokerRequest:
		r.BrokerID = 77
	case *kmsg.DescribeClusterRequest:
		r.IncludeClusterAuthorizedOperations, r.EndpointType = true, 1
	case *kmsg.DescribeTopicPartitionsRequest:
		r.ResponsePartitionLimit = 10
	case *kmsg.UpdateFeaturesRequest:
		r.TimeoutMillis = 1000
	}
	return req
}

// sweep asks an API about what is there and what is not, as a principal without ACLs, with
// one ACL after the other, with all of them, with a deny over them, and as a super user;
// and sees after every refusal whether anything is different.
func sweep(key int16, needs []need) func(t *T) {
	return func(t *T) {
		name, missing := t.name("n"), t.name("m")
		if key == 22 {
			t.producerID() // so that the broker has some to give
		}
		user := t.user()
		ask := func(c *Conn, phase string, check bool) {
			id := t.ensure(name)
			before := ""
			if check {
				before = t.state(name) + t.state(missing)
			}
			for _, n := range []string{name, missing} {
				uuid := id
				if n == missing {
					uuid = [16]byte{0xab, 0xcd}
				}
				p := c.send(at(t.version, sweepRequest(key, t.version, n, uuid)))
				p.label = phase + ", " + p.label
				if tree := t.recordOurs(p); key == 11 && tree != nil && tree.Get("ErrorCode") == int64(0) {
					// Who has joined leaves, or the next one would wait for him.
					member, _ := tree.Get("MemberId").(string)
					t.quiet(func() { t.on("setup").do(at(4, leaveGroup(n, member))) })
				}
			}
			if check {
				t.settle()
				t.note(phase+": state", wire.Raw(map[bool]string{true: "unchanged", false: "changed"}[before == t.state(name)+t.state(missing)]))
			}
		}
		ask(t.as("nobody", "nobody"), "no ACLs", true)
		c := t.as("user", user)
		for i, n := range needs {
			t.revoke(user)
			t.grant(user, name, false, n)
			ask(c, sprintf("ACL %d", i), false)
		}
		t.revoke(user)
		t.grant(user, name, false, needs...)
		t.grant(user, missing, false, needs...)
		ask(c, "all ACLs", false)
		for i, n := range needs {
			t.revoke(user)
			t.grant(user, name, false, needs...)
			t.grant(user, name, true, n)
			ask(c, sprintf("all ACLs, ACL %d denied", i), len(needs) == 1)
		}
		t.revoke(user)
		ask(t.as("root", "root"), "super user", false)
	}
}

// recordOurs takes an answer down without what other scripts have, and returns it.
func (t *T) recordOurs(p *Pending) *wire.Struct {
	tree, state := p.receive(patience)
	for list, name := range map[string]string{"Groups": "GroupId", "ConfigResources": "ResourceName"} {
		if p.api.Key != 16 && p.api.Key != 74 {
			break
		}
		if all, ok := wire.At(asAny(tree), list).(wire.List); ok {
			ours := slices.DeleteFunc(slices.Clone(all), func(x any) bool {
				s, ok := wire.At(x, name).(string)
				return ok && !strings.HasPrefix(s, t.prefix)
			})
			tree.Set(list, ours)
		}
	}
	p.record(tree, state)
	return tree
}

// securedScripts are the scripts of a secured run.
func securedScripts() []script {
	var all []script
	for _, s := range sweepNeeds {
		all = append(all, script{"sweep: " + lookup(s.key).Name, s.key, 0, 0, sweep(s.key, s.needs)})
	}
	return append(all, aclScripts...)
}

func aclFilter(typ int8, name *string, pattern int8, principal, host *string, op, permission int8) *kmsg.DescribeACLsRequest {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.ResourceType, req.ResourceName, req.ResourcePatternType = kmsg.ACLResourceType(typ), name, kmsg.ACLResourcePatternType(pattern)
	req.Principal, req.Host, req.Operation, req.PermissionType = principal, host, kmsg.ACLOperation(op), kmsg.ACLPermissionType(permission)
	return req
}

func aclCreation(typ int8, name string, pattern int8, principal, host string, op, permission int8) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceType(typ), name, kmsg.ACLResourcePatternType(pattern)
	c.Principal, c.Host, c.Operation, c.PermissionType = principal, host, kmsg.ACLOperation(op), kmsg.ACLPermissionType(permission)
	return c
}

func (t *T) createACLs(creations ...kmsg.CreateACLsRequestCreation) {
	req := kmsg.NewPtrCreateACLsRequest()
	req.Creations = creations
	t.do(req)
}

var aclScripts = []script{
	{"acls: created and described", 29, 0, 0, func(t *T) {
		name, who := t.name("t"), "User:"+t.name("who")
		t.quiet(func() {
			t.createACLs(aclCreation(2, name, 3, who, "*", 3, 3), aclCreation(2, name, 3, who, "10.0.0.1", 4, 2), aclCreation(2, t.name(""), 4, who, "*", 8, 3),
				aclCreation(3, name, 3, who, "*", 3, 3), aclCreation(5, name, 3, who, "*", 4, 3))
		})
		t.settle()
		for _, f := range []*kmsg.DescribeACLsRequest{
			aclFilter(1, nil, 1, &who, nil, 1, 1), aclFilter(2, nil, 1, &who, nil, 1, 1), aclFilter(2, &name, 1, nil, nil, 1, 1), aclFilter(2, &name, 2, nil, nil, 1, 1),
			aclFilter(2, &name, 3, nil, nil, 1, 1), aclFilter(2, &name, 4, nil, nil, 1, 1), aclFilter(2, ptr(t.name("")), 4, nil, nil, 1, 1), aclFilter(1, nil, 1, &who, ptr("*"), 1, 1),
			aclFilter(1, nil, 1, &who, ptr("10.0.0.1"), 1, 1), aclFilter(1, nil, 1, &who, nil, 3, 1), aclFilter(1, nil, 1, &who, nil, 2, 1), aclFilter(1, nil, 1, &who, nil, 1, 2),
			aclFilter(1, nil, 1, &who, nil, 1, 3), aclFilter(1, nil, 1, ptr("User:"), nil, 1, 1), aclFilter(1, nil, 1, ptr("nonsense"), nil, 1, 1), aclFilter(7, nil, 1, &who, nil, 1, 1),
			aclFilter(99, nil, 1, &who, nil, 1, 1), aclFilter(1, nil, 99, &who, nil, 1, 1), aclFilter(1, nil, 1, &who, nil, 99, 1), aclFilter(1, nil, 1, &who, nil, 1, 99), aclFilter(1, ptr(""), 1, &who, nil, 1, 1),
		} {
			t.do(f)
		}
	}},
	{"acls: what cannot be created", 30, 0, 0, func(t *T) {
		name, who := t.name("t"), "User:"+t.name("who")
		for _, c := range []kmsg.CreateACLsRequestCreation{
			aclCreation(1, name, 3, who, "*", 3, 3), aclCreation(2, name, 1, who, "*", 3, 3), aclCreation(2, name, 2, who, "*", 3, 3), aclCreation(2, name, 3, who, "*", 1, 3),
			aclCreation(2, name, 3, who, "*", 3, 1), aclCreation(2, "", 3, who, "*", 3, 3), aclCreation(2, name, 3, "", "*", 3, 3), aclCreation(2, name, 3, "nonsense", "*", 3, 3),
			aclCreation(2, name, 3, "User:", "*", 3, 3), aclCreation(2, name, 3, "Group:"+name, "*", 3, 3), aclCreation(2, name, 3, who, "", 3, 3), aclCreation(2, name, 3, who, "not an address", 3, 3),
			aclCreation(4, name, 3, who, "*", 9, 3), aclCreation(4, "kafka-cluster", 4, who, "*", 9, 3), aclCreation(4, "kafka-cluster", 3, who, "*", 3, 3), aclCreation(2, name, 3, who, "*", 9, 3),
			aclCreation(2, name, 3, who, "*", 12, 3), aclCreation(3, name, 3, who, "*", 5, 3), aclCreation(2, "*", 4, who, "*", 3, 3), aclCreation(6, name, 3, who, "*", 8, 3), aclCreation(7, name, 3, who, "*", 13, 3),
			aclCreation(2, strings.Repeat("x", 300), 3, who, "*", 3, 3), aclCreation(2, "a b", 3, who, "*", 3, 3), aclCreation(8, name, 3, who, "*", 3, 3), aclCreation(77, name, 3, who, "*", 3, 3), aclCreation(2, name, 77, who, "*", 3, 3),
			aclCreation(2, name, 3, who, "*", 77, 3), aclCreation(2, name, 3, who, "*", 16, 3), aclCreation(2, name, 3, who, "*", 3, 77),
		} {
			t.createACLs(c)
		}
		good := aclCreation(2, name, 3, who, "*", 3, 3)
		t.createACLs(good, good)
		t.createACLs(good)
		t.createACLs()
		t.createACLs(good, aclCreation(2, name, 3, who, "*", 16, 3), aclCreation(2, t.name("u"), 3, who, "*", 3, 3))
		t.settle()
		t.do(at(3, aclFilter(1, nil, 1, &who, nil, 1, 1)))
	}},
	{"acls: deleted", 31, 0, 0, func(t *T) {
		name, who := t.name("t"), "User:"+t.name("who")
		fill := func() {
			t.quiet(func() {
				req := kmsg.NewPtrCreateACLsRequest()
				req.Creations = append(req.Creations, aclCreation(2, name, 3, who, "*", 3, 3), aclCreation(2, name, 3, who, "*", 4, 3), aclCreation(2, t.name(""), 4, who, "*", 8, 2), aclCreation(3, name, 3, who, "*", 3, 3))
				t.on("setup").do(at(3, req))
			})
			t.settle()
		}
		del := func(filters ...*kmsg.DescribeACLsRequest) {
			req := kmsg.NewPtrDeleteACLsRequest()
			for _, f := range filters {
				d := kmsg.NewDeleteACLsRequestFilter()
				d.ResourceType, d.ResourceName, d.ResourcePatternType, d.Principal, d.Host, d.Operation, d.PermissionType = f.ResourceType, f.ResourceName, f.ResourcePatternType, f.Principal, f.Host, f.Operation, f.PermissionType
				req.Filters = append(req.Filters, d)
			}
			t.do(req)
			t.settle()
			t.do(at(3, aclFilter(1, nil, 1, &who, nil, 1, 1)))
		}
		fill()
		del(aclFilter(2, &name, 3, &who, nil, 3, 3))
		del(aclFilter(2, &name, 3, &who, nil, 3, 3))
		del(aclFilter(2, &name, 2, &who, nil, 1, 1))
		fill()
		del(aclFilter(2, nil, 1, &who, nil, 1, 1), aclFilter(1, nil, 1, &who, nil, 3, 1))
		fill()
		del()
		del(aclFilter(99, nil, 1, &who, nil, 1, 1))
		del(aclFilter(1, nil, 77, &who, nil, 1, 1), aclFilter(3, nil, 1, &who, nil, 1, 1))
		del(aclFilter(1, nil, 1, &who, nil, 99, 1))
		del(aclFilter(1, nil, 1, &who, nil, 1, 1))
	}},
	{"acls: patterns, denials and hosts decide", 2, 1, 1, func(t *T) {
		topic, _ := t.topic("topic-a", 1)
		user := t.user()
		who := "User:" + user
		c := t.as("user", user)
		for _, step := range [][]kmsg.CreateACLsRequestCreation{
			{}, {aclCreation(2, t.name("topic"), 4, who, "*", 8, 3)}, {aclCreation(2, t.name("topic"), 3, who, "*", 8, 3)}, {aclCreation(2, topic, 3, who, "10.9.9.9", 8, 3)},
			{aclCreation(2, topic, 3, who, "127.0.0.1", 8, 3)}, {aclCreation(2, topic, 3, who, "*", 3, 3)}, {aclCreation(2, topic, 3, who, "*", 5, 3)}, {aclCreation(2, topic, 3, who, "*", 10, 3)}, {aclCreation(2, topic, 3, who, "*", 2, 3)},
			{aclCreation(2, topic, 3, who, "*", 2, 3), aclCreation(2, t.name(""), 4, who, "*", 8, 2)}, {aclCreation(2, topic, 3, who, "*", 8, 3), aclCreation(2, topic, 3, who, "*", 3, 2)},
			{aclCreation(2, topic, 3, who, "*", 8, 3), aclCreation(2, topic, 3, who, "10.9.9.9", 2, 2)}, {aclCreation(2, topic, 3, who, "*", 8, 3), aclCreation(2, "*", 3, who, "*", 2, 2)},
			{aclCreation(3, topic, 3, who, "*", 8, 3)}, {aclCreation(4, "kafka-cluster", 3, who, "*", 8, 3)},
		} {
			t.revoke(user)
			if len(step) > 0 {
				t.quiet(func() {
					req := kmsg.NewPtrCreateACLsRequest()
					req.Creations = step
					t.on("setup").do(at(3, req))
				})
				t.settle()
			}
			c.do(listOffsets(topic, 0, -1))
			req := metadataOf(topic)
			req.IncludeTopicAuthorizedOperations = true
			c.do(at(8, req))
		}
		t.revoke(user)
	}},
	{"acls: several topics, some allowed", 3, 4, 0, func(t *T) {
		one, _ := t.topic("one", 1)
		two, _ := t.topic("two", 1)
		user := t.user()
		t.grant(user, one, false, need{opDescribe, onTopic})
		c := t.as("user", user)
		c.do(metadataOf(two, one, t.name("none"), "a b"))
		req := metadataOf()
		req.Topics = nil
		c.do(req)
		if t.version >= 8 {
			req = metadataOf(two, one, t.name("none"))
			req.IncludeTopicAuthorizedOperations, req.IncludeClusterAuthorizedOperations = true, true
			c.do(req)
		}
		create := metadataOf(t.name("new"))
		create.AllowAutoTopicCreation = true
		c.do(create)
		t.note("created", wire.Raw(sprintf("%d", t.on("setup").do(at(12, metadataOf(t.name("new")))).int("Topics[0].ErrorCode"))))
		t.revoke(user)
	}},
	{"secured: produce and fetch of several topics, some allowed", 1, 4, 0, func(t *T) {
		one, id1 := t.topic("one", 1)
		two, id2 := t.topic("two", 1)
		t.fill(one, 0, records("a"))
		t.fill(two, 0, records("b"))
		user := t.user()
		t.grant(user, one, false, need{opRead, onTopic}, need{opWrite, onTopic})
		c := t.as("user", user)
		req := fetch(two, id2, 0, 0)
		req.SessionEpoch = -1
		req.Topics = append(req.Topics, fetch(one, id1, 0, 0).Topics[0], fetch(t.name("none"), [16]byte{5}, 0, 0).Topics[0])
		c.do(req)
		p := produce(two, 0, records("x"))
		p.Topics = append(p.Topics, produce(one, 0, records("y")).Topics[0], produce(t.name("none"), 0, records("z")).Topics[0])
		c.do(at(9, p))
		p.Acks = 0
		c.send(at(9, p))
		c.open()
		t.do(at(7, listOffsets(one, 0, -1)))
		t.do(at(7, listOffsets(two, 0, -1)))
		t.revoke(user)
	}},
	{"secured: an ACL goes while a fetch waits and a session lives", 1, 7, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		user := t.user()
		t.grant(user, topic, false, need{opRead, onTopic})
		c := t.as("user", user)
		req := fetch(topic, id, 0, 0)
		req.SessionEpoch, req.MaxWaitMillis = -1, 1500
		p := c.send(req)
		c.silent(waits)
		t.revoke(user)
		t.fill(topic, 0, records("a"))
		p.answer()
		c.do(req)
	}},
	{"secured: no request before logging in", -1, 0, 0, func(t *T) {
		for i, key := range []int16{0, 1, 3, 10, 17, 18, 19, 36, 60} {
			c := t.stranger(sprintf("c%d", i))
			req := kmsg.RequestForKey(key)
			req.SetVersion(min(auxiliary[key], 3))
			if r, ok := req.(*kmsg.ApiVersionsRequest); ok {
				r.ClientSoftwareName, r.ClientSoftwareVersion = "a", "1"
			}
			p := c.send(at(req.GetVersion(), req))
			p.stateWithin(3 * time.Second)
		}
		for i, first := range [][]byte{plainToken("root"), plainToken("stranger"), {0, 0, 0, 0}, {0x7f, 0, 0, 0}, []byte("GET / HTTP/1.1\r\n\r\n"), {0x16, 3, 1, 0, 5, 1}} {
			c := t.stranger(sprintf("r%d", i))
			c.raw.write(first)
			c.fate(3 * time.Second)
		}
	}},
	{"secured: logging in", 36, 0, 0, func(t *T) {
		for i, token := range []string{"\x00root\x00secret", "\x00root\x00wrong", "\x00stranger\x00secret", "root\x00root\x00secret", "nobody\x00root\x00secret", "", "\x00", "\x00\x00", "\x00root\x00", "root\x00secret", "a\x00b\x00c\x00d"} {
			c := t.stranger(sprintf("c%d", i))
			handshake := kmsg.NewPtrSASLHandshakeRequest()
			handshake.Mechanism = "PLAIN"
			c.do(at(1, handshake))
			req := kmsg.NewPtrSASLAuthenticateRequest()
			req.SASLAuthBytes = []byte(token)
			if a := c.do(req); a.State == "answered" {
				find := kmsg.NewPtrFindCoordinatorRequest()
				find.CoordinatorKey = t.name("g")
				c.send(at(1, find)).stateWithin(3 * time.Second)
			}
		}
		for i, mechanism := range []string{"", "SCRAM-SHA-256", "plain", "GSSAPI"} {
			c := t.stranger(sprintf("m%d", i))
			handshake := kmsg.NewPtrSASLHandshakeRequest()
			handshake.Mechanism = mechanism
			c.do(at(1, handshake))
			c.fate(2 * time.Second)
		}
	}},
}

// stranger returns a connection to the listener with SASL on which nobody has logged in.
func (t *T) stranger(name string) *Conn {
	raw, err := dial(t.target.saslAddr)
	if err != nil {
		t.fail("connect: %v", err)
	}
	c := &Conn{t: t, name: name, raw: raw, clientID: "conformance"}
	t.conns[name] = c
	return c
}
