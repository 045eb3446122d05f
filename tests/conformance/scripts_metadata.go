package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var metadataScripts = []script{
	{"metadata: topics by name", 3, 0, 0, func(t *T) {
		one, _ := t.topic("one", 2)
		two, _ := t.topic("two", 1)
		t.do(metadataOf(one))
		t.do(metadataOf(two, one))
		t.do(metadataOf(one, one))
	}},
	{"metadata: missing and invalid names", 3, 4, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		t.do(metadataOf(t.name("none")))
		for _, n := range []string{"", ".", "..", "a b", "a/b", "ä", strings.Repeat("x", 249), strings.Repeat("x", 250)} {
			t.do(metadataOf(n))
		}
		t.do(metadataOf(t.name("none"), topic, "a b"))
	}},
	{"metadata: invalid names that might be created", 3, 0, 0, func(t *T) {
		for _, n := range []string{"", ".", "..", "a b", "a/b", "ä", strings.Repeat("x", 250)} {
			req := metadataOf(n)
			req.AllowAutoTopicCreation = true
			t.do(req)
		}
	}},
	{"metadata: creates topics", 3, 0, 0, func(t *T) {
		req := metadataOf(t.name("new"))
		req.AllowAutoTopicCreation = true
		t.do(req)
		t.awaitTopic(t.name("new"), 3)
		t.do(req)
	}},
	{"metadata: no topics", 3, 1, 0, func(t *T) {
		t.do(metadataOf())
	}},
	{"metadata: all topics", 3, 0, 0, func(t *T) {
		t.topic("a", 1)
		t.topic("b", 2)
		t.topic("c", 1)
		req := kmsg.NewPtrMetadataRequest()
		if t.version == 0 {
			req.Topics = []kmsg.MetadataRequestTopic{}
		}
		t.onlyOurs(req, "Topics", "Name")
	}},
	{"metadata: authorized operations", 3, 8, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		for _, flags := range [][2]bool{{true, false}, {false, true}, {true, true}} {
			req := metadataOf(topic, t.name("none"))
			req.IncludeClusterAuthorizedOperations, req.IncludeTopicAuthorizedOperations = flags[0], flags[1]
			t.do(req)
		}
	}},
	{"metadata: null names and ids", 3, 10, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		ask := func(name *string, id [16]byte) {
			req := metadataOf()
			rt := kmsg.NewMetadataRequestTopic()
			rt.Topic, rt.TopicID = name, id
			req.Topics = append(req.Topics, rt)
			t.do(req)
		}
		ask(nil, [16]byte{})
		ask(nil, id)
		ask(nil, [16]byte{9})
		ask(&topic, id)
		ask(&topic, [16]byte{9})
		req := metadataOf(topic)
		rt := kmsg.NewMetadataRequestTopic()
		rt.TopicID = id
		req.Topics = append(req.Topics, rt)
		t.do(req)
	}},
	{"metadata: a deleted and created topic", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 2)
		t.do(metadataOf(topic))
		t.quiet(func() { t.on("setup").do(deleteTopic(topic)) })
		t.awaitNoTopic(topic)
		t.topic("t", 1)
		t.do(metadataOf(topic))
	}},
	{"metadata: an internal topic", 3, 1, 0, func(t *T) {
		t.offsetsTopic()
		t.do(metadataOf("__consumer_offsets"))
	}},
	{"metadata: bytes behind the end", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		req := metadataOf(topic)
		req.SetVersion(t.version)
		t.on("a").sendBody(3, t.version, append(req.AppendTo(nil), 1, 2, 3)).answer()
		t.on("a").open()
	}},
	{"metadata: a body that ends early", 3, 0, 0, func(t *T) {
		topic, _ := t.topic("t", 1)
		req := metadataOf(topic)
		req.SetVersion(t.version)
		body := req.AppendTo(nil)
		for cut := range len(body) {
			c := t.on(sprintf("c%d", cut))
			c.sendBody(3, t.version, body[:cut]).answer()
		}
	}},
	{"findcoordinator: groups", 10, 0, 3, func(t *T) {
		t.offsetsTopic()
		for _, key := range []string{"g", "", "ä", strings.Repeat("g", 1000)} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKey = key
			t.do(req)
		}
	}},
	{"findcoordinator: batches", 10, 4, 0, func(t *T) {
		t.offsetsTopic()
		for _, keys := range [][]string{{"g"}, {}, {"a", "b", ""}, {"a", "a"}} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorKeys = keys
			t.do(req)
		}
	}},
	{"findcoordinator: unknown types", 10, 1, 0, func(t *T) {
		for _, typ := range []int8{2, 3, -1, 127, -128} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType = typ
			req.CoordinatorKey, req.CoordinatorKeys = "g", []string{"g", "h"}
			t.do(req)
		}
	}},
	{"describecluster: endpoints", 60, 0, 0, func(t *T) {
		for _, typ := range []int8{0, 1, 2, 3, -1} {
			for _, ops := range []bool{false, true} {
				req := kmsg.NewPtrDescribeClusterRequest()
				req.EndpointType, req.IncludeClusterAuthorizedOperations = typ, ops
				t.do(req)
			}
		}
	}},
	{"describetopicpartitions: pages", 75, 0, 0, func(t *T) {
		one, _ := t.topic("one", 3)
		two, _ := t.topic("two", 2)
		ask := func(limit int32, cursor *kmsg.DescribeTopicPartitionsRequestCursor, names ...string) *Answer {
			req := kmsg.NewPtrDescribeTopicPartitionsRequest()
			req.ResponsePartitionLimit, req.Cursor = limit, cursor
			for _, n := range names {
				rt := kmsg.NewDescribeTopicPartitionsRequestTopic()
				rt.Topic = n
				req.Topics = append(req.Topics, rt)
			}
			return t.do(req)
		}
		at := func(topic string, partition int32) *kmsg.DescribeTopicPartitionsRequestCursor {
			c := kmsg.NewDescribeTopicPartitionsRequestCursor()
			c.Topic, c.Partition = topic, partition
			return &c
		}
		ask(2000, nil, one, two)
		ask(2000, nil, two, one)
		ask(2000, nil, one, one)
		ask(2, nil, one, two)
		ask(2, at(one, 2), one, two)
		ask(4, nil, one, two)
		ask(3, nil, one, two)
		ask(0, nil, one, two)
		ask(-1, nil, one)
		ask(1, at(two, 0), one, two)
		ask(1, at(t.name("none"), 0), one, two)
		ask(1, at(one, -1), one, two)
		ask(1, at(one, 7), one, two)
		ask(1, at("", 0), one, two)
		ask(10, nil, t.name("none"))
		ask(10, nil, t.name("none"), one, "a b", "")
		ask(10, at(t.name("oo"), 0), one, t.name("oo"), two)
	}},
	{"apiversions: software names", 18, 3, 0, func(t *T) {
		for _, n := range [][2]string{{"", ""}, {"ä", "1"}, {"-a", "1"}, {"a-", "1"}, {"a", ""}, {"a b", "1"}, {"a", "1 "}} {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = n[0], n[1]
			t.do(req)
		}
		t.on("a").open()
	}},
	{"apiversions: unknown versions", 18, 0, 0, func(t *T) {
		for _, v := range []int16{5, 6, 100, 32767, -1, -32768} {
			p := t.on("a").sendBody(18, v, []byte{1, 2, 3})
			p.version = 0
			p.label = "a: ApiVersions of an unknown version"
			p.answer()
		}
		t.on("a").open()
	}},
	{"connection: unknown keys and versions", -1, 0, 0, func(t *T) {
		for i, kv := range [][2]int16{{0, 99}, {1, -1}, {3, 100}, {18, -1}, {8, 77}, {11, 50}} {
			c := t.on(sprintf("c%d", i))
			c.sendBody(kv[0], kv[1], nil).answer()
		}
		for i, key := range []int16{-1, 95, 200, 32767} {
			c := t.on(sprintf("k%d", i))
			c.raw.write([]byte{0, 0, 0, 10, byte(key >> 8), byte(key), 0, 0, 0, 0, 0, 1, 0, 0})
			c.silent(2e9)
		}
	}},
	{"connection: sizes that cannot be", -1, 0, 0, func(t *T) {
		for i, size := range []uint32{0, 0xffffffff, 0x80000000, 104857601, 1, 3, 7} {
			c := t.on(sprintf("c%d", i))
			c.raw.write([]byte{byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)})
			if size < 100 {
				c.raw.write(make([]byte, size))
			}
			c.silent(2e9)
		}
	}},
	{"connection: null client id", -1, 0, 0, func(t *T) {
		c := t.on("a")
		c.raw.write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
		p := &Pending{c: c, api: lookup(18), id: 1, label: "a: ApiVersions with a null client id"}
		tree, state := p.receive(patience)
		_ = tree
		p.record(nil, state)
	}},
	{"connection: negative length of the client id", -1, 0, 0, func(t *T) {
		c := t.on("a")
		c.raw.write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xfe})
		c.silent(2e9)
	}},
	{"connection: header tags", -1, 0, 0, func(t *T) {
		c := t.on("a")
		c.raw.write([]byte{0, 0, 0, 20, 0, 60, 0, 0, 0, 0, 0, 1, 0, 1, 'x', 1, 7, 2, 9, 9, 0, 0, 0, 0})
		c.silent(1e9)
	}},
	{"connection: answers in order", -1, 0, 0, func(t *T) {
		topic, id := t.topic("t", 1)
		req := fetch(topic, id, 0, 0)
		req.MaxWaitMillis = 400
		p1 := t.on("a").send(req)
		p2 := t.on("a").send(metadataOf(topic))
		p3 := t.on("a").send(listOffsets(topic, 0, -1))
		p1.answer()
		p2.answer()
		p3.answer()
	}},
	{"sasl: without it", 17, 0, 0, func(t *T) {
		for _, m := range []string{"PLAIN", "", "GSSAPI"} {
			req := kmsg.NewPtrSASLHandshakeRequest()
			req.Mechanism = m
			t.do(req)
		}
		t.on("a").open()
	}},
	{"sasl: token without it", 36, 0, 0, func(t *T) {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = []byte("\x00a\x00b")
		t.do(req)
		t.on("a").open()
	}},
	{"acls: without an authorizer", 29, 0, 0, func(t *T) {
		req := kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
		t.do(req)
		t.do(at(3, createACL()))
		del := kmsg.NewPtrDeleteACLsRequest()
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = 1, 1, 1, 1
		del.Filters = append(del.Filters, f)
		t.do(at(3, del))
	}},
	{"updatefeatures: without any", 57, 0, 0, func(t *T) {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.TimeoutMillis = 1000
		t.do(req)
		f := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		f.Feature, f.MaxVersionLevel = "no.such.feature", 1
		req.FeatureUpdates = append(req.FeatureUpdates, f)
		t.do(req)
		req.FeatureUpdates[0].Feature = ""
		t.do(req)
	}},
	{"listconfigresources: kinds", 74, 0, 0, func(t *T) {
		req := kmsg.NewPtrListConfigResourcesRequest()
		if t.version == 0 {
			t.do(req)
			return
		}
		topic, _ := t.topic("t", 1)
		_ = topic
		for _, kinds := range [][]int8{{2}, {}, {4}, {16}, {32}, {2, 4}, {0}, {99}} {
			req.ResourceTypes = kinds
			t.onlyOurs(req, "ConfigResources", "ResourceName")
		}
	}},
}

func createACL() *kmsg.CreateACLsRequest {
	req := kmsg.NewPtrCreateACLsRequest()
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType, c.Principal, c.Host, c.Operation, c.PermissionType = 2, "t", 3, "User:a", "*", 3, 3
	req.Creations = append(req.Creations, c)
	return req
}
