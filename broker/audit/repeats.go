package audit

import (
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
}

type repeated struct {
	last    time.Time
	skipped int64
}

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

// forgetLocked drops keys that have nothing to tell any more.
func (r *Repeats) forgetLocked(now time.Time) {
	for key, e := range r.seen {
		if e.skipped == 0 && now.Sub(e.last) >= r.Every || now.Sub(e.last) >= 60*r.Every {
			delete(r.seen, key)
		}
	}
}
