package broker_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/protocol"
)

// valueOf is a value that says where it belongs, of a size that buffers are reused for.
func valueOf(topic string, n int) []byte {
	return append([]byte(topic+" "), make([]byte, n)...)
}

// A client's producer gave a buffer back while a request that had timed out still read it,
// and records of one topic were written to another. Neither our buffers nor those of the
// library under our command line do that: producers give up, and connections end in the
// middle of a frame, and every record is in the topic that it names.
func TestCVE_2026_35554_RecordsAreInTheTopicTheyWereSentTo(t *testing.T) {
	b := brokertest.Start(t, "auto.create.topics.enable=false")
	topics := []string{"red", "green", "blue"}
	setup := saslClient(t, b, nil)
	for _, topic := range topics {
		if err := creates(t, setup, topic); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for n := range 4 { // that hang up
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for range 15 {
				w := dial(t, b)
				for range 1 + random.IntN(8) {
					topic := topics[random.IntN(len(topics))]
					batch, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, protocol.Record{Value: valueOf(topic, random.IntN(40_000))})
					if err != nil {
						t.Error(err)
						return
					}
					req := kmsg.NewPtrProduceRequest()
					req.SetVersion(8)
					req.Acks, req.TimeoutMillis = int16(random.IntN(3)-1), 10_000
					req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
					frame := w.frame(req)
					half := random.IntN(4) == 0
					if half {
						frame = frame[:random.IntN(len(frame))]
					}
					if _, err := w.conn.Write(frame); err != nil || half {
						break
					}
				}
				if random.IntN(2) == 0 { // reads what there is; the others close with answers unread
					w.conn.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, w.conn)
				}
				w.conn.Close()
			}
		})
	}
	for n := range 2 { // that give up
		c := saslClient(t, b, nil, kgo.MaxBufferedRecords(50), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RequestRetries(2))
		wg.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(n)))
			for range 200 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(random.IntN(3_000))*time.Microsecond)
				topic := topics[random.IntN(len(topics))]
				c.Produce(ctx, &kgo.Record{Topic: topic, Value: valueOf(topic, random.IntN(4_000))}, func(*kgo.Record, error) { cancel() })
			}
			c.Flush(context.Background())
		})
	}
	wg.Wait()
	for _, topic := range topics { // and one that is certainly there, behind all others
		if err := setup.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: valueOf(topic, 0), Key: []byte("end")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	reader := saslClient(t, b, nil, kgo.ConsumeTopics(topics...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	seen, ends := 0, 0
	for ends < len(topics) {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			seen++
			if string(r.Key) == "end" {
				ends++
			}
			if !strings.HasPrefix(string(r.Value), r.Topic+" ") || strings.Trim(string(r.Value[len(r.Topic)+1:]), "\x00") != "" {
				t.Errorf("%s at %d is %.20q", r.Topic, r.Offset, r.Value)
			}
		})
	}
	if seen < 50 {
		t.Errorf("only %d records came to be", seen)
	}
}

