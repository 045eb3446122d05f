package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// shrinker looks for the smallest script that still shows a difference, by playing smaller
// and smaller ones against the brokers of the run.
type shrinker struct {
	kinds   []peers.Kind
	targets []*target
	label   string
	number  int // of the next script, so that each has names of its own
	dir     string
	sent    map[string]func(version int16) []exchange // of generated
	calm    []string                                  // scripts that differed, and not when nothing else ran
}

// trialsMax is how many smaller scripts are tried for one difference.
const trialsMax = 120

// shrink makes a difference of a generated script small, prints it and writes it as a
// golden file.
func (s *shrinker) shrink(p playing, d difference) error {
	list := s.sent[p.script.name](p.version)
	if d.Event >= len(list) {
		return nil // the connection is open with one, closed with the other
	}
	list = list[:d.Event+1]
	trials := 0
	shows := func(list []exchange) bool {
		trials++
		return trials <= trialsMax && s.shows(p, list, d)
	}
	if !shows(list) {
		fmt.Printf("not seen again: %s\n", d)
		return nil
	}
	list = fewer(list, shows)
	for i := range list {
		list = s.smaller(list, i, shows)
	}
	events, err := s.play(p, list)
	if err != nil {
		return err
	}
	g := golden{key: p.script.key, version: p.version, list: list, events: events,
		title: fmt.Sprintf("%s v%d, %s: %s answers %s, we %s", schema.Lookup(p.script.key).Name, p.version, d.Path, d.Peer, shortened(d.Theirs), shortened(d.Ours)),
		from:  fmt.Sprintf("%s v%d, exchange %d", p.script.name, p.version, d.Event)}
	path := filepath.Join(s.dir, g.fileName(d.Path))
	fmt.Printf("smallest, in %d trials, as %s:\n  %s\n", trials, path, g.title)
	for i := range list {
		fmt.Printf("  %s\n", list[i].String())
		for _, kind := range slices.Sorted(maps.Keys(events)) {
			if i < len(events[kind]) {
				fmt.Printf("    %-12s %s\n", kind, wire.Text(events[kind][i].Answer))
			}
		}
	}
	return g.write(path)
}

func shortened(text string) string {
	if len(text) > 60 {
		return text[:60] + "..."
	}
	return text
}

// play plays exchanges against all brokers that serve them.
func (s *shrinker) play(p playing, list []exchange) (map[peers.Kind][]event, error) {
	s.number++
	if s.number > 9999 {
		return nil, fmt.Errorf("no more names")
	}
	one := playing{&script{name: p.script.name, key: p.script.key, run: func(t *T) {
		t.prepare(p.script.key)
		t.exchanges(list)
	}}, p.version}
	return s.playOn(one), nil
}

// playOn plays a script against all brokers that serve it, at the same time. What ends
// early is left out.
func (s *shrinker) playOn(p playing) map[peers.Kind][]event {
	all := map[peers.Kind][]event{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, target := range s.targets {
		if p.script.key >= 0 && !target.serves(p.script.key, p.version) {
			continue
		}
		wg.Go(func() {
			events, err := play(target, p, s.label, s.number)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				all[target.kind] = events
			}
		})
	}
	wg.Wait()
	return all
}

// againMax is how many scripts that differ are played again. Where more do, it is not for
// their timing.
const againMax = 250

// playAgain plays the scripts that differ once more, each while nothing else runs. Many
// are about what happens within a second or two, and a broker that gets no processor for
// that long answers something else. What two times in a row shows no difference is taken
// as its answer, and is printed; anything else stays as it was seen first.
func (s *shrinker) playAgain(kinds []peers.Kind, playings []playing, seen map[peers.Kind]*transcripts) {
	var differ []playing
	for _, p := range playings {
		early := false
		for _, t := range seen {
			early = early || t.errs[p.name()] != nil
		}
		if early || len(judge(kinds, p.name(), eventsOf(p, seen)).unexplained) > 0 {
			differ = append(differ, p)
		}
	}
	if len(differ) > againMax {
		return
	}
	for _, p := range differ {
		ran := len(eventsOf(p, seen))
		var events map[peers.Kind][]event
		same := true
		for range 2 {
			if s.number++; s.number > 9999 {
				return
			}
			events = s.playOn(p)
			same = same && len(events) == ran && len(judge(kinds, p.name(), events).unexplained) == 0
		}
		if !same {
			continue
		}
		fmt.Printf("differs not when nothing else runs: %s\n", p.name())
		if first := judge(kinds, p.name(), eventsOf(p, seen)).unexplained; len(first) > 0 {
			fmt.Printf("  it was: %s\n", first[0])
		}
		s.calm = append(s.calm, p.name())
		for kind, list := range events {
			seen[kind].events[p.name()] = list
			delete(seen[kind].errs, p.name())
		}
	}
}

