package broker_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"syscall"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const authorizerOption = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"

// refusal is what a principal without ACLs gets from an API, by apis.md §6: a code that
// some part of the answer must carry, and no part any other; or nothing, where names are
// silently left out or nothing is asked.
var refusals = map[int16]func(version int16) protocol.ErrorCode{
	protocol.KeyProduce:                      always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyFetch:                        always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyListOffsets:                  always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyMetadata:                     always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyOffsetCommit:                 always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyOffsetFetch:                  always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyFindCoordinator:              always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyJoinGroup:                    always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyHeartbeat:                    always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyLeaveGroup:                   always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeySyncGroup:                    always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyDescribeGroups:               always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyListGroups:                   always(protocol.None),
	protocol.KeySASLHandshake:                always(protocol.ErrIllegalSASLState),
	protocol.KeyAPIVersions:                  always(protocol.None),
	protocol.KeyCreateTopics:                 always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyDeleteTopics:                 always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyDeleteRecords:                always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyInitProducerID:               always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyOffsetForLeaderEpoch:         always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyDescribeACLs:                 always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyCreateACLs:                   always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDeleteACLs:                   always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeConfigs:              always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyAlterConfigs:                 always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyAlterReplicaLogDirs:          always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeLogDirs:              from(3, protocol.ErrClusterAuthorizationFailed),
	protocol.KeySASLAuthenticate:             always(protocol.ErrIllegalSASLState),
	protocol.KeyCreatePartitions:             always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyCreateDelegationToken:        always(protocol.ErrDelegationTokenRequestNotAllowed), // over plaintext
	protocol.KeyRenewDelegationToken:         always(protocol.ErrDelegationTokenRequestNotAllowed),
	protocol.KeyExpireDelegationToken:        always(protocol.ErrDelegationTokenRequestNotAllowed),
	protocol.KeyDescribeDelegationToken:      always(protocol.ErrDelegationTokenRequestNotAllowed),
	protocol.KeyDeleteGroups:                 always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyElectLeaders:                 always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyIncrementalAlterConfigs:      always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyAlterPartitionReassignments:  always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyListPartitionReassignments:   always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyOffsetDelete:                 always(protocol.ErrGroupAuthorizationFailed),
	protocol.KeyDescribeClientQuotas:         always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyAlterClientQuotas:            always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeUserSCRAMCredentials: always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyAlterUserSCRAMCredentials:    always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyUpdateFeatures:               always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeCluster:              always(protocol.None),
	protocol.KeyDescribeQuorum:               always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyUnregisterBroker:             always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeProducers:            always(protocol.ErrTopicAuthorizationFailed),
	protocol.KeyGetTelemetrySubscriptions:    nil, // for everybody, and no two answers are alike
	protocol.KeyPushTelemetry:                nil,
	protocol.KeyListConfigResources:          always(protocol.ErrClusterAuthorizationFailed),
	protocol.KeyDescribeTopicPartitions:      always(protocol.ErrTopicAuthorizationFailed),
}

func always(code protocol.ErrorCode) func(int16) protocol.ErrorCode {
	return func(int16) protocol.ErrorCode { return code }
}

func from(first int16, code protocol.ErrorCode) func(int16) protocol.ErrorCode {
	return func(version int16) protocol.ErrorCode {
		if version < first {
			return protocol.None
		}
		return code
	}
}

// Names of equal length, so that two answers can be compared byte for byte.
const (
	hiddenName  = "name-that-is-there"
	missingName = "name-that-is-not-x"
)

func TestAPrincipalWithoutACLsIsRefusedByEveryAPIInEveryVersion(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	store := b.Broker().Store()
	made, err := store.CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{{Name: hiddenName, Partitions: 1, ReplicationFactor: 1}}})
	if err != nil || made[0].Err != nil {
		t.Fatal(err, made)
	}
	versions := kmsg.NewPtrApiVersionsRequest()
	for _, api := range dial(t, b).call(versions).(*kmsg.ApiVersionsResponse).ApiKeys {
		want, known := refusals[api.ApiKey]
		if !known {
			t.Errorf("%s: the sweep does not know what a principal without ACLs gets", protocol.APIName(api.ApiKey))
		}
		if want == nil {
			continue
		}
		for version := api.MinVersion; version <= api.MaxVersion; version++ {
			t.Run(fmt.Sprintf("%s/v%d", protocol.APIName(api.ApiKey), version), func(t *testing.T) {
				before := store.Image().Version()
				hidden := sweepCall(t, b, sweepRequest(api.ApiKey, version, hiddenName))
				missing := sweepCall(t, b, sweepRequest(api.ApiKey, version, missingName))
				checkRefusal(t, hidden, want(version))
				if after := store.Image().Version(); after != before {
					t.Errorf("the metadata went from version %d to %d", before, after)
				}
				there := bytes.ReplaceAll(hidden.AppendTo(nil), []byte(hiddenName), []byte(missingName))
				if !bytes.Equal(there, missing.AppendTo(nil)) {
					t.Errorf("the answer tells what is there: %+v, and for what is not %+v", hidden, missing)
				}
			})
		}
	}
}