// ZooKeeper told anybody the identities in its ACLs (2019-0201) and, by its watches, the
// names of what they might not read (2024-23944, 2026-59739, 2026-79993). No answer to a
// principal without rights holds a name that it did not bring along.
func TestCVE_2019_0201_CVE_2024_23944_CVE_2026_59739_CVE_2026_79993_NamesAreNotToldToTheRightless(t *testing.T) {
	b, alice := cveBroker(t)
	adm := kadm.NewClient(alice)
	acls := kadm.NewACLs().Allow("User:hidden-user").AllowHosts("10.9.8.7").Topics("hidden-topic").Groups("hidden-group").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead)
	if _, err := adm.CreateACLs(t.Context(), acls); err != nil {
		t.Fatal(err)
	}
	if err := creates(t, alice, "hidden-topic"); err != nil {
		t.Fatal(err)
	}
	setSCRAM(t, alice, "hidden-user", "x")
	if err := adm.CommitAllOffsets(t.Context(), "hidden-group", kadm.OffsetsFromRecords(kgo.Record{Topic: "hidden-topic", Offset: 1})); err != nil {
		t.Fatal(err)
	}
	if _, err := adm.AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{Entity: kadm.ClientQuotaEntity{{Type: "user", Name: kmsg.StringPtr("hidden-user")}}, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 1e9}}}}); err != nil {
		t.Fatal(err)
	}
	// tells says whether the answer to a user holds what is hidden. A request without
	// anything in it asks for all that there is.
	tells := func(user, password string, req kmsg.Request) bool {
		w := dial(t, b)
		defer w.conn.Close()
		w.authenticate(user, password)
		w.send(req)
		_, body, _ := w.receive()
		return strings.Contains(string(body), "hidden") || strings.Contains(string(body), "10.9.8.7")
	}
	all := func(key, version int16) kmsg.Request {
		req := kmsg.RequestForKey(key)
		if d, ok := req.(interface{ Default() }); ok {
			d.Default()
		}
		req.SetVersion(version)
		switch req := req.(type) {
		case *kmsg.MetadataRequest:
			if version == 0 {
				req.Topics = []kmsg.MetadataRequestTopic{}
			}
		case *kmsg.ProduceRequest:
			req.Acks = 1
		case *kmsg.DescribeACLsRequest: // any
			req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
		}
		return req
	}
	toAlice := 0
	for _, k := range dial(t, b).call(kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		if k.ApiKey == protocol.KeySASLHandshake || k.ApiKey == protocol.KeySASLAuthenticate {
			continue
		}
		for version := k.MinVersion; version <= k.MaxVersion; version++ {
			for _, req := range []kmsg.Request{sweepRequest(k.ApiKey, version, "t"), all(k.ApiKey, version)} { // bob may read and write t
				if tells("bob", "other", req) {
					t.Errorf("%s v%d tells", protocol.APIName(k.ApiKey), version)
				}
			}
		}
		if tells("alice", "secret", all(k.ApiKey, k.MaxVersion)) {
			toAlice++
		}
	}
	if toAlice < 5 { // topics, groups, ACLs, credentials, quotas
		t.Errorf("only %d requests tell alice of what is hidden", toAlice)
	}
}

