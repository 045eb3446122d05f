package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// report prints the differences and fails if one is not explained.
func report(opts options, playings []playing, seen map[peers.Kind]*transcripts, shrink *shrinker) error {
	unexplained, explainedCount := 0, map[string]int{}
	var groups grouped
	var roots []root
	shrink.playAgain(opts.peers, playings, seen)
	for _, p := range playings {
		name := p.name()
		if opts.verbose {
			for kind, t := range seen {
				fmt.Printf("== %s on %s\n", name, kind)
				for _, e := range t.events[name] {
					fmt.Printf("  %s\n    %s\n", e.Label, wire.Text(e.Answer))
				}
			}
		}
		for kind, t := range seen {
			if err := t.errs[name]; err != nil {
				fmt.Printf("%s on %s ended early: %v\n", name, kind, err)
				unexplained++
			}
		}
		j := judge(opts.peers, name, eventsOf(p, seen))
		for why, n := range j.explained {
			explainedCount[why] += n
		}
		for i, d := range j.unexplained {
			unexplained++
			if opts.each {
				fmt.Println(d)
			}
			groups.add(p, d)
			// What differs later may follow from what differs first.
			if i == 0 && shrink.sent[p.script.name] != nil {
				roots = append(roots, root{p, d})
			}
		}
	}
	for _, text := range unexplainedVersions(opts, seen) {
		fmt.Println(text)
		unexplained++
	}
	groups.print()
	tried := map[string]bool{}
	for _, r := range roots {
		if sort := r.difference.kind(); !tried[sort] && len(tried) < opts.shrink {
			tried[sort] = true
			if err := shrink.shrink(r.playing, r.difference); err != nil {
				return err
			}
		}
	}
	quiet := map[string]int{}
	for kind, t := range seen {
		for _, events := range t.events {
			for _, e := range events {
				if e.Answer == wire.Raw("silent") {
					quiet[string(kind)+" "+e.Label]++
				}
			}
		}
	}
	for _, label := range slices.Sorted(maps.Keys(quiet)) {
		fmt.Printf("%4d times silent: %s\n", quiet[label], label)
	}
	if opts.docs != "" {
		if err := writeDocs(opts, playings, seen, explainedCount, unexplained, shrink.calm); err != nil {
			return err
		}
	}
	for why, n := range explainedCount {
		fmt.Printf("%6d  %s\n", n, why)
	}
	if unexplained > 0 {
		return fmt.Errorf("%d differences", unexplained)
	}
	return nil
}

// root is the first difference of a script.
type root struct {
	playing
	difference
}

// judgement is what comes out of comparing what brokers answered to one script.
type judgement struct {
	explained   map[string]int // by reason
	unexplained []difference
}

// judge compares what each broker answered to a script with what we did.
func judge(kinds []peers.Kind, name string, events map[peers.Kind][]event) judgement {
	j := judgement{explained: map[string]int{}}
	ours, served := events[peers.Barnabas]
	results := map[peers.Kind][]difference{}
	for _, peer := range kinds {
		theirs, ran := events[peer]
		switch {
		case ran && served:
			results[peer] = compare(peer, name, theirs, ours)
		case ran:
			results[peer] = []difference{{Peer: peer, Script: name, Path: "version", Theirs: "served", Ours: "not served"}}
		}
	}
	for _, peer := range kinds {
		for _, d := range results[peer] {
			if why := explain(d); why != "" {
				j.explained[why]++
			} else {
				d.as, _ = agreesWithOther(kinds, results, events, d)
				j.unexplained = append(j.unexplained, d)
			}
		}
	}
	return j
}

// agreesWithOther says whether the other Apache answered as we do where this one differs.
func agreesWithOther(kinds []peers.Kind, results map[peers.Kind][]difference, events map[peers.Kind][]event, d difference) (peers.Kind, bool) {
	for _, other := range kinds {
		if other == d.Peer {
			continue
		}
		if _, ran := events[other]; !ran {
			continue
		}
		same := true
		for _, e := range results[other] {
			if e.Event == d.Event && e.Path == d.Path {
				same = false
			}
		}
		if same {
			return other, true
		}
	}
	return "", false
}

// grouped are differences that are the same in several versions.
type grouped struct {
	order    []string
	versions map[string][]int16
	texts    map[string]string
	counts   map[string]int
	events   map[string][]int
}

var indexes = regexp.MustCompile(`\[[0-9]+\]`)

func (g *grouped) add(p playing, d difference) {
	if i := strings.LastIndex(d.Label, " v"); i >= 0 && p.script.key == d.Key {
		d.Label = d.Label[:i]
	}
	d.Script = p.script.name
	key := sprintf("%s|%s|%s", d.Peer, d.Script, indexes.ReplaceAllString(d.Path, "[*]"))
	if g.versions == nil {
		g.versions, g.texts, g.counts, g.events = map[string][]int16{}, map[string]string{}, map[string]int{}, map[string][]int{}
	}
	if g.versions[key] == nil {
		g.order = append(g.order, key)
		g.texts[key] = d.String()
	}
	if !slices.Contains(g.versions[key], p.version) {
		g.versions[key] = append(g.versions[key], p.version)
	}
	events := g.events[key]
	if !slices.Contains(events, d.Event) {
		g.events[key] = append(events, d.Event)
	}
	g.counts[key]++
}

func (g *grouped) print() {
	for _, text := range g.order {
		fmt.Printf("%d times, v%v, events %v: %s\n", g.counts[text], g.versions[text], g.events[text], g.texts[text])
	}
	fmt.Printf("%d groups of differences\n", len(g.order))
}
