package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func events(t *testing.T, path string) (found []audit.Event) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var e audit.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		found = append(found, e)
	}
	return found
}

func TestARefusalIsRecordedWithTheCommandThatWouldAllowIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	w := dial(t, brokertest.Start(t, authorizerOption, "barnabas.audit.log.file="+path))
	for range 5 {
		w.call(sweepRequest(protocol.KeyDeleteRecords, 2, "orders"))
	}
	found := events(t, path)
	if len(found) != 1 {
		t.Fatalf("%d events, want 1: %+v", len(found), found)
	}
	e := found[0]
	grant := "barnabas acl create --allow-principal User:ANONYMOUS --operation Delete --topic orders"
	if e.Kind != audit.Authorization || e.Outcome != audit.Denied || e.Principal != "User:ANONYMOUS" || e.API != "DeleteRecords" ||
		e.Operation != "Delete" || e.Resource != "Topic:LITERAL:orders" || e.Rule != "DefaultDeny" || e.Grant != grant || e.Peer != "127.0.0.1" {
		t.Errorf("%+v", e)
	}
}

func TestAdministrativeChangesAreRecordedWithoutSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	b := brokertest.Start(t, "barnabas.audit.log.file="+path, "barnabas.audit.topic=audit", "barnabas.audit.fail.closed=true")
	w := dial(t, b)
	scram := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	up.Name, up.Mechanism, up.Iterations, up.Salt, up.SaltedPassword = "alice", 1, 4096, []byte("hidden-salt"), []byte("hidden-password")
	scram.Upsertions = append(scram.Upsertions, up)
	w.call(scram)
	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
	secret, plain := "hidden-key-password", "hidden-odd"
	for name, value := range map[string]*string{"ssl.key.password": &secret, "some.odd.key": &plain} {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Value = name, value
		res.Configs = append(res.Configs, c)
	}
	alter.Resources = append(alter.Resources, res)
	w.call(alter)

	found := events(t, path)
	if len(found) != 4 || found[0].Outcome != audit.Begun || found[1].Outcome != audit.Succeeded || found[2].Outcome != audit.Begun {
		t.Fatalf("%d events: %+v", len(found), found)
	}
	if c := found[1].Changes; len(c) != 1 || c[0].Resource != "User:alice" || !strings.Contains(c[0].What, "iterations=4096") {
		t.Errorf("%+v", found[1])
	}
	text, _ := os.ReadFile(path)
	if strings.Contains(string(text), "hidden") {
		t.Errorf("a secret is in %s", text)
	}

	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ConsumeTopics("audit"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var records []*kgo.Record
	for len(records) < len(found) {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		records = append(records, fetches.Records()...)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for i, r := range records {
		if string(r.Value) != lines[i] {
			t.Errorf("record %d is %s, the file has %s", i, r.Value, lines[i])
		}
	}
}

func TestWhatCannotBeRecordedIsNotDoneWhereTheRecordFailsClosed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b := brokertest.Start(t, "barnabas.audit.log.file="+filepath.Join(dir, "audit.log"), "barnabas.audit.fail.closed=true")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	w := dial(t, b)
	w.send(sweepRequest(protocol.KeyCreateTopics, 5, "orders"))
	if _, _, err := w.receive(); err == nil {
		t.Error("the request is answered")
	}
	if b.Broker().Store().Image().Topic("orders") != nil {
		t.Error("the topic is there")
	}
	w = dial(t, b)
	makeTopic(w, "on-demand")
	if b.Broker().Store().Image().Topic("on-demand") != nil {
		t.Error("a topic is made on demand")
	}
}

func TestATopicMadeOnDemandIsRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	b := brokertest.Start(t, "barnabas.audit.log.file="+path, "barnabas.audit.fail.closed=true")
	makeTopic(dial(t, b), "on-demand")
	if b.Broker().Store().Image().Topic("on-demand") == nil {
		t.Fatal("the topic is not there")
	}
	found := events(t, path)
	if len(found) != 2 || found[0].Outcome != audit.Begun || found[1].Outcome != audit.Succeeded || found[1].API != "Metadata" ||
		len(found[1].Changes) != 1 || found[1].Changes[0].Resource != "Topic:on-demand" {
		t.Errorf("%+v", found)
	}
}

// A request that names more than a record has room for is on record all the same, in several.
func TestARequestWithMoreThanARecordHoldsIsOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	b := brokertest.Start(t, "barnabas.audit.log.file="+path, "barnabas.audit.topic=audit", "barnabas.audit.fail.closed=true")
	req := kmsg.NewPtrDeleteGroupsRequest()
	for i := range 6000 {
		req.Groups = append(req.Groups, fmt.Sprintf("%s%04d", strings.Repeat("g", 200), i))
	}
	dial(t, b).call(req) // there are no such groups
	found := events(t, path)
	named := map[audit.Outcome]map[string]bool{}
	for _, e := range found {
		for _, c := range e.Changes {
			if named[e.Outcome] == nil {
				named[e.Outcome] = map[string]bool{}
			}
			named[e.Outcome][c.Resource] = true
		}
	}
	if len(named[audit.Begun]) != len(req.Groups) || len(named[audit.Failed]) != len(req.Groups) {
		t.Errorf("%d groups about to be deleted, %d that failed", len(named[audit.Begun]), len(named[audit.Failed]))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ConsumeTopics("audit"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for records := 0; records < len(found); {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%d records of %d: %v", records, len(found), err)
		}
		records += fetches.NumRecords()
	}
}