// Pulsar checked an operation on one thing, and not the same on many. Among many, each is
// judged by itself: what bob may read he reads, and what stands beside it he does not.
func TestCVE_2026_105938_EachOfManyIsJudgedByItself(t *testing.T) {
	b, alice := cveBroker(t)
	for _, name := range []string{"u", "v"} {
		if err := creates(t, alice, name); err != nil {
			t.Fatal(err)
		}
	}
	bob := dial(t, b)
	bob.authenticate("bob", "other")
	refused := map[string]protocol.ErrorCode{"t": 0, "u": protocol.ErrTopicAuthorizationFailed, "v": protocol.ErrTopicAuthorizationFailed}
	orders := [][]string{{"t", "u", "v"}, {"u", "t", "v"}, {"v", "u", "t"}}
	for _, names := range orders {
		check := func(api, topic string, code int16) {
			if protocol.ErrorCode(code) != refused[topic] {
				t.Errorf("%s of %v: %s is %v", api, names, topic, protocol.ErrorCode(code))
			}
		}
		produce := kmsg.NewPtrProduceRequest()
		produce.SetVersion(8)
		produce.Acks, produce.TimeoutMillis = -1, 10_000
		fetch := kmsg.NewPtrFetchRequest()
		fetch.SetVersion(11)
		fetch.ReplicaID, fetch.MaxBytes, fetch.SessionEpoch = -1, 1<<20, -1
		offsets := kmsg.NewPtrListOffsetsRequest()
		offsets.SetVersion(5)
		epochs := kmsg.NewPtrOffsetForLeaderEpochRequest()
		epochs.SetVersion(3)
		meta := kmsg.NewPtrMetadataRequest()
		meta.SetVersion(8)
		for _, name := range names {
			pp := kmsg.NewProduceRequestTopicPartition()
			pp.Records = oneRecord(t, "k", "v")
			produce.Topics = append(produce.Topics, kmsg.ProduceRequestTopic{Topic: name, Partitions: []kmsg.ProduceRequestTopicPartition{pp}})
			fp := kmsg.NewFetchRequestTopicPartition()
			fp.PartitionMaxBytes = 1 << 20
			fetch.Topics = append(fetch.Topics, kmsg.FetchRequestTopic{Topic: name, Partitions: []kmsg.FetchRequestTopicPartition{fp}})
			op := kmsg.NewListOffsetsRequestTopicPartition()
			op.Timestamp = -1
			offsets.Topics = append(offsets.Topics, kmsg.ListOffsetsRequestTopic{Topic: name, Partitions: []kmsg.ListOffsetsRequestTopicPartition{op}})
			ep := kmsg.NewOffsetForLeaderEpochRequestTopicPartition()
			epochs.Topics = append(epochs.Topics, kmsg.OffsetForLeaderEpochRequestTopic{Topic: name, Partitions: []kmsg.OffsetForLeaderEpochRequestTopicPartition{ep}})
			meta.Topics = append(meta.Topics, kmsg.MetadataRequestTopic{Topic: kmsg.StringPtr(name)})
		}
		answered := map[string]int{}
		for _, out := range bob.call(produce).(*kmsg.ProduceResponse).Topics {
			check("Produce", out.Topic, out.Partitions[0].ErrorCode)
			answered["Produce"]++
		}
		for _, out := range bob.call(fetch).(*kmsg.FetchResponse).Topics {
			check("Fetch", out.Topic, out.Partitions[0].ErrorCode)
			if out.Topic != "t" && len(out.Partitions[0].RecordBatches) > 0 {
				t.Errorf("Fetch of %v: records of %s", names, out.Topic)
			}
			answered["Fetch"]++
		}
		for _, out := range bob.call(offsets).(*kmsg.ListOffsetsResponse).Topics {
			check("ListOffsets", out.Topic, out.Partitions[0].ErrorCode)
			answered["ListOffsets"]++
		}
		for _, out := range bob.call(epochs).(*kmsg.OffsetForLeaderEpochResponse).Topics {
			check("OffsetForLeaderEpoch", out.Topic, out.Partitions[0].ErrorCode)
			answered["OffsetForLeaderEpoch"]++
		}
		for _, out := range bob.call(meta).(*kmsg.MetadataResponse).Topics {
			check("Metadata", *out.Topic, out.ErrorCode)
			answered["Metadata"]++
		}
		for _, api := range []string{"Produce", "Fetch", "ListOffsets", "OffsetForLeaderEpoch", "Metadata"} {
			if answered[api] != len(names) {
				t.Errorf("%s of %v: %d topics in the answer", api, names, answered[api])
			}
		}
	}
	ends, err := kadm.NewClient(alice).ListEndOffsets(t.Context(), "t", "u", "v")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"t": 1 + int64(len(orders)), "u": 0, "v": 0} {
		if o, _ := ends.Lookup(name, 0); o.Offset != want {
			t.Errorf("%s ends at %d, want %d", name, o.Offset, want)
		}
	}
}

