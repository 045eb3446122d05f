package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// compareWithApache fills Apache Kafka 3.9.2, damages many partitions of copies of its
// directories at once, and opens each copy with Apache and with ours, which takes over its
// metadata. What the two make of a partition is counted as equal, or as ours serving more
// or less.
func (r *runner) compareWithApache(count int) error {
	r.table = table{}
	scenes, err := r.apacheScenes()
	if err != nil {
		return err
	}
	random := rand.New(rand.NewSource(r.seed))
	kinds := slices.DeleteFunc(pairs(r.seed, ""), func(p pair) bool {
		return !slices.Contains([]string{"active .log", "older .log", ".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"}, p.file) ||
			slices.Contains(nameDamages, p.damage) && p.damage != "missing"
	})
	next := 0
	for done, round := 0, 0; done < count; round++ {
		s := scenes[round%len(scenes)]
		n, err := r.compareRound(s, round, min(count-done, 12), kinds, &next, random)
		if err != nil {
			return err
		}
		done += n
	}
	fmt.Println("\n| file | damage | as Apache | ours serves more | ours serves less | Apache serves nothing | other |\n|---|---|---|---|---|---|---|")
	sums := map[string]int{}
	for _, p := range slices.SortedFunc(maps.Keys(r.table), func(a, b pair) int { return strings.Compare(a.file+a.damage, b.file+b.damage) }) {
		c := r.table[p]
		fmt.Printf("| %s | %s |", p.file, p.damage)
		for _, verdict := range verdicts {
			sums[verdict] += c[verdict]
			fmt.Printf(" %s |", blankZero(c[verdict]))
		}
		fmt.Println()
	}
	fmt.Print("| all | |")
	for _, verdict := range verdicts {
		fmt.Printf(" %d |", sums[verdict])
	}
	fmt.Printf("\n\n%d differences without an explanation\n", r.failed)
	return nil
}

// verdicts are how a comparison of one partition ends, in the order of the table.
var verdicts = []string{"as Apache", "more", "less", "no start", "other"}

func apacheConfig(dir string) map[string]string {
	c := brokerConfig(dir)
	delete(c, "barnabas.admin.listener")
	return c
}

func (r *runner) startApache(dir string) (*peers.Broker, error) {
	return r.cache.StartBroker(peers.Apache39, peers.BrokerOptions{Dir: dir, Config: apacheConfig(dir)})
}

