package raftstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/protocol"
)

// An entry larger than raft-wal reads back was written and answered, and every later start
// failed.
func TestNoEntryIsTooLargeToBeRead(t *testing.T) {
	opts := testOptions(t, t.TempDir())
	s := open(t, opts)
	register(t, s)
	ctx := context.Background()
	token := func(id string, size int) error {
		return s.CreateDelegationToken(ctx, metadata.DelegationToken{ID: id, Owner: "User:a", Renewers: []string{strings.Repeat("r", size)}})
	}
	var refused *protocol.Error
	if err := token("huge", maxCommandBytes+1); !errors.As(err, &refused) || refused.Code != protocol.ErrPolicyViolation {
		t.Errorf("a command of more than %d bytes: %v", maxCommandBytes, err)
	}
	if err := s.propose(s.Image(), nil, []metadata.Record{&metadata.DelegationTokenRecord{
		DelegationToken: metadata.DelegationToken{ID: "huger", Renewers: []string{strings.Repeat("r", maxEntryBytes)}}}}); !errors.Is(err, errTooLarge) {
		t.Errorf("an entry of more than %d bytes: %v", maxEntryBytes, err)
	}
	// Commands that wait together, more than an entry may have.
	const commands = 10
	deciding, gate := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		s.run(ctx, func(*controller.Controller, *metadata.Image, int64) ([]metadata.Record, error) {
			close(deciding)
			<-gate
			return nil, nil
		})
	})
	<-deciding
	for i := range commands {
		wg.Go(func() {
			if err := token(fmt.Sprint(i), 7<<20); err != nil {
				t.Error(err)
			}
		})
	}
	for len(s.requests) < commands {
		time.Sleep(time.Millisecond)
	}
	close(gate)
	wg.Wait()
	for _, snapshot := range []bool{false, true} {
		if snapshot {
			if err := s.Raft().Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s = open(t, opts)
		for i := range commands {
			if s.Image().DelegationToken(fmt.Sprint(i)) == nil {
				t.Errorf("token %d is forgotten (snapshot: %t)", i, snapshot)
			}
		}
	}
}

// A command that comes when the store has closed, and finds room for itself, is refused.
func TestCommandBehindTheLastIsRefused(t *testing.T) {
	s := open(t, testOptions(t, t.TempDir()))
	s.Close()
	s.closing = make(chan struct{}) // as it was when the command looked
	err := s.run(context.Background(), func(*controller.Controller, *metadata.Image, int64) ([]metadata.Record, error) { return nil, nil })
	if !errors.Is(err, metadata.ErrClosed) {
		t.Error(err)
	}
}
