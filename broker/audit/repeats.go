package audit

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// Repeats keeps what is said again and again from being written again and again: once in a
// while per key, with a count of the rest. Its memory is bounded; keys past the bound count
// as one. The zero value keeps nothing back.
type Repeats struct {
	Every time.Duration // between two of a key
	Most  int           // keys that are told apart

	mu   sync.Mutex
	seen map[string]*repeated

	seed  maphash.Seed
	since time.Time // when told was 0 last
	told  int       // variants written since then, beside the first of each key
}

type repeated struct {
	last     time.Time
	skipped  int64
	variants [mostVariants]uint64 // hashes of those that were written since last
	told     int
}

// mostVariants is how many of a key are written, between two times that it is, because they
// differ in what is not part of the key. Of all keys together, as many are as keys are told
// apart.
const mostVariants = 16

// overflow is the key of all that are not told apart; no key of a caller is empty.
const overflow = ""

// Say says whether to write what has this key now, and how many there were since the last
// that was written.
func (r *Repeats) Say(key string, now time.Time) (skipped int64, ok bool) {
	if r.Every <= 0 {
		return 0, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]*repeated{}
	}
	e := r.seen[key]
	if e == nil && len(r.seen) >= r.Most {
		r.forgetLocked(now)
	}
	if e == nil && len(r.seen) >= r.Most {
		key = overflow
		e = r.seen[key]
	}
	if e == nil {
		r.seen[key] = &repeated{last: now}
		return 0, true
	}
	if now.Sub(e.last) < r.Every {
		e.skipped++
		return 0, false
	}
	skipped, e.skipped, e.last = e.skipped, 0, now
	return skipped, true
}

// SayVariant is Say for what comes in variants, such as logins from one address that name
// different users: of those of a key the first few that differ are written too.
func (r *Repeats) SayVariant(key, variant string, now time.Time) (skipped int64, ok bool) {
	skipped, ok = r.Say(key, now)
	if r.Every <= 0 {
		return skipped, ok
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.seen[key]
	if e == nil { // it counts as one with others
		return skipped, ok
	}
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	if now.Sub(r.since) >= r.Every {
		r.since, r.told = now, 0
	}
	hash := maphash.String(r.seed, variant)
	switch {
	case ok:
		e.told = 0
	case slices.Contains(e.variants[:e.told], hash) || e.told == mostVariants || r.told >= r.Most:
		return skipped, false
	default:
		e.skipped-- // it is written
		r.told++
	}
	e.variants[e.told] = hash
	e.told++
	return skipped, true
}

// forgetLocked drops keys that have nothing to tell any more.
func (r *Repeats) forgetLocked(now time.Time) {
	for key, e := range r.seen {
		if e.skipped == 0 && now.Sub(e.last) >= r.Every || now.Sub(e.last) >= 60*r.Every {
			delete(r.seen, key)
		}
	}
}
