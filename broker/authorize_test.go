package broker_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// allowAnonymous makes an ACL for the clients of these tests.
func allowAnonymous(t *testing.T, store metadata.Store, kind int8, name string, operation int8) {
	t.Helper()
	errs, err := store.CreateACLs(t.Context(), []metadata.ACL{{ResourceType: kind, ResourceName: name, PatternType: 3,
		Principal: "User:ANONYMOUS", Host: "*", Operation: operation, Permission: 3}})
	if err != nil || errs[0] != nil {
		t.Fatal(err, errs)
	}
}

// Numbers of ACLs.
const (
	topicACL, groupACL                       = 2, 3
	readACL, writeACL, deleteACL, describeOp = 3, 4, 6, 8
)

// comesLate is a store in which somebody makes a topic just before topics are deleted.
type comesLate struct{ metadata.Store }

func (s comesLate) DeleteTopics(ctx context.Context, refs []metadata.TopicRef) ([]metadata.DeleteTopicResult, error) {
	if _, err := s.CreateTopics(ctx, metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "late", Partitions: 1, ReplicationFactor: 1}}}); err != nil {
		return nil, err
	}
	return s.Store.DeleteTopics(ctx, refs)
}

// Describe lets one ask whether a topic is there. It must not delete one that comes while
// one asks.
func TestATopicThatComesWhileItsDeletionIsAskedForNeedsDelete(t *testing.T) {
	b, err := startWith(t, log.OS{}, func(s metadata.Store) metadata.Store { return comesLate{s} }, authorizerOption)
	if err != nil {
		t.Fatal(err)
	}
	allowAnonymous(t, b.Store(), topicACL, "late", describeOp)
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.SetVersion(5)
	req.TopicNames, req.TimeoutMillis = []string{"late"}, 10_000
	resp := dialAddress(t, b.Addresses()["PLAINTEXT"]).call(req).(*kmsg.DeleteTopicsResponse)
	if len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != int16(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("%+v", resp)
	}
	if b.Store().Image().Topic("late") == nil {
		t.Error("the topic is gone")
	}
}

// A topic that is named without partitions is answered alike, there or not, for whoever may
// not know of it.
func TestTopicsWithoutPartitionsDoNotTellWhatIsThere(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	store := b.Broker().Store()
	made, err := store.CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{
		{Name: hiddenName, Partitions: 1, ReplicationFactor: 1}, {Name: "mine", Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil || made[1].Err != nil {
		t.Fatal(err, made)
	}
	allowAnonymous(t, store, groupACL, "g", readACL)
	allowAnonymous(t, store, groupACL, "g", deleteACL)
	allowAnonymous(t, store, topicACL, "mine", readACL)
	w := dial(t, b)
	seed := sweepRequest(protocol.KeyOffsetCommit, 7, "mine").(*kmsg.OffsetCommitRequest)
	seed.Group, seed.Generation, seed.MemberID, seed.InstanceID = "g", -1, "", nil
	w.call(seed) // makes the group
	for _, group := range []string{"g", "not mine"} {
		commit := func(name string) kmsg.Request {
			req := kmsg.NewPtrOffsetCommitRequest()
			req.SetVersion(7)
			req.Group, req.Generation = group, -1
			req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: name}}
			return req
		}
		remove := func(name string) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: name}}
			return req
		}
		for _, request := range []func(string) kmsg.Request{commit, remove} {
			hidden, missing := w.call(request(hiddenName)), w.call(request(missingName))
			there := bytes.ReplaceAll(hidden.AppendTo(nil), []byte(hiddenName), []byte(missingName))
			if !bytes.Equal(there, missing.AppendTo(nil)) {
				t.Errorf("group %s: the answer tells what is there: %+v, and for what is not %+v", group, hidden, missing)
			}
		}
	}
	mine := kmsg.NewPtrOffsetCommitRequest()
	mine.SetVersion(7)
	mine.Group, mine.Generation, mine.Topics = "g", -1, []kmsg.OffsetCommitRequestTopic{{Topic: "mine"}}
	if resp := w.call(mine).(*kmsg.OffsetCommitResponse); len(resp.Topics) != 0 {
		t.Errorf("%+v, want no answer for a topic that is known", resp)
	}
}