// apacheScenes are Apache's directories after kill -9 and after a clean stop.
func (r *runner) apacheScenes() ([]*scene, error) {
	work := filepath.Join(r.dir, "apache")
	b, err := r.startApache(work)
	if err != nil {
		return nil, err
	}
	defer func() { b.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	if err := errors.Join(load(ctx, b.Addr), more(ctx, b.Addr)); err != nil {
		return nil, err
	}
	b.Kill()
	killed := &scene{name: "killed", dir: filepath.Join(r.dir, "apache-killed")}
	clean := &scene{name: "clean", dir: filepath.Join(r.dir, "apache-clean"), clean: true}
	// Tells StartBroker that the directories are formatted.
	formatted := errors.Join(os.MkdirAll(filepath.Join(work, "data"), 0o755), os.WriteFile(filepath.Join(work, "data", "meta.properties"), nil, 0o644))
	if err := errors.Join(formatted, copyTree(work, killed.dir, "a", "b", "data"), b.Start(), b.Stop(2*patience),
		copyTree(work, clean.dir, "a", "b", "data")); err != nil {
		return nil, err
	}
	for _, s := range []*scene{killed, clean} {
		if s.truth, err = readTruths(s.dir); err != nil {
			return nil, err
		}
		for tp, t := range s.truth {
			if strings.HasPrefix(tp.Topic, "__") || strings.HasPrefix(tp.Topic, "doomed") || len(t.records) == 0 {
				delete(s.truth, tp)
			}
		}
		s.before = &view{partitions: map[protocol.TopicPartition]*served{}}
		for tp, t := range s.truth {
			s.before.partitions[tp] = &served{end: slices.Max(slices.Collect(maps.Keys(t.records))) + 1}
		}
	}
	return []*scene{clean, killed}, nil
}

// compareRound damages up to n partitions of one copy, each once.
func (r *runner) compareRound(s *scene, round, n int, kinds []pair, next *int, random *rand.Rand) (done int, err error) {
	dir := filepath.Join(r.dir, fmt.Sprintf("round-%d", round))
	if err := copyTree(s.dir, filepath.Join(dir, "apache")); err != nil {
		return 0, err
	}
	left := *s
	left.truth = maps.Clone(s.truth)
	damages := map[protocol.TopicPartition]*damage{}
	for tries := 0; tries < 20*n && len(damages) < n && len(left.truth) > 1; tries++ {
		p := kinds[*next%len(kinds)]
		*next++
		d, err := inflict(&left, filepath.Join(dir, "apache"), p, random)
		if errors.Is(err, errNotHere) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for tp := range d.from {
			damages[tp] = d
			delete(left.truth, tp)
		}
	}
	tps := slices.SortedFunc(maps.Keys(damages), func(a, b protocol.TopicPartition) int { return strings.Compare(a.String(), b.String()) })
	a := &apacheRound{runner: r, scene: s, dir: dir}
	var apache *view
	for {
		if apache, err = a.start(tps); err != nil {
			return done, err
		}
		if apache != nil {
			break
		}
		// Whoever keeps it from serving is taken out, and noted.
		guilty, err := a.guilty(tps)
		if err != nil {
			return done, err
		}
		for _, tp := range guilty {
			fmt.Printf("%s %v, %s %s (%s): Apache serves none of them: %s\n", s.name, tp, damages[tp].file, damages[tp].damage, damages[tp].note, a.reason)
			r.table.add(damages[tp].pair, "no start")
			done++
			if err := a.heal(filepath.Join(dir, "apache"), tp); err != nil {
				return done, err
			}
		}
		tps = slices.DeleteFunc(tps, func(tp protocol.TopicPartition) bool { return slices.Contains(guilty, tp) })
	}
	if err := copyTree(filepath.Join(dir, "apache"), filepath.Join(dir, "ours")); err != nil {
		return done, err
	}
	b, err := startBroker(r.cache, filepath.Join(dir, "ours"))
	if err != nil {
		return done, err
	}
	ours, err := settledView(b.Addr, tps)
	b.Kill()
	if err != nil {
		return done, err
	}
	for _, tp := range tps {
		d, a, o := damages[tp], apache.partitions[tp], ours.partitions[tp]
		verdict := compareServed(a, o)
		r.table.add(d.pair, verdict)
		done++
		if verdict == "as Apache" {
			continue
		}
		why := explain(d, s, tp, verdict, a, o)
		if why == "" {
			r.failed++
			why = "NOT EXPLAINED"
		}
		fmt.Printf("%s %v, %s %s (%s): ours %s: %s; Apache %s\n  %s\n", s.name, tp, d.file, d.damage, d.note, verdict, o, a, why)
	}
	return done, nil
}

// apacheRound starts Apache on a directory of damaged partitions, or on some of them.
type apacheRound struct {
	*runner
	scene  *scene
	dir    string                    // apache is in it, the damaged copy
	reason string                    // why it did not serve the last time
	named  []protocol.TopicPartition // who was to blame by what it said
}

// start starts Apache on a copy with these damaged partitions, the others whole, and
// returns what it serves of them. Without an error and a view Apache did not start, or one
// of them kept it from becoming the leader of others.
func (a *apacheRound) start(damaged []protocol.TopicPartition) (*view, error) {
	a.reason, a.named = "", nil
	tried := filepath.Join(a.dir, "tried")
	if err := errors.Join(os.RemoveAll(tried), copyTree(filepath.Join(a.dir, "apache"), tried)); err != nil {
		return nil, err
	}
	for tp := range a.scene.truth {
		if !slices.Contains(damaged, tp) {
			if err := a.heal(tried, tp); err != nil {
				return nil, err
			}
		}
	}
	b, err := a.startApache(tried)
	if err != nil {
		if b == nil || b.Process == nil {
			return nil, err
		}
		a.reason = firstLine(err.Error())
		log, err := os.ReadFile(filepath.Join(tried, "broker.log"))
		if err != nil {
			return nil, err
		}
		for _, tp := range damaged {
			if namedByError(string(log), filepath.Join(tried, a.scene.truth[tp].dir)) {
				a.named = append(a.named, tp)
			}
		}
		return nil, nil
	}
	defer b.Kill()
	v, err := settledView(b.Addr, damaged)
	if err != nil {
		return nil, err
	}
	leaderless := 0
	for tp, p := range v.partitions {
		if p.isSettling() {
			leaderless++
		} else if p.code != 0 {
			a.named = append(a.named, tp)
		}
	}
	if leaderless == 0 {
		return v, nil
	}
	a.reason = fmt.Sprintf("%d of %d have no leader", leaderless, len(damaged))
	return nil, nil
}

// heal puts a partition back as it was.
func (a *apacheRound) heal(in string, tp protocol.TopicPartition) error {
	dir := a.scene.truth[tp].dir
	return errors.Join(os.RemoveAll(filepath.Join(in, dir)), copyTree(filepath.Join(a.scene.dir, dir), filepath.Join(in, dir)))
}

// guilty are partitions that keep Apache from serving: those that it named, or one that is
// found by starting it on fewer of them.
func (a *apacheRound) guilty(tps []protocol.TopicPartition) ([]protocol.TopicPartition, error) {
	if len(a.named) > 0 {
		return a.named, nil
	}
	if len(tps) == 0 {
		return nil, fmt.Errorf("apache: it does not serve an undamaged copy: %s", a.reason)
	}
	reason := a.reason
	starts, fails := 0, len(tps) // it serves so many of the first, and not so many
	for starts+1 < fails {
		middle := (starts + fails) / 2
		v, err := a.start(tps[:middle])
		if err != nil {
			return nil, err
		}
		if v == nil {
			fails, reason = middle, a.reason
		} else {
			starts = middle
		}
	}
	a.reason = reason
	return tps[starts:fails], nil
}

// namedByError says whether an error in Apache's log names a partition's directory.
func namedByError(log, dir string) bool {
	for line := range strings.Lines(log) {
		// Of an index that is missing it says so as of an error, and makes one.
		if strings.Contains(line, "ERROR") && strings.Contains(line, dir+"/") && !strings.Contains(line, "Could not find offset index") {
			return true
		}
	}
	return false
}

// firstLine is the first line of a log that tells of an error, of an exception if there is one.
func firstLine(text string) string {
	for _, word := range []string{"Exception", ""} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, "ERROR") && strings.Contains(line, word) {
				return strings.TrimSpace(line)
			}
		}
	}
	return text[:min(len(text), 300)]
}

