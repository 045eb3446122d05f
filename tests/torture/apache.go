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
	fmt.Println("\n| file | damage | as Apache | ours serves more | ours serves less | Apache does not start | other |\n|---|---|---|---|---|---|---|")
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
		b, err := a.start(tps)
		if err != nil {
			return done, err
		}
		if b != nil {
			apache, err = settledView(b.Addr, tps)
			b.Kill()
			if err != nil {
				return done, err
			}
			break
		}
		// Whoever keeps it from starting is taken out, and noted.
		guilty, err := a.guilty(tps)
		if err != nil {
			return done, err
		}
		for _, tp := range guilty {
			fmt.Printf("%s %v, %s %s (%s): Apache does not start: %s\n", s.name, tp, damages[tp].file, damages[tp].damage, damages[tp].note, a.reason)
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
		why := explain(d.pair, verdict)
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
	dir    string // apache is in it, the damaged copy
	reason string // why it did not start the last time
}

// start starts Apache on a copy with these damaged partitions, the others whole. Without an
// error there is no broker if Apache did not want to start.
func (a *apacheRound) start(damaged []protocol.TopicPartition) (*peers.Broker, error) {
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
	if err == nil {
		return b, nil
	}
	if b == nil || b.Process == nil {
		return nil, err
	}
	a.reason = firstLine(err.Error())
	return nil, nil
}

// heal puts a partition back as it was.
func (a *apacheRound) heal(in string, tp protocol.TopicPartition) error {
	dir := a.scene.truth[tp].dir
	return errors.Join(os.RemoveAll(filepath.Join(in, dir)), copyTree(filepath.Join(a.scene.dir, dir), filepath.Join(in, dir)))
}

// guilty are partitions that keep Apache from starting: those that its log names, or one
// that is found by starting it on fewer of them.
func (a *apacheRound) guilty(tps []protocol.TopicPartition) ([]protocol.TopicPartition, error) {
	tried := filepath.Join(a.dir, "tried")
	log, err := os.ReadFile(filepath.Join(tried, "broker.log"))
	if err != nil {
		return nil, err
	}
	var named []protocol.TopicPartition
	for _, tp := range tps {
		if namedByError(string(log), filepath.Join(tried, a.scene.truth[tp].dir)) {
			named = append(named, tp)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	if len(tps) == 0 {
		return nil, fmt.Errorf("apache: it does not start on an undamaged copy: %s", a.reason)
	}
	starts, fails := 0, len(tps) // it starts on so many of the first, and not on so many
	for starts+1 < fails {
		middle := (starts + fails) / 2
		b, err := a.start(tps[:middle])
		if err != nil {
			return nil, err
		}
		if b == nil {
			fails = middle
			continue
		}
		b.Kill()
		starts = middle
	}
	return tps[starts:fails], nil
}

// namedByError says whether an error in Apache's log names a partition's directory.
func namedByError(log, dir string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "ERROR") && strings.Contains(line, dir+"/") {
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
				waiting = waiting || p.code == protocol.ErrUnknownTopicOrPartition || p.code == protocol.ErrNotLeaderOrFollower || p.code == protocol.ErrLeaderNotAvailable
			}
		}
		if err == nil && !waiting || time.Now().After(deadline) {
			return v, err
		}
	}
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