// What may be allowed in two ways is reported where neither does: as a refusal, and in dry
// run as what would be one.
func TestWhatTwoRightsCouldAllowIsReported(t *testing.T) {
	for name, dryRun := range map[string]bool{"in force": false, "dry run": true} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.log")
			options := []string{authorizerOption, "barnabas.audit.log.file=" + path}
			if dryRun {
				options = append(options, "barnabas.acl.dry.run=true")
			}
			b := brokertest.Start(t, options...)
			w := dial(t, b)
			w.call(sweepRequest(protocol.KeyInitProducerID, 1, ""))
			if err := w.creates("made"); (err == nil) != dryRun {
				t.Error(err)
			}
			auto := sweepRequest(protocol.KeyMetadata, 8, "auto").(*kmsg.MetadataRequest)
			auto.AllowAutoTopicCreation = true
			w.call(auto)
			if dryRun { // two that come in one read
				frames := append(w.frame(produceOf("made", 1, recordsOf(t, 1))), w.frame(produceOf("made", 1, recordsOf(t, 1)))...)
				if _, err := w.conn.Write(frames); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					if _, _, err := w.receive(); err != nil {
						t.Fatal(err)
					}
				}
			}
			del := kmsg.NewPtrDeleteTopicsRequest()
			del.SetVersion(5)
			del.TopicNames, del.TimeoutMillis = []string{"made"}, 10_000
			w.call(del)
			want := []string{"InitProducerId IdempotentWrite", "CreateTopics Create", "Metadata Describe", "DeleteTopics Describe"}
			if dryRun {
				want = append(want, "Metadata Create", "Produce Write", "DeleteTopics Delete")
			}
			var told []string
			for _, e := range events(t, path) {
				if e.Kind == audit.Authorization && e.Outcome == audit.Denied && e.DryRun == dryRun && e.Grant != "" {
					told = append(told, e.API+" "+e.Operation)
				}
			}
			for _, api := range want {
				if !slices.Contains(told, api) {
					t.Errorf("nobody is told of %s: %q", api, told)
				}
			}
		})
	}
}

// A consumer that may see a topic asks for the end of its epochs, and nobody is told that it
// is no broker.
func TestAConsumerIsNotReportedForBeingNoBroker(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	b := brokertest.Start(t, authorizerOption, "barnabas.audit.log.file="+path)
	allowAnonymous(t, b.Broker().Store(), topicACL, "mine", describeOp)
	w := dial(t, b)
	for _, topic := range []string{"mine", "hidden"} {
		w.call(sweepRequest(protocol.KeyOffsetForLeaderEpoch, 4, topic))
	}
	found := events(t, path)
	if len(found) != 1 || found[0].Operation != "Describe" || found[0].Resource != "Topic:LITERAL:hidden" {
		t.Errorf("%+v", found)
	}
}

// The secret of somebody else's token is told only if that is on record, where nothing may
// go unrecorded.
func TestASecretThatCannotBeRecordedIsNotTold(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := brokertest.Start(t, saslOptions("SASL_PLAINTEXT", tokenKey, "barnabas.audit.log.file="+filepath.Join(dir, "audit"), "barnabas.audit.fail.closed=true")...)
	bob, alice := plainClient(t, b, "bob", "other"), plainClient(t, b, "alice", "secret")
	token := createToken(t, bob, "", -1)
	if d := describeTokens(t, alice, nil)[token.TokenID]; len(d.HMAC) != 64 {
		t.Errorf("%+v", d)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return len(describeTokens(t, alice, nil)[token.TokenID].HMAC) == 0 })
}