// settledView waits until all partitions have their leaders.
func settledView(addr string, tps []protocol.TopicPartition) (*view, error) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		v, err := readView(addr, tps)
		waiting := false
		if err == nil {
			for _, p := range v.partitions {
				waiting = waiting || p.isSettling()
			}
		}
		if err == nil && !waiting || time.Now().After(deadline) {
			return v, err
		}
	}
}

// isSettling says whether the partition has no leader, as for a moment after a start.
func (p *served) isSettling() bool {
	return p.code == protocol.ErrUnknownTopicOrPartition || p.code == protocol.ErrNotLeaderOrFollower || p.code == protocol.ErrLeaderNotAvailable
}

func (p *served) String() string {
	text := fmt.Sprintf("%d records from %d to %d", len(p.records), p.start, p.end)
	if p.code != 0 {
		text = p.code.Error()
	}
	if len(p.problems) > 0 {
		text += fmt.Sprintf(", at %d %.100s", p.problems[0].offset, p.problems[0].what)
	}
	return text
}

// compareServed says how what ours serves relates to what Apache does.
func compareServed(apache, ours *served) string {
	more, less := 0, 0
	for offset, text := range ours.records {
		if apache.records[offset] != text {
			more++
		}
	}
	for offset, text := range apache.records {
		if ours.records[offset] != text {
			less++
		}
	}
	switch {
	case more > 0 && less == 0:
		return "more"
	case less > 0 && more == 0:
		return "less"
	case more > 0 || (apache.code == 0) != (ours.code == 0) || len(apache.problems) > 0 != (len(ours.problems) > 0) || apache.end != ours.end:
		return "other"
	}
	return "as Apache"
}
