package broker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
)

// keepsOneToken cannot remove the first token that it is asked to.
type keepsOneToken struct {
	metadata.Store
	kept string
}

func (s *keepsOneToken) RemoveDelegationToken(ctx context.Context, id string) error {
	if s.kept == "" {
		s.kept = id
		return errors.New("not now")
	}
	return s.Store.RemoveDelegationToken(ctx, id)
}

// A token that cannot be removed does not keep the others.
func TestTheSweepGoesOnAfterATokenThatStays(t *testing.T) {
	var store *keepsOneToken
	b, err := startWith(t, log.OS{}, func(s metadata.Store) metadata.Store {
		store = &keepsOneToken{Store: s}
		return store
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	past := now.Add(-time.Hour).UnixMilli()
	for _, id := range []string{"one", "two", "three"} {
		if err := store.CreateDelegationToken(t.Context(), metadata.DelegationToken{ID: id, Owner: "User:alice", Requester: "User:alice",
			IssueTimestampMs: past - 1, ExpiryTimestampMs: past, MaxTimestampMs: past}); err != nil {
			t.Fatal(err)
		}
	}
	b.RemoveExpiredTokens(t.Context(), now)
	for token := range b.Store().Image().DelegationTokens() {
		if token.ID != store.kept {
			t.Errorf("%s was not removed", token.ID)
		}
	}
	if b.Store().Image().DelegationToken(store.kept) == nil {
		t.Error("nothing was kept")
	}
}
