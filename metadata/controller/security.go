package controller

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Bounds of Kafka on SCRAM iterations.
const (
	minScramIterations = 4096
	maxScramIterations = 16384
)

// AlterUserScramCredentials changes credentials; see metadata.Store. A user named twice is
// refused, whatever the mechanisms; of several reasons the first counts.
func (c *Controller) AlterUserScramCredentials(m *metadata.Image, deletions []metadata.ScramDeletion, upsertions []metadata.ScramUpsertion) ([]metadata.Record, []metadata.UserResult) {
	var users []string
	records, errs := map[string]metadata.Record{}, map[string]error{}
	alter := func(user string, change func() (metadata.Record, error)) {
		switch {
		case errs[user] != nil:
		case records[user] != nil:
			errs[user] = protocol.Errorf(protocol.ErrDuplicateResource, "A user credential cannot be altered twice in the same request")
		default:
			users = append(users, user)
			records[user], errs[user] = change()
		}
	}
	for _, d := range deletions {
		alter(d.User, func() (metadata.Record, error) { return deleteScram(m, d) })
	}
	for _, u := range upsertions {
		alter(u.User, func() (metadata.Record, error) { return upsertScram(u) })
	}
	for _, u := range upsertions { // at which Apache's hash throws, when all else is in order
		if errs[u.User] == nil && len(u.SaltedPassword) == 0 {
			errs[u.User] = protocol.Errorf(protocol.ErrUnacceptableCredential, "Empty salted password")
		}
	}
	var out []metadata.Record
	results := make([]metadata.UserResult, len(users))
	for i, user := range users {
		results[i] = metadata.UserResult{User: user, Err: errs[user]}
		if errs[user] == nil {
			out = append(out, records[user])
		}
	}
	return out, results
}

func checkScram(user string, mechanism metadata.ScramMechanism) error {
	if user == "" {
		return protocol.Errorf(protocol.ErrUnacceptableCredential, "Username must not be empty")
	}
	if mechanism != metadata.ScramSHA256 && mechanism != metadata.ScramSHA512 {
		return protocol.Errorf(protocol.ErrUnsupportedSASLMechanism, "Unknown SCRAM mechanism")
	}
	return nil
}

func deleteScram(m *metadata.Image, d metadata.ScramDeletion) (metadata.Record, error) {
	if err := checkScram(d.User, d.Mechanism); err != nil {
		return nil, err
	}
	if m.ScramCredential(d.User, d.Mechanism) == nil {
		return nil, protocol.Errorf(protocol.ErrResourceNotFound, "Attempt to delete a user credential that does not exist")
	}
	return &metadata.RemoveScramCredentialRecord{ScramDeletion: d}, nil
}

func upsertScram(u metadata.ScramUpsertion) (metadata.Record, error) {
	if err := checkScram(u.User, u.Mechanism); err != nil {
		return nil, err
	}
	switch {
	case u.Iterations < minScramIterations:
		return nil, protocol.Errorf(protocol.ErrUnacceptableCredential, "Too few iterations")
	case u.Iterations > maxScramIterations:
		return nil, protocol.Errorf(protocol.ErrUnacceptableCredential, "Too many iterations")
	}
	digest := sha256.New
	if u.Mechanism == metadata.ScramSHA512 {
		digest = sha512.New
	}
	stored := digest()
	stored.Write(keyedHash(digest, u.SaltedPassword, "Client Key"))
	return &metadata.ScramCredentialRecord{ScramCredential: metadata.ScramCredential{User: u.User, Mechanism: u.Mechanism,
		Salt: slices.Clone(u.Salt), StoredKey: stored.Sum(nil), ServerKey: keyedHash(digest, u.SaltedPassword, "Server Key"),
		Iterations: u.Iterations}}, nil
}

