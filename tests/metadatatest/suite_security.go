package metadatatest

import (
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

func clientQuotas(t *testing.T, e *env) {
	user := func(name *string) []metadata.QuotaComponent {
		return []metadata.QuotaComponent{{Type: "user", Name: name}}
	}
	alter := func(entity []metadata.QuotaComponent, changes ...metadata.QuotaChange) error {
		out, err := e.AlterClientQuotas(e.ctx, []metadata.QuotaAlteration{{Entity: entity, Changes: changes}}, false)
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	rate := metadata.QuotaChange{Key: "producer_byte_rate", Value: 1024}
	e.is("set", alter(user(ptr("alice")), rate), protocol.None, "")
	e.is("default", alter(user(nil), metadata.QuotaChange{Key: "request_percentage", Value: 12.5}), protocol.None, "")
	alice := metadata.QuotaEntity{User: metadata.QuotaName{Set: true, Name: "alice"}}
	everybody := metadata.QuotaEntity{User: metadata.QuotaName{Set: true}}
	if e.Image().Quotas(alice)["producer_byte_rate"] != 1024 || e.Image().Quotas(everybody)["request_percentage"] != 12.5 {
		t.Error("a quota that was set is not there")
	}
	bad := func(what string, entity []metadata.QuotaComponent, change metadata.QuotaChange, text string) {
		t.Helper()
		e.is(what, alter(entity, change), protocol.ErrInvalidRequest, text)
	}
	bad("unknown key", user(ptr("a")), metadata.QuotaChange{Key: "x", Value: 1}, "Invalid configuration key x")
	bad("zero", user(ptr("a")), metadata.QuotaChange{Key: "producer_byte_rate"}, "Quota producer_byte_rate must be greater than 0")
	bad("fraction", user(ptr("a")), metadata.QuotaChange{Key: "producer_byte_rate", Value: 1.5}, "producer_byte_rate cannot be a fractional value.")
	bad("key of an ip", user(ptr("a")), metadata.QuotaChange{Key: "connection_creation_rate", Value: 1}, "Invalid configuration key")
	bad("empty name", user(ptr("")), rate, "Empty user not supported")
	bad("unknown type", []metadata.QuotaComponent{{Type: "x", Name: ptr("a")}}, rate, "Unhandled client quota entity type: x")
	bad("nobody", nil, rate, "Invalid empty client quota entity")
	bad("ip and user", []metadata.QuotaComponent{{Type: "ip", Name: ptr("10.0.0.1")}, {Type: "user", Name: ptr("a")}}, rate, "Invalid quota entity combination")
	e.is("key twice", alter(user(ptr("alice")), rate, rate), protocol.ErrInvalidRequest, "Duplicate quota key producer_byte_rate")
	e.is("remove", alter(user(ptr("alice")), metadata.QuotaChange{Key: "producer_byte_rate", Remove: true}), protocol.None, "")
	e.is("remove again", alter(user(ptr("alice")), metadata.QuotaChange{Key: "producer_byte_rate", Remove: true}), protocol.None, "")
	if e.Image().Quotas(alice) != nil {
		t.Error("a quota that was removed is there")
	}
	out, err := e.AlterClientQuotas(e.ctx, []metadata.QuotaAlteration{{Entity: user(ptr("bob")), Changes: []metadata.QuotaChange{rate}}}, true)
	if err != nil || out[0].Err != nil || e.Image().Quotas(metadata.QuotaEntity{User: metadata.QuotaName{Set: true, Name: "bob"}}) != nil {
		t.Errorf("validate only: %+v, %v", out, err)
	}
}

func scram(t *testing.T, e *env) {
	up := func(user string, mechanism metadata.ScramMechanism, iterations int32) metadata.ScramUpsertion {
		return metadata.ScramUpsertion{User: user, Mechanism: mechanism, Iterations: iterations, Salt: []byte("salt"), SaltedPassword: []byte("salted")}
	}
	out, err := e.AlterUserScramCredentials(e.ctx, []metadata.ScramDeletion{{User: "ghost", Mechanism: metadata.ScramSHA256}}, []metadata.ScramUpsertion{
		up("alice", metadata.ScramSHA512, 4096), up("few", metadata.ScramSHA256, 100), up("many", metadata.ScramSHA256, 20000), up("", metadata.ScramSHA256, 4096),
		up("odd", 7, 4096), up("twice", metadata.ScramSHA256, 4096), up("twice", metadata.ScramSHA512, 4096)})
	if err != nil || len(out) != 7 {
		t.Fatalf("%+v, %v", out, err)
	}
	want := map[string]struct {
		code protocol.ErrorCode
		text string
	}{
		"ghost": {protocol.ErrResourceNotFound, "Attempt to delete a user credential that does not exist"},
		"alice": {protocol.None, ""},
		"few":   {protocol.ErrUnacceptableCredential, "Too few iterations"},
		"many":  {protocol.ErrUnacceptableCredential, "Too many iterations"},
		"":      {protocol.ErrUnacceptableCredential, "Username must not be empty"},
		"odd":   {protocol.ErrUnsupportedSASLMechanism, "Unknown SCRAM mechanism"},
		"twice": {protocol.ErrDuplicateResource, "A user credential cannot be altered twice in the same request"},
	}
	for _, r := range out {
		e.is(r.User, r.Err, want[r.User].code, want[r.User].text)
	}
	c := e.Image().ScramCredential("alice", metadata.ScramSHA512)
	if c == nil || c.Iterations != 4096 || len(c.StoredKey) != 64 || len(c.ServerKey) != 64 || string(c.Salt) != "salt" {
		t.Errorf("credential %+v", c)
	}
	if e.Image().ScramCredential("twice", metadata.ScramSHA256) != nil {
		t.Error("a refused credential is there")
	}
	out, err = e.AlterUserScramCredentials(e.ctx, []metadata.ScramDeletion{{User: "alice", Mechanism: metadata.ScramSHA512}}, nil)
	if err != nil || out[0].Err != nil || e.Image().ScramCredential("alice", metadata.ScramSHA512) != nil {
		t.Errorf("delete: %+v, %v", out, err)
	}
}

func acls(t *testing.T, e *env) {
	acl := metadata.ACL{ResourceType: 2, ResourceName: "orders", PatternType: 3, Principal: "User:alice", Host: "*", Operation: 3, Permission: 3}
	prefixed := acl
	prefixed.PatternType, prefixed.ResourceName = 4, "ord"
	wrong := acl
	wrong.PatternType = 2
	out, err := e.CreateACLs(e.ctx, []metadata.ACL{acl, acl, prefixed, wrong})
	if err != nil || len(out) != 4 || out[0] != nil || out[1] != nil || out[2] != nil {
		t.Fatalf("%v, %v", out, err)
	}
	e.is("pattern type", out[3], protocol.ErrInvalidRequest, "Invalid patternType MATCH")
	if n := len(slices.Collect(e.Image().ACLs())); n != 2 {
		t.Errorf("%d ACLs", n)
	}
	filter := metadata.ACLFilter{ResourceType: 2, ResourceName: ptr("orders"), PatternType: 2, Operation: 1, Permission: 1}
	unknown := filter
	unknown.ResourceType = 0
	deleted, err := e.DeleteACLs(e.ctx, []metadata.ACLFilter{unknown, filter, filter})
	if err != nil || len(deleted) != 3 || len(deleted[1].Deleted) != 2 || len(deleted[2].Deleted) != 2 {
		t.Fatalf("%+v, %v", deleted, err)
	}
	e.is("unknown filter", deleted[0].Err, protocol.ErrInvalidRequest, "Unknown patternFilter.")
	if n := len(slices.Collect(e.Image().ACLs())); n != 0 {
		t.Errorf("%d ACLs", n)
	}
}

func tokens(t *testing.T, e *env) {
	token := metadata.DelegationToken{ID: "t1", Owner: "User:a", Requester: "User:a", Renewers: []string{"User:b"}, ExpiryTimestampMs: 10, MaxTimestampMs: 20}
	e.is("create", e.CreateDelegationToken(e.ctx, token), protocol.None, "")
	e.is("create again", e.CreateDelegationToken(e.ctx, token), protocol.ErrInvalidRequest, "There is a delegation token t1 already.")
	e.is("renew past the end", e.SetDelegationTokenExpiry(e.ctx, "t1", 25), protocol.None, "")
	if got := e.Image().DelegationToken("t1"); got == nil || got.ExpiryTimestampMs != 20 {
		t.Errorf("token %+v", got)
	}
	e.is("renew", e.SetDelegationTokenExpiry(e.ctx, "t1", 15), protocol.None, "")
	if got := e.Image().DelegationToken("t1"); got == nil || got.ExpiryTimestampMs != 15 || got.Renewers[0] != "User:b" {
		t.Errorf("token %+v", got)
	}
	e.is("remove", e.RemoveDelegationToken(e.ctx, "t1"), protocol.None, "")
	e.is("remove again", e.RemoveDelegationToken(e.ctx, "t1"), protocol.None, "")
	e.is("renew what has gone", e.SetDelegationTokenExpiry(e.ctx, "t1", 15), protocol.ErrDelegationTokenNotFound, "")
	if e.Image().DelegationToken("t1") != nil {
		t.Error("a removed token is there")
	}
}

func features(t *testing.T, e *env) {
	e.broker(1)
	update := func(u metadata.FeatureUpdate) error {
		out, err := e.UpdateFeatures(e.ctx, []metadata.FeatureUpdate{u}, false)
		if err != nil || len(out) != 1 || out[0].Name != u.Name {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Err
	}
	const name = "transaction.version"
	e.is("up", update(metadata.FeatureUpdate{Name: name, Level: 2, Upgrade: metadata.FeatureUpgradeOnly}), protocol.None, "")
	if e.Image().Feature(name) != 2 {
		t.Errorf("level %d", e.Image().Feature(name))
	}
	e.is("too far", update(metadata.FeatureUpdate{Name: name, Level: 3, Upgrade: metadata.FeatureUpgradeOnly}), protocol.ErrInvalidUpdateVersion,
		"Invalid update version 3 for feature transaction.version. Local controller 1 only supports versions 0-2")
	e.is("down by going up", update(metadata.FeatureUpdate{Name: name, Level: 1, Upgrade: metadata.FeatureUpgradeOnly}), protocol.ErrInvalidUpdateVersion,
		"Can't downgrade the version of this feature without setting the upgrade type to either safe or unsafe downgrade.")
	e.is("unknown", update(metadata.FeatureUpdate{Name: "x", Level: 1, Upgrade: metadata.FeatureUpgradeOnly}), protocol.ErrInvalidUpdateVersion, "does not support this feature")
	e.is("down", update(metadata.FeatureUpdate{Name: name, Level: 0, Upgrade: metadata.FeatureSafeDowngrade}), protocol.None, "")
	if e.Image().Feature(name) != 0 {
		t.Errorf("level %d", e.Image().Feature(name))
	}
}