// ZooKeeper's ports answered words of four letters (2017-5637) and took a peer's address from
// what the peer said of it (2024-51504). A listener answers nothing that is no request of
// Kafka's, and a header that a proxy would put in front makes nobody somebody else.
func TestCVE_2024_51504_CVE_2017_5637_AListenerBelievesNoWordOfAnAddress(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit")
	b := brokertest.Start(t, authorizerOption, "super.users=User:alice", "barnabas.address.principals=10.0.0.0/8=User:alice", "barnabas.audit.log.file="+audit)
	create := func(w *wire) []byte {
		req := kmsg.NewPtrCreateTopicsRequest()
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "by-nobody", 1, 1
		req.Topics = append(req.Topics, topic)
		return w.frame(req)
	}
	v2 := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), 10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0x23, 0x84)
	for name, prefix := range map[string][]byte{
		"PROXY":            []byte("PROXY TCP4 10.0.0.1 10.0.0.2 12345 9092\r\n"),
		"PROXY, version 2": v2,
		"HTTP":             []byte("POST / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n"),
		"a word":           []byte("ruok"), "another": []byte("dump\n"), "a third": []byte("kill"),
	} {
		w := dial(t, b)
		w.conn.Write(append(prefix, create(w)...))
		w.conn.(*net.TCPConn).CloseWrite()
		if answer, err := io.ReadAll(w.conn); len(answer) > 0 {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
	if b.Broker().Store().Image().Topic("by-nobody") != nil {
		t.Error("a topic was made")
	}
}

// Redpanda served its internal connections without the encryption that a setting asked for,
// because the setting was in the wrong place. A listener that is to encrypt and cannot does
// not open; a value that is none, or the name of a listener that is none, is a reason not to
// start; a key that is misspelt is warned of, with the one that was meant.
func TestCVE_2023_30450_WhatAsksForTLSGetsItOrDoesNotStart(t *testing.T) {
	f := newTLSFiles(t)
	good := sslOptions(f, "required")
	for _, wrong := range [][]string{
		{"listeners=SSL://127.0.0.1:0", "security.inter.broker.protocol=SSL"}, // no key store
		{"listeners=SASL_SSL://127.0.0.1:0", "security.inter.broker.protocol=SASL_SSL", "sasl.enabled.mechanisms=PLAIN", "sasl.mechanism.inter.broker.protocol=PLAIN"},
		{"listeners=PLAINTEXT://127.0.0.1:0", "security.inter.broker.protocol=SSL"},
		{"listeners=INTERNAL://127.0.0.1:0", "listener.security.protocol.map=INTERNAL:TLS", "inter.broker.listener.name=INTERNAL"},
		{"listeners=INTERNAL://127.0.0.1:0", "inter.broker.listener.name=INTERNAL"},
		append(append([]string{}, good...), "ssl.client.auth=require"),
		append(append([]string{}, good...), "listener.name.ssl.ssl.client.auth=yes"),
		append(append([]string{}, good...), "ssl.enabled.protocols=TLSv1.4"),
		append(append([]string{}, good...), "ssl.keystore.location=/nowhere/key.pem"),
		append(append([]string{}, good...), "ssl.truststore.location=/nowhere/ca.pem"),
		append(append([]string{}, good...), "security.profile=strong"),
	} {
		if err := startError(t, wrong); err == nil {
			t.Errorf("%q: the broker started", wrong[len(wrong)-1])
		}
	}
	if err := startError(t, good); err != nil {
		t.Fatal(err)
	}
	for misspelt, meant := range map[string]string{"ssl.client.auht=required": "ssl.client.auth", "ssl.truststore.loction=/x": "ssl.truststore.location", "ssl.keystore.lcation=/x": "ssl.keystore.location"} {
		c, err := config.Load(config.Options{SecureListeners: true, Overrides: append(append([]string{"log.dirs=" + t.TempDir()}, good...), misspelt)})
		if err != nil {
			continue // as good
		}
		warned := false
		for _, n := range c.Notes() {
			warned = warned || n.Warn() && n.Nearest == meant
		}
		if !warned {
			t.Errorf("%s passes without a word: %v", misspelt, c.Notes())
		}
	}
}

// A fetch session is the principal's that began it: who has guessed its number and is
// somebody else can neither go on with it nor end it. (Kafka binds them to nobody.)
func TestAFetchSessionIsItsPrincipals(t *testing.T) {
	b, _ := cveBroker(t)
	alice, bob := dial(t, b), dial(t, b)
	alice.authenticate("alice", "secret")
	bob.authenticate("bob", "other")
	fetch := func(w *wire, session, epoch int32, topics ...string) *kmsg.FetchResponse {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(11)
		req.ReplicaID, req.MaxBytes, req.SessionID, req.SessionEpoch = -1, 1<<20, session, epoch
		for _, name := range topics {
			p := kmsg.NewFetchRequestTopicPartition()
			p.PartitionMaxBytes = 1 << 20
			req.Topics = append(req.Topics, kmsg.FetchRequestTopic{Topic: name, Partitions: []kmsg.FetchRequestTopicPartition{p}})
		}
		return w.call(req).(*kmsg.FetchResponse)
	}
	session := fetch(alice, 0, 0, "t").SessionID
	if session == 0 {
		t.Fatal("no session")
	}
	for _, epoch := range []int32{1, 2, 0x7fffffff} {
		if code := protocol.ErrorCode(fetch(bob, session, epoch).ErrorCode); code != protocol.ErrFetchSessionIDNotFound {
			t.Errorf("bob goes on at epoch %d: %v", epoch, code)
		}
	}
	fetch(bob, session, -1)
	fetch(bob, session, 0, "t")
	if resp := fetch(alice, session, 1); resp.ErrorCode != 0 || resp.SessionID != session {
		t.Errorf("alice's session is gone: %v", protocol.ErrorCode(resp.ErrorCode))
	}
}

// What a fetch says that it will take is no reason to make room for it.
func TestAFetchAllocatesWhatThereIsNotWhatIsAskedFor(t *testing.T) {
	b, _ := cveBroker(t)
	w := dial(t, b)
	w.authenticate("alice", "secret")
	for _, size := range []int32{-1, 0, 1, 1 << 30, 1<<31 - 1, -1 << 31} {
		req := kmsg.NewPtrFetchRequest()
		req.SetVersion(11)
		req.ReplicaID, req.MaxBytes, req.MinBytes, req.SessionEpoch = -1, size, -1<<31, -1
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes = size
		req.Topics = []kmsg.FetchRequestTopic{{Topic: "t", Partitions: []kmsg.FetchRequestTopicPartition{p}}}
		w.send(req)
		_, body, err := w.receive()
		if err != nil || len(body) > 1<<10 {
			t.Errorf("a fetch of %d bytes: %d bytes, %v", size, len(body), err)
		}
	}
}

// Loggers interpreted the text that they were given, or let it forge lines. Whatever a client
// calls itself, its topics and its groups, the broker says one record at a time, with the
// authorizer's line escaped, and nobody else stands in the record of who did what.
func TestCVE_2021_44228_CVE_2021_45046_CVE_2026_84439_CVE_2026_84501_WhatClientsSayIsTextInTheLog(t *testing.T) {
	audit := filepath.Join(t.TempDir(), "audit")
	b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0", authorizerOption, "barnabas.audit.log.file="+audit)
	hostile := []string{"${jndi:ldap://127.0.0.1:1389/a}", "x\n{\"level\":\"INFO\",\"msg\":\"forged\"}\n", "x\r\nforged", "\x1b[2Jforged", "\u2028forged", "%s%n{}", "\"forged\":\""}
	for _, name := range hostile {
		for _, key := range []int16{protocol.KeyMetadata, protocol.KeyFetch, protocol.KeyProduce, protocol.KeyCreateTopics, protocol.KeyFindCoordinator, protocol.KeyJoinGroup,
			protocol.KeyOffsetFetch, protocol.KeyInitProducerID, protocol.KeyDescribeConfigs, protocol.KeyIncrementalAlterConfigs, protocol.KeyCreateACLs} {
			w := dialAddress(t, b.address)
			req := sweepRequest(key, 1, name)
			if key == protocol.KeyIncrementalAlterConfigs {
				req.SetVersion(0)
			}
			if key == protocol.KeyFetch || key == protocol.KeyProduce {
				req.SetVersion(8)
			}
			h := protocol.AppendRequestHeader(make([]byte, 4), &protocol.RequestHeader{Key: key, Version: req.GetVersion(), CorrelationID: 1, ClientID: []byte(name)})
			frame := req.AppendTo(h)
			binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
			w.conn.Write(frame)
			w.receive()
			w.conn.Write([]byte("\x00\x00\x00\x10" + name + "                ")) // and bytes that are none
			w.conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, w.conn)
			w.conn.Close()
		}
		versions := kmsg.NewPtrApiVersionsRequest()
		versions.SetVersion(3)
		versions.ClientSoftwareName, versions.ClientSoftwareVersion = name, name
		w := dialAddress(t, b.address)
		w.send(versions)
		w.receive()
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	refusals := 0
	for line := range strings.Lines(b.log.String()) {
		var record struct{ Level, Msg string }
		if err := json.Unmarshal([]byte(line), &record); err != nil || strings.ContainsAny(line[:len(line)-1], "\n\r\x1b\x00") || record.Msg == "forged" {
			t.Errorf("%v: %q", err, line)
		}
		if strings.HasPrefix(record.Msg, "Principal = ") {
			refusals++
			if strings.ContainsAny(record.Msg, "\n\r\x1b\u2028") {
				t.Errorf("%q", record.Msg)
			}
		}
	}
	if refusals < len(hostile) {
		t.Errorf("only %d refusals are in the log", refusals)
	}
	for _, e := range events(t, audit) {
		if e.Principal != "User:ANONYMOUS" && e.Principal != "" {
			t.Errorf("%+v", e)
		}
	}
}