func keyedHash(digest func() hash.Hash, key []byte, text string) []byte {
	mac := hmac.New(digest, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// Kafka's numbers in ACLs and their filters, as far as rules differ.
const (
	aclAny = 1

	patternLiteral  = 3
	patternPrefixed = 4

	lastACLResource  = 7  // users
	lastACLOperation = 15 // two-phase commit

	permissionDeny  = 2
	permissionAllow = 3
)

// CreateACLs adds ACLs; see metadata.Store.
func (c *Controller) CreateACLs(m *metadata.Image, acls []metadata.ACL) ([]metadata.Record, []error) {
	existing := map[metadata.ACL]bool{}
	for a := range m.ACLs() {
		plain := *a
		plain.ID = protocol.UUID{}
		existing[plain] = true
	}
	var records []metadata.Record
	errs := make([]error, len(acls))
	for i, a := range acls {
		a.ID = protocol.UUID{}
		if errs[i] = checkACL(&a); errs[i] != nil || existing[a] {
			continue
		}
		existing[a] = true
		for a.ID.IsZero() || m.ACL(a.ID) != nil {
			a.ID = c.opts.NewUUID()
		}
		records = append(records, &metadata.ACLRecord{ACL: a})
	}
	return records, errs
}

func checkACL(a *metadata.ACL) error {
	switch {
	case a.ResourceType <= aclAny:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid resourceType %s", anyOrUnknown(a.ResourceType))
	case a.PatternType != patternLiteral && a.PatternType != patternPrefixed:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid patternType %s", map[int8]string{1: "ANY", 2: "MATCH"}[a.PatternType])
	case a.Operation <= aclAny:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid operation %s", anyOrUnknown(a.Operation))
	case a.Permission != permissionAllow && a.Permission != permissionDeny:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid permissionType %s", anyOrUnknown(a.Permission))
	case a.ResourceName == "":
		return protocol.Errorf(protocol.ErrInvalidRequest, "Resource name should not be empty")
	}
	return nil
}

func anyOrUnknown(n int8) string {
	if n == aclAny {
		return "ANY"
	}
	return "UNKNOWN"
}

// DeleteACLs removes what filters match; see metadata.Store.
func (c *Controller) DeleteACLs(m *metadata.Image, filters []metadata.ACLFilter) ([]metadata.Record, []metadata.ACLDeletion) {
	var records []metadata.Record
	results := make([]metadata.ACLDeletion, len(filters))
	removed := map[protocol.UUID]bool{}
	for i, f := range filters {
		switch {
		case f.ResourceType <= 0 || f.ResourceType > lastACLResource || f.PatternType <= 0 || f.PatternType > patternPrefixed:
			results[i].Err = protocol.Errorf(protocol.ErrInvalidRequest, "Unknown patternFilter.")
			continue
		case f.Operation <= 0 || f.Operation > lastACLOperation || f.Permission <= 0 || f.Permission > permissionAllow:
			results[i].Err = protocol.Errorf(protocol.ErrInvalidRequest, "Unknown entryFilter.")
			continue
		}
		for a := range m.ACLs() {
			if !f.Matches(a) {
				continue
			}
			results[i].Deleted = append(results[i].Deleted, *a)
			if !removed[a.ID] {
				removed[a.ID] = true
				records = append(records, &metadata.RemoveACLRecord{ID: a.ID})
			}
		}
		slices.SortFunc(results[i].Deleted, func(a, b metadata.ACL) int { return compareUUIDs(a.ID, b.ID) })
	}
	slices.SortFunc(records, func(a, b metadata.Record) int {
		return compareUUIDs(a.(*metadata.RemoveACLRecord).ID, b.(*metadata.RemoveACLRecord).ID)
	})
	return records, results
}

// CreateDelegationToken makes a token; see metadata.Store.
func (c *Controller) CreateDelegationToken(m *metadata.Image, t metadata.DelegationToken) ([]metadata.Record, error) {
	if m.DelegationToken(t.ID) != nil {
		return nil, protocol.Errorf(protocol.ErrInvalidRequest, "There is a delegation token %s already.", t.ID)
	}
	t.Renewers = slices.Clone(t.Renewers)
	return []metadata.Record{&metadata.DelegationTokenRecord{DelegationToken: t}}, nil
}

// SetDelegationTokenExpiry moves the moment at which a token runs out; see metadata.Store.
func (c *Controller) SetDelegationTokenExpiry(m *metadata.Image, id string, expiryTimestampMs int64) ([]metadata.Record, error) {
	known := m.DelegationToken(id)
	if known == nil {
		return nil, protocol.ErrDelegationTokenNotFound
	}
	t := *known
	t.ExpiryTimestampMs = min(expiryTimestampMs, t.MaxTimestampMs)
	return []metadata.Record{&metadata.DelegationTokenRecord{DelegationToken: t}}, nil
}

// RemoveDelegationToken removes a token; see metadata.Store.
func (c *Controller) RemoveDelegationToken(m *metadata.Image, id string) []metadata.Record {
	if m.DelegationToken(id) == nil {
		return nil
	}
	return []metadata.Record{&metadata.RemoveDelegationTokenRecord{ID: id}}
}
