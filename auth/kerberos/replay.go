package kerberos

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
)

const replayShards = 16

// Replays remember the authenticators of the last minutes, so that none opens a second
// session. To see and to remember is one step. All mechanisms with the same service share
// them: what a listener without encryption has let in is not good on another one either.
type Replays struct {
	limit  int // authenticators in one shard
	shards [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	until map[[16]byte]int64 // when it may be forgotten, in Unix nanoseconds
	sweep int64              // when to look for those that may be
}

// replayVerdict is what is known of an authenticator.
type replayVerdict int8

const (
	replayFresh replayVerdict = iota
	replaySeen
	replayFull // too many to remember one more: it cannot be let in
)

// NewReplays returns an empty memory.
func NewReplays() *Replays { return newReplays(replayLimit) }

func newReplays(limit int) *Replays {
	c := &Replays{limit: max(limit/replayShards, 1)}
	for i := range c.shards {
		c.shards[i].until = make(map[[16]byte]int64)
	}
	return c
}

// check says whether the authenticator, known by its ciphertext, is new, and remembers it
// for keep. Only authenticators that are good otherwise may come here: whoever fills the
// cache must hold a ticket.
func (c *Replays) check(ciphertext []byte, now time.Time, keep time.Duration) replayVerdict {
	sum := sha256.Sum256(ciphertext)
	key := [16]byte(sum[:16])
	shard := &c.shards[binary.BigEndian.Uint64(sum[16:])%replayShards]
	at := now.UnixNano()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if until, seen := shard.until[key]; seen && until > at {
		return replaySeen
	}
	if at >= shard.sweep {
		for k, until := range shard.until {
			if until <= at {
				delete(shard.until, k)
			}
		}
		shard.sweep = at + int64(keep)/16
	}
	if len(shard.until) >= c.limit {
		return replayFull
	}
	shard.until[key] = at + int64(keep)
	return replayFresh
}
