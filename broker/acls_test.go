package broker_test

import (
	"fmt"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func creation(t kmsg.ACLResourceType, name string, pattern kmsg.ACLResourcePatternType, principal string, op kmsg.ACLOperation,
	permission kmsg.ACLPermissionType) kmsg.CreateACLsRequestCreation {
	c := kmsg.NewCreateACLsRequestCreation()
	c.ResourceType, c.ResourceName, c.ResourcePatternType = t, name, pattern
	c.Principal, c.Host, c.Operation, c.PermissionType = principal, "*", op, permission
	return c
}

func describeACLs(w *wire, change func(*kmsg.DescribeACLsRequest)) *kmsg.DescribeACLsResponse {
	req := kmsg.NewPtrDescribeACLsRequest()
	req.SetVersion(3)
	req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = 1, 1, 1, 1
	change(req)
	return w.call(req).(*kmsg.DescribeACLsResponse)
}

func aclCount(resp *kmsg.DescribeACLsResponse) (n int) {
	for _, r := range resp.Resources {
		n += len(r.ACLs)
	}
	return n
}

// apis.md §5.3 and §9.3 items 4, 7, 8: what may be created, and what a filter finds.
func TestACLsAreCreatedDescribedAndDeletedAsKafkaDoes(t *testing.T) {
	w := dial(t, brokertest.Start(t, authorizerOption, "super.users=User:ANONYMOUS"))
	const (
		topic, group, cluster = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup, kmsg.ACLResourceTypeCluster
		literal, prefixed     = kmsg.ACLResourcePatternTypeLiteral, kmsg.ACLResourcePatternTypePrefixed
		read, allow           = kmsg.ACLOperationRead, kmsg.ACLPermissionTypeAllow
	)
	create := kmsg.NewPtrCreateACLsRequest()
	create.SetVersion(3)
	wants := []protocol.ErrorCode{}
	add := func(want protocol.ErrorCode, c kmsg.CreateACLsRequestCreation) {
		create.Creations, wants = append(create.Creations, c), append(wants, want)
	}
	add(0, creation(topic, "orders", literal, "User:alice", read, allow))
	add(0, creation(topic, "orders", literal, "User:alice", read, allow)) // there already
	add(0, creation(topic, "ord", prefixed, "User:alice", kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeDeny))
	add(0, creation(topic, "*", literal, "User:*", kmsg.ACLOperationDescribe, allow))
	add(0, creation(group, "a/b", literal, "User:", read, allow))
	add(0, creation(cluster, "kafka-cluster", prefixed, "User:bob", kmsg.ACLOperationAll, allow))
	add(0, creation(topic, "odd", literal, "User:bob", kmsg.ACLOperationClusterAction, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "", literal, "User:bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(cluster, "other", literal, "User:bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", literal, "bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", kmsg.ACLResourcePatternTypeMatch, "User:bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(1, "x", literal, "User:bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(8, "x", literal, "User:bob", read, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", literal, "User:bob", 16, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", literal, "User:bob", 77, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", literal, "User:bob", 1, allow))
	add(protocol.ErrInvalidRequest, creation(topic, "x", literal, "User:bob", read, 1))
	created := w.call(create).(*kmsg.CreateACLsResponse)
	for i, r := range created.Results {
		if protocol.ErrorCode(r.ErrorCode) != wants[i] || r.ErrorMessage == nil || (r.ErrorCode != 0) != (*r.ErrorMessage != "") {
			t.Errorf("creation %+v: %v %v, want %v", create.Creations[i], r.ErrorCode, r.ErrorMessage, wants[i])
		}
	}

	name := func(s string) *string { return &s }
	for i, tt := range []struct {
		want   int
		change func(*kmsg.DescribeACLsRequest)
	}{
		{6, func(*kmsg.DescribeACLsRequest) {}},
		{4, func(r *kmsg.DescribeACLsRequest) { r.ResourceType = topic }},
		{1, func(r *kmsg.DescribeACLsRequest) { r.ResourceName = name("orders") }},
		{3, func(r *kmsg.DescribeACLsRequest) {
			r.ResourceType, r.ResourceName, r.ResourcePatternType = topic, name("orders"), kmsg.ACLResourcePatternTypeMatch
		}},
		{2, func(r *kmsg.DescribeACLsRequest) { r.ResourcePatternType = prefixed }},
		{4, func(r *kmsg.DescribeACLsRequest) { r.ResourcePatternType = literal }},
		{4, func(r *kmsg.DescribeACLsRequest) { r.SetVersion(0) }},
		{1, func(r *kmsg.DescribeACLsRequest) { r.Principal = name("User:*") }},
		{2, func(r *kmsg.DescribeACLsRequest) { r.Principal = name("User:alice") }},
		{1, func(r *kmsg.DescribeACLsRequest) { r.PermissionType = kmsg.ACLPermissionTypeDeny }},
		{1, func(r *kmsg.DescribeACLsRequest) { r.Operation = kmsg.ACLOperationAll }},
		{0, func(r *kmsg.DescribeACLsRequest) { r.Operation = 77 }},
		{0, func(r *kmsg.DescribeACLsRequest) { r.Host = name("10.0.0.1") }},
	} {
		if resp := describeACLs(w, tt.change); aclCount(resp) != tt.want || resp.ErrorCode != 0 {
			t.Errorf("filter %d finds %d ACLs, want %d: %+v", i, aclCount(resp), tt.want, resp)
		}
	}

	del := kmsg.NewPtrDeleteACLsRequest()
	del.SetVersion(3)
	nothing, match := kmsg.NewDeleteACLsRequestFilter(), kmsg.NewDeleteACLsRequestFilter()
	nothing.ResourceType, nothing.ResourcePatternType, nothing.Operation, nothing.PermissionType = 1, 1, 1, 1
	nothing.ResourceName = name("no such thing")
	match.ResourceType, match.ResourcePatternType, match.Operation, match.PermissionType = topic, kmsg.ACLResourcePatternTypeMatch, 1, 1
	match.ResourceName = name("orders")
	del.Filters = append(del.Filters, nothing, match)
	deleted := w.call(del).(*kmsg.DeleteACLsResponse)
	if len(deleted.Results) != 2 || len(deleted.Results[0].MatchingACLs) != 0 || deleted.Results[0].ErrorCode != 0 || len(deleted.Results[1].MatchingACLs) != 3 {
		t.Errorf("deleted %+v", deleted)
	}
	if resp := describeACLs(w, func(*kmsg.DescribeACLsRequest) {}); aclCount(resp) != 3 {
		t.Errorf("%d ACLs are left, want 3", aclCount(resp))
	}
}

func TestACLsWithNumbersThatMeanUnknownCloseTheConnection(t *testing.T) {
	b := brokertest.Start(t, authorizerOption, "super.users=User:ANONYMOUS")
	bad := kmsg.NewPtrCreateACLsRequest()
	bad.SetVersion(3)
	bad.Creations = append(bad.Creations, creation(2, "x", 3, "User:bob", 0, 3))
	filter := kmsg.NewPtrDescribeACLsRequest()
	filter.SetVersion(3)
	filter.ResourceType, filter.ResourcePatternType, filter.Operation, filter.PermissionType = 0, 1, 1, 1
	for _, req := range []kmsg.Request{bad, filter} {
		w := dial(t, b)
		w.send(req)
		if _, _, err := w.receive(); err == nil {
			t.Errorf("%T is answered", req)
		}
	}
}

func TestWithoutAnAuthorizerTheACLAPIsSaySo(t *testing.T) {
	w := dial(t, brokertest.Start(t))
	if resp := describeACLs(w, func(*kmsg.DescribeACLsRequest) {}); resp.ErrorCode != int16(protocol.ErrSecurityDisabled) {
		t.Errorf("DescribeAcls: %+v", resp)
	}
	create := kmsg.NewPtrCreateACLsRequest()
	create.SetVersion(3)
	create.Creations = append(create.Creations, creation(2, "x", 3, "User:bob", 3, 3))
	if resp := w.call(create).(*kmsg.CreateACLsResponse); resp.Results[0].ErrorCode != int16(protocol.ErrSecurityDisabled) {
		t.Errorf("CreateAcls: %+v", resp)
	}
}

// An ACL counts for the very next request of a connection that is open, and no longer once
// it is deleted; after a restart it is still there.
func TestAnACLCountsAtOnceOnOpenConnections(t *testing.T) {
	b := brokertest.Start(t, authorizerOption)
	w := dial(t, b)
	metadataOf := func() int16 {
		return w.call(sweepRequest(protocol.KeyMetadata, 9, "orders")).(*kmsg.MetadataResponse).Topics[0].ErrorCode
	}
	if code := metadataOf(); code != int16(protocol.ErrTopicAuthorizationFailed) {
		t.Fatalf("without an ACL: %d", code)
	}
	change := func(permission int8) {
		t.Helper()
		a := metadata.ACL{ResourceType: 2, ResourceName: "ord", PatternType: 4, Principal: "User:ANONYMOUS", Host: "127.0.0.1", Operation: 3, Permission: permission}
		if errs, err := b.Broker().Store().CreateACLs(t.Context(), []metadata.ACL{a}); err != nil || errs[0] != nil {
			t.Fatal(err, errs)
		}
	}
	change(3)
	if code := metadataOf(); code != int16(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("with Read on the prefix: %d", code)
	}
	b.Restart()
	w = dial(t, b)
	if code := metadataOf(); code != int16(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("after a restart: %d", code)
	}
	any := metadata.ACLFilter{ResourceType: 1, PatternType: 1, Operation: 1, Permission: 1}
	if _, err := b.Broker().Store().DeleteACLs(t.Context(), []metadata.ACLFilter{any}); err != nil {
		t.Fatal(err)
	}
	if code := metadataOf(); code != int16(protocol.ErrTopicAuthorizationFailed) {
		t.Errorf("once it is deleted: %d", code)
	}
}

func TestDryRunLetsPass(t *testing.T) {
	w := dial(t, brokertest.Start(t, authorizerOption, "barnabas.acl.dry.run=true"))
	resp := w.call(sweepRequest(protocol.KeyMetadata, 9, "orders")).(*kmsg.MetadataResponse)
	if resp.Topics[0].ErrorCode != int16(protocol.ErrUnknownTopicOrPartition) {
		t.Errorf("%+v", resp.Topics[0])
	}
}

func TestSCRAMCredentialsAreDescribedWithoutTheirSecrets(t *testing.T) {
	w := dial(t, brokertest.Start(t, authorizerOption, "super.users=User:ANONYMOUS"))
	alter := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for i, u := range []struct {
		name       string
		mechanism  int8
		iterations int32
	}{{"alice", 1, 4096}, {"bob", 2, 8192}, {"", 1, 4096}, {"few", 1, 10}, {"odd", 7, 4096}} {
		up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		up.Name, up.Mechanism, up.Iterations = u.name, u.mechanism, u.iterations
		up.Salt, up.SaltedPassword = []byte(fmt.Sprint("salt", i)), []byte("a salted password of 32 bytes...")
		alter.Upsertions = append(alter.Upsertions, up)
	}
	del := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	del.Name, del.Mechanism = "nobody", 1
	alter.Deletions = append(alter.Deletions, del)
	want := map[string]protocol.ErrorCode{"alice": 0, "bob": 0, "": protocol.ErrUnacceptableCredential, "few": protocol.ErrUnacceptableCredential,
		"odd": protocol.ErrUnsupportedSASLMechanism, "nobody": protocol.ErrResourceNotFound}
	altered := w.call(alter).(*kmsg.AlterUserSCRAMCredentialsResponse)
	for _, r := range altered.Results {
		if protocol.ErrorCode(r.ErrorCode) != want[r.User] {
			t.Errorf("%q: %v, want %v", r.User, protocol.ErrorCode(r.ErrorCode), want[r.User])
		}
	}
	if len(altered.Results) != len(want) {
		t.Errorf("%d results, want %d", len(altered.Results), len(want))
	}
	describe := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	all := w.call(describe).(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if len(all.Results) != 2 || all.Results[0].User != "alice" || all.Results[1].CredentialInfos[0].Iterations != 8192 {
		t.Errorf("all: %+v", all)
	}
	for _, name := range []string{"bob", "carl", "alice", "alice"} {
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = name
		describe.Users = append(describe.Users, u)
	}
	some := w.call(describe).(*kmsg.DescribeUserSCRAMCredentialsResponse)
	codes := map[string]protocol.ErrorCode{}
	for _, r := range some.Results {
		codes[r.User] = protocol.ErrorCode(r.ErrorCode)
	}
	if len(codes) != 3 || codes["bob"] != 0 || codes["carl"] != protocol.ErrResourceNotFound || codes["alice"] != protocol.ErrDuplicateResource {
		t.Errorf("some: %+v", some)
	}
}