// A produce that nobody answers is refused by the end of its connection.
func TestAProduceWithoutAcksThatIsNotAllowedClosesItsConnection(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	w := dial(t, b)
	req := sweepRequest(protocol.KeyProduce, 9, missingName).(*kmsg.ProduceRequest)
	req.Acks = 0
	w.send(req)
	if _, _, err := w.receive(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v, want the end of the connection", err)
	}
}

func sweepCall(t *testing.T, b *brokertest.Broker, req kmsg.Request) kmsg.Response {
	t.Helper()
	w := dial(t, b)
	defer w.conn.Close()
	return w.call(req)
}

func sweepRequest(key, version int16, name string) kmsg.Request {
	return brokertest.SweepRequest(key, version, name)
}

// checkRefusal wants want somewhere among the error codes of an answer, and nothing else
// there but success; with want None it wants an answer without names.
func checkRefusal(t *testing.T, resp kmsg.Response, want protocol.ErrorCode) {
	t.Helper()
	seen := map[protocol.ErrorCode]int{}
	errorCodes(reflect.ValueOf(resp).Elem(), seen)
	for code, count := range seen {
		if code != want && code != protocol.None {
			t.Errorf("%d parts of the answer carry %v, want %v: %+v", count, code, want, resp)
		}
	}
	if want != protocol.None && seen[want] == 0 {
		t.Errorf("no part of the answer carries %v: %+v", want, resp)
	}
	if bytes.Contains(resp.AppendTo(nil), []byte(hiddenName)) && want == protocol.None {
		t.Errorf("the answer names what the principal may not know: %+v", resp)
	}
}

func errorCodes(v reflect.Value, seen map[protocol.ErrorCode]int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				seen[protocol.ErrorCode(v.Field(i).Int())]++
				continue
			}
			errorCodes(v.Field(i), seen)
		}
	case reflect.Slice:
		for i := range v.Len() {
			errorCodes(v.Index(i), seen)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			errorCodes(v.Elem(), seen)
		}
	}
}

// With an ACL for everything on every resource no API finds an authorization wanting: what
// the table lists is what the handlers ask for.
func TestAPrincipalWithAllACLsIsRefusedByNoAPI(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	store := b.Broker().Store()
	var acls []metadata.ACL
	for kind, name := range map[int8]string{2: "*", 3: "*", 4: "kafka-cluster", 5: "*"} {
		acls = append(acls, metadata.ACL{ResourceType: kind, ResourceName: name, PatternType: 3, Principal: "User:ANONYMOUS", Host: "*", Operation: 2, Permission: 3})
	}
	if errs, err := store.CreateACLs(t.Context(), acls); err != nil || errs[0] != nil {
		t.Fatal(err, errs)
	}
	createTopic(t, b, hiddenName)
	for _, api := range dial(t, b).call(kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		if refusals[api.ApiKey] == nil || api.ApiKey == protocol.KeyDeleteACLs {
			continue // the ACLs themselves stay
		}
		for version := api.MinVersion; version <= api.MaxVersion; version++ {
			seen := map[protocol.ErrorCode]int{}
			resp := sweepCall(t, b, sweepRequest(api.ApiKey, version, hiddenName))
			errorCodes(reflect.ValueOf(resp).Elem(), seen)
			for _, code := range []protocol.ErrorCode{protocol.ErrTopicAuthorizationFailed, protocol.ErrGroupAuthorizationFailed,
				protocol.ErrClusterAuthorizationFailed, protocol.ErrTransactionalIDAuthorizationFailed} {
				if seen[code] > 0 {
					t.Errorf("%s v%d: %+v", protocol.APIName(api.ApiKey), version, resp)
				}
			}
		}
	}
}