// eventsOf is what each broker answered to a script.
func eventsOf(p playing, seen map[peers.Kind]*transcripts) map[peers.Kind][]event {
	events := map[peers.Kind][]event{}
	for kind, t := range seen {
		if list, ran := t.events[p.name()]; ran {
			events[kind] = list
		}
	}
	return events
}

// shows says whether the script shows the difference in its last exchange.
func (s *shrinker) shows(p playing, list []exchange, d difference) bool {
	events, err := s.play(p, list)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(judge(s.kinds, p.name(), events).unexplained, func(e difference) bool {
		return e.Event == len(list)-1 && e.Peer == d.Peer && e.kind() == d.kind()
	})
}

// kind is what a difference has in common with others of its sort.
func (d *difference) kind() string {
	kind := fmt.Sprintf("%d %s", d.Key, indexes.ReplaceAllString(d.Path, "[*]"))
	if len(d.Theirs) < 5 && len(d.Ours) < 5 {
		kind += " " + d.Theirs + " " + d.Ours
	}
	return kind
}

// fewer leaves out exchanges before the last.
func fewer(list []exchange, shows func([]exchange) bool) []exchange {
	if last := list[len(list)-1:]; len(list) == 1 || shows(last) {
		return last
	}
	for size := len(list) / 2; size > 0; size /= 2 {
		for at := 0; at+size < len(list); {
			if less := slices.Delete(slices.Clone(list), at, at+size); shows(less) {
				list = less
			} else {
				at += size
			}
		}
	}
	return list
}

// smaller takes elements out of the tree of an exchange and makes its values plain.
func (s *shrinker) smaller(list []exchange, i int, shows func([]exchange) bool) []exchange {
	if list[i].tree == nil {
		return list
	}
	for again := true; again; {
		again = false
		for _, step := range steps(schema.Lookup(list[i].key), list[i].version, list[i].tree) {
			less := slices.Clone(list)
			less[i].tree = step
			less[i].encode()
			if string(less[i].body) != string(list[i].body) && shows(less) {
				list, again = less, true
				break
			}
		}
	}
	return list
}

// steps are all trees that are one step smaller.
func steps(api *schema.API, version int16, tree *wire.Struct) (all []*wire.Struct) {
	// A change is found by its number in the walk, as the copy is walked again.
	for n := 0; ; n++ {
		tree := wire.Clone(tree).(*wire.Struct)
		left := n
		if !step(api.Request.Fields, version, tree, &left) {
			return all
		}
		all = append(all, tree)
	}
}

// step makes the change of a number to a tree; it says whether there is one.
func step(fields []schema.Field, version int16, s *wire.Struct, left *int) bool {
	for i := range fields {
		f := &fields[i]
		if !s.Has(f.Name) {
			continue
		}
		v := s.Get(f.Name)
		if list, ok := v.(wire.List); ok {
			for at := range list {
				if *left == 0 {
					s.Set(f.Name, slices.Delete(slices.Clone(list), at, at+1))
					return true
				}
				*left--
			}
			for _, x := range list {
				if sub, ok := x.(*wire.Struct); ok && step(f.Fields, version, sub, left) {
					return true
				}
			}
			continue
		}
		if sub, ok := v.(*wire.Struct); ok {
			if step(f.Fields, version, sub, left) {
				return true
			}
			continue
		}
		plain := plainValue(f, v)
		if wire.Text(plain) == wire.Text(v) {
			continue
		}
		if *left == 0 {
			s.Set(f.Name, plain)
			return true
		}
		*left--
	}
	return false
}

// plainValue is the simplest value that a field may have instead.
func plainValue(f *schema.Field, v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		return false
	case int64:
		switch f.Name {
		case "TimeoutMs", "timeoutMs", "ReplicaId", "RetentionTimeMs", "TransactionTimeoutMs", "SessionTimeoutMs", "RebalanceTimeoutMs", "CurrentLeaderEpoch", "LeaderEpoch", "LastFetchedEpoch", "Acks",
			"MaxBytes", "PartitionMaxBytes", "ResourceType":
			return v
		}
		return int64(0)
	case string:
		if strings.HasPrefix(v, standInPrefix) || f.Nullable.First > 0 {
			return v
		}
		return standInPrefix + "a"
	case wire.Records:
		return wire.Records(records("a"))
	}
	return v
}