// Whoever may do everything with groups, or with transactions, learns nothing of topics.
func TestRightsToGroupsDoNotTellWhichTopicsThereAre(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	store := b.Broker().Store()
	made, err := store.CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: hiddenName, Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	const transactionACL, allACL = 5, 2
	allowAnonymous(t, store, groupACL, "*", allACL)
	allowAnonymous(t, store, transactionACL, "*", allACL)
	makesOffsets := kmsg.NewPtrFindCoordinatorRequest()
	makesOffsets.CoordinatorKey = "g"
	w := dial(t, b)
	w.call(makesOffsets)
	for _, api := range w.call(kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		if refusals[api.ApiKey] == nil || api.ApiKey == protocol.KeyJoinGroup { // which makes names
			continue
		}
		for version := api.MinVersion; version <= api.MaxVersion; version++ {
			hidden := sweepCall(t, b, sweepRequest(api.ApiKey, version, hiddenName))
			missing := sweepCall(t, b, sweepRequest(api.ApiKey, version, missingName))
			there := bytes.ReplaceAll(hidden.AppendTo(nil), []byte(hiddenName), []byte(missingName))
			if !bytes.Equal(there, missing.AppendTo(nil)) {
				t.Errorf("%s v%d: the answer tells what is there: %+v, and for what is not %+v", protocol.APIName(api.ApiKey), version, hidden, missing)
			}
		}
	}
}

// A fetch session, and a fetch that waits, are no right: both are refused once the ACL is gone.
func TestAnACLThatIsGoneEndsTheFetchesUnderIt(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	store := b.Broker().Store()
	made, err := store.CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: "t", Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	allowAnonymous(t, store, topicACL, "t", readACL)
	allowAnonymous(t, store, topicACL, "t", writeACL)
	waits, writes := dial(t, b), dial(t, b)
	writes.call(produceOf("t", 1, recordsOf(t, 1)))
	fetch := fetchOf("t", 0, 1<<20)
	fetch.SessionEpoch = 0
	first := waits.call(fetch).(*kmsg.FetchResponse)
	if first.SessionID == 0 || len(first.Topics) != 1 || first.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatalf("%+v", first)
	}
	next := kmsg.NewPtrFetchRequest()
	next.SetVersion(fetch.GetVersion())
	next.ReplicaID, next.MaxBytes, next.MaxWaitMillis, next.MinBytes, next.SessionID, next.SessionEpoch = -1, 1<<20, 20_000, 1, first.SessionID, 1
	again := fetchOf("t", 1, 1<<20) // from the end on: it waits
	next.Topics = again.Topics
	before := b.Broker().RequestsOf(protocol.KeyFetch)
	waits.send(next)
	eventually(t, func() bool { return b.Broker().RequestsOf(protocol.KeyFetch) > before })
	name := "t"
	gone, err := store.DeleteACLs(t.Context(), []metadata.ACLFilter{{ResourceType: topicACL, ResourceName: &name, PatternType: 3, Operation: readACL, Permission: 3}})
	if err != nil || len(gone[0].Deleted) != 1 {
		t.Fatal(err, gone)
	}
	writes.call(produceOf("t", 1, recordsOf(t, 1))) // wakes it
	for epoch := range int32(2) {
		_, body, err := waits.receive()
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(fetch.GetVersion())
		if resp.IsFlexible() {
			body = body[1:]
		}
		if err := resp.ReadFrom(body); err != nil {
			t.Fatal(err)
		}
		if len(resp.Topics) != 1 || resp.Topics[0].Partitions[0].ErrorCode != int16(protocol.ErrTopicAuthorizationFailed) || len(resp.Topics[0].Partitions[0].RecordBatches) > 0 {
			t.Errorf("%+v", resp)
		}
		if epoch == 0 {
			next.SessionEpoch, next.Topics = 2, nil
			waits.send(next)
		}
	}
}
