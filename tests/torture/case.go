package main

import (
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// How cases end.
const (
	outIdentical  = "identical"
	outTailCut    = "tail cut"
	outUnreadable = "refused to readers"
	outHole       = "hole"
	outAside      = "set aside"
	outOffline    = "offline"
	outRefused    = "start refused"
	outChanged    = "explained"
	outFailed     = "FAILED"
)

// runCase damages one copy and looks what becomes of it.
func (r *runner) runCase(i int) {
	p := r.pairs[i%len(r.pairs)]
	random := rand.New(rand.NewSource(r.seed*1_000_003 + int64(i)))
	dir := filepath.Join(r.dir, fmt.Sprintf("case-%d", i))
	var d *damage
	var s *scene
	var mode string
	for range 20 {
		s = r.scenes[random.Intn(len(r.scenes))]
		mode = s.name
		os.RemoveAll(dir)
		err := copyTree(s.dir, dir)
		if err == nil && random.Intn(3) == 0 && p.file != ".barnabas-manifest" && p.file != ".barnabas-progress" {
			mode += ", without our own files"
			for _, d := range []string{"a", "b"} {
				os.Remove(filepath.Join(dir, d, ".barnabas-manifest"))
				os.Remove(filepath.Join(dir, d, ".barnabas-progress"))
			}
		}
		if err == nil {
			d, err = inflict(s, dir, p, random)
		}
		if errors.Is(err, errNotHere) {
			continue
		}
		if err != nil {
			r.note(i, p, mode, d, outFailed, fmt.Errorf("damage: %w", err))
			return
		}
		break
	}
	if d == nil || d.path == "" {
		return
	}
	c := &caseRun{runner: r, scene: s, dir: dir, damage: d}
	outcome, err := c.run()
	if err != nil {
		outcome = outFailed
	}
	r.note(i, p, mode, d, outcome, err)
	if err == nil && !r.keep {
		os.RemoveAll(dir)
	}
}

func (r *runner) note(i int, p pair, mode string, d *damage, outcome string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.table.add(p, outcome)
	if err != nil {
		r.failed++
		fmt.Printf("FAIL case %d: %s, %s (%s; %s; %s): %v\n", i, p.file, p.damage, mode, d.path, d.note, err)
	} else if r.keep {
		fmt.Printf("ok   case %d: %s, %s (%s; %s; %s): %s\n", i, p.file, p.damage, mode, d.path, d.note, outcome)
	}
}

type caseRun struct {
	*runner
	scene  *scene
	dir    string
	damage *damage
	worst  string
}

var panicked = regexp.MustCompile(`(?m)^panic:|^goroutine \d+ \[|^fatal error:|DATA RACE|runtime error`)

func (c *caseRun) run() (outcome string, err error) {
	b, err := startBroker(c.cache, c.dir)
	log := c.brokerLog()
	if panicked.MatchString(log) {
		return "", errors.New("the broker panicked")
	}
	if err != nil {
		return c.refused(b, err, log)
	}
	defer func() { b.Close() }()
	first, err := readView(b.Addr, c.scene.partitions())
	if err != nil {
		return "", err
	}
	if err := c.judge(first); err != nil {
		return "", err
	}
	expected, err := c.appendSome(b.Addr, first)
	if err != nil || expected == nil {
		return c.worst, err
	}
	if err := b.Stop(patience); err != nil {
		return "", err
	}
	if err := b.Start(); err != nil {
		return "", fmt.Errorf("the second start: %w", err)
	}
	second, err := readView(b.Addr, c.scene.partitions())
	if err != nil {
		return "", err
	}
	if panicked.MatchString(c.brokerLog()) {
		return "", errors.New("the broker panicked")
	}
	err = c.sameViews(expected, second)
	return c.worst, err
}

func (c *caseRun) brokerLog() string {
	b, _ := os.ReadFile(filepath.Join(c.dir, "broker.log"))
	return string(b)
}

// refused looks at a start that failed.
func (c *caseRun) refused(b *peers.Broker, startErr error, log string) (string, error) {
	if b == nil || b.Process == nil {
		return "", startErr
	}
	var exit *exec.ExitError
	if !errors.As(b.Err(), &exit) || exit.ExitCode() != 1 {
		return "", fmt.Errorf("the start failed, but not with exit code 1: %w", startErr)
	}
	if !c.damage.refusal {
		return "", fmt.Errorf("the start was refused: %s", lastLine(log))
	}
	if !c.named(lastLine(log)) {
		return "", fmt.Errorf("the start was refused without the file's name: %s", lastLine(log))
	}
	return outRefused, nil
}

func lastLine(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	return lines[len(lines)-1]
}

// named says whether a text names the damaged file, or the directory it is in.
func (c *caseRun) named(text string) bool {
	for path := c.damage.path; path != "." && path != "a" && path != "b"; path = filepath.Dir(path) {
		if strings.Contains(text, filepath.Join(c.dir, path)) {
			return true
		}
	}
	return strings.Contains(text, filepath.Join(c.dir, c.damage.path)) || c.damage.dirNamed(text, c.dir)
}

func (d *damage) dirNamed(text, dir string) bool {
	base := filepath.Base(d.path)
	if base == "meta.properties" && strings.Contains(text, base) {
		return true // two that disagree: nobody knows which is right
	}
	return (base == "meta.properties" || base == ".lock") && strings.Contains(text, filepath.Join(dir, filepath.Dir(d.path)))
}

var order = []string{outIdentical, outChanged, outTailCut, outUnreadable, outHole, outAside, outOffline}

func (c *caseRun) outcome(o string) {
	if c.worst == "" || slices.Index(order, o) > slices.Index(order, c.worst) {
		c.worst = o
	}
}

// judge holds what is served against what was.
func (c *caseRun) judge(v *view) error {
	c.outcome(outIdentical)
	for _, tp := range c.scene.partitions() {
		before, now, t := c.scene.before.partitions[tp], v.partitions[tp], c.scene.truth[tp]
		from, mayChange := c.damage.from[tp]
		switch {
		case mayChange:
			if err := c.judgeDamaged(tp, before, now, t, from); err != nil {
				return fmt.Errorf("%v: %w", tp, err)
			}
		case c.damage.offline != "" && t.dir[:1] == c.damage.offline && now.code == protocol.ErrKafkaStorageError:
			if !c.loggedFor(filepath.Join(c.dir, c.damage.offline)) {
				return fmt.Errorf("%v is offline, and no line in the log says that %s is", tp, c.damage.offline)
			}
			c.outcome(outOffline)
		case c.damage.startsMay && t.dir[:1] == c.damage.dirMay && now.code == 0 && now.start != before.start:
			if err := c.judgeStart(now, t); err != nil {
				return fmt.Errorf("%v: %w", tp, err)
			}
			c.outcome(outChanged)
		default:
			if err := samePartition(before, now); err != nil {
				return fmt.Errorf("%v, which was not damaged: %w", tp, err)
			}
		}
	}
	for _, group := range groups {
		if v.commits[group] != c.scene.before.commits[group] && !c.offsetsMay() {
			return fmt.Errorf("offsets of %s: %s, were %s", group, v.commits[group], c.scene.before.commits[group])
		}
	}
	return nil
}

// offsetsMay says whether committed offsets may have been hit.
func (c *caseRun) offsetsMay() bool {
	for tp := range c.damage.from {
		if tp.Topic == "__consumer_offsets" {
			return true
		}
	}
	return c.damage.offline != "" || c.damage.startsMay
}

// judgeStart allows a log start offset that has moved, with the records that belong there.
func (c *caseRun) judgeStart(now *served, t *truth) error {
	for offset, text := range now.records {
		if t.records[offset] != text {
			return fmt.Errorf("offset %d is served as %.200q, was %.200q", offset, text, t.records[offset])
		}
	}
	for offset := range t.records {
		if _, ok := now.records[offset]; !ok && offset >= now.start && offset < now.end {
			return fmt.Errorf("offset %d is not served", offset)
		}
	}
	return nil
}

func (c *caseRun) judgeDamaged(tp protocol.TopicPartition, before, now *served, t *truth, from int64) error {
	if now.code != 0 {
		if now.code != protocol.ErrKafkaStorageError && now.code != protocol.ErrNotLeaderOrFollower && now.code != protocol.ErrLeaderNotAvailable {
			return fmt.Errorf("offline with %v", now.code)
		}
		if !c.loggedFor(tp.String()) {
			return errors.New("offline, and no line in the log names it")
		}
		c.outcome(outOffline)
		return nil
	}
	if c.damage.file == "partition.metadata" && now.end == 0 && before.end > 0 && strings.Contains(c.brokerLog(), "is set aside topic="+tp.Topic) {
		c.outcome(outAside) // a log of another topic id
		return nil
	}
	stopped := never // where a consumer comes no further
	for _, p := range now.problems {
		stopped = min(stopped, p.offset)
	}
	if stopped < from {
		return fmt.Errorf("offset %d cannot be read: %s; the damage begins at %d", stopped, now.problems[0].what, from)
	}
	for offset, text := range now.records {
		if was := t.records[offset]; was != text {
			if c.damage.foreign || c.damage.swapped && known(t, text) {
				c.outcome(outChanged)
				continue
			}
			return fmt.Errorf("offset %d is served as %.200q, was %.200q", offset, text, was)
		}
	}
	for offset, first := range now.probes {
		was, ok := t.records[offset]
		if ok && first > offset && now.records[offset] == was && offset >= now.start {
			return fmt.Errorf("a fetch at offset %d begins with offset %d: it is passed over", offset, first)
		}
	}
	lost, lastServed := never, int64(-1)
	for offset := range t.records {
		_, ok := now.records[offset]
		switch {
		case offset < before.start || offset >= before.end:
		case ok:
			lastServed = max(lastServed, offset)
		case offset < from:
			return fmt.Errorf("offset %d is lost (the log is from %d to %d now); the damage begins at %d", offset, now.start, now.end, from)
		default:
			lost = min(lost, offset)
		}
	}
	switch {
	case stopped != never:
		c.outcome(outUnreadable)
	case lost < lastServed:
		c.outcome(outHole)
	case lost != never && (c.damage.swapped || c.damage.foreign):
		c.outcome(outChanged)
	case lost != never:
		c.outcome(outTailCut)
		// After a kill nothing may know that there was a file.
		if !c.loggedFor(tp.String()) && (c.damage.damage != "missing" || c.scene.clean) {
			return errors.New("its tail was cut, and no line in the log names it")
		}
	case now.start != before.start || now.end != before.end:
		c.outcome(outChanged)
	}
	return nil
}

// known says whether some record of the partition reads so.
func known(t *truth, text string) bool {
	for _, was := range t.records {
		if was == text {
			return true
		}
	}
	return false
}

// loggedFor says whether a warning or error names a partition or directory.
func (c *caseRun) loggedFor(name string) bool {
	asFields := name
	if tp, ok := parsePartition(name); ok {
		asFields = fmt.Sprintf("topic=%s partition=%d", tp.Topic, tp.Partition)
	}
	for line := range strings.Lines(c.brokerLog()) {
		if (strings.Contains(line, "WARN") || strings.Contains(line, "ERROR")) && (strings.Contains(line, name) || strings.Contains(line, asFields)) {
			return true
		}
	}
	return false
}

// appendSome appends a record to each damaged partition and to one that is not, and
// returns what must be served from now on; nothing if the directory has gone offline.
func (c *caseRun) appendSome(addr string, v *view) (*view, error) {
	client, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	healthy := true
	for _, tp := range c.scene.partitions() {
		p := v.partitions[tp]
		_, damaged := c.damage.from[tp]
		if p.code != 0 || tp.Topic == "__consumer_offsets" || !damaged && !healthy {
			continue
		}
		if !damaged {
			healthy = false
		}
		offset, code, err := client.produceOne(tp)
		if err != nil {
			return nil, err
		}
		if c.mayBeOffline(code) {
			c.outcome(outOffline)
			return nil, nil
		}
		if code != 0 {
			return nil, fmt.Errorf("append to %v: %v", tp, code)
		}
		if offset != p.end {
			return nil, fmt.Errorf("a record appended to %v got offset %d; the log ended at %d", tp, offset, p.end)
		}
		*p = served{}
		p.records = map[int64]string{}
		if err := client.readPartition(tp, p); err != nil {
			return nil, err
		}
		if c.mayBeOffline(p.code) {
			c.outcome(outOffline)
			return nil, nil
		}
		if _, ok := p.records[offset]; !ok && len(p.problems) == 0 && !(damaged && (c.damage.swapped || c.damage.foreign)) {
			return nil, fmt.Errorf("a record appended to %v at offset %d is not served", tp, offset)
		}
	}
	return v, nil
}

// mayBeOffline says whether an error is that of a data directory that may be offline, and
// the log says that it is.
func (c *caseRun) mayBeOffline(code protocol.ErrorCode) bool {
	return code == protocol.ErrKafkaStorageError && c.damage.offline != "" && c.loggedFor(filepath.Join(c.dir, c.damage.offline))
}

// sameViews holds what is served after the second start against what was served before. A
// directory that nothing can be written to may have gone offline in between.
func (c *caseRun) sameViews(want, got *view) error {
	for tp, p := range want.partitions {
		now := got.partitions[tp]
		if c.scene.truth[tp].dir[:1] == c.damage.offline && c.mayBeOffline(now.code) {
			c.outcome(outOffline)
			continue
		}
		if err := samePartition(p, now); err != nil {
			return fmt.Errorf("%v after the second start: %w", tp, err)
		}
	}
	for group, offsets := range want.commits {
		if got.commits[group] != offsets && !c.offsetsMay() {
			return fmt.Errorf("offsets of %s after the second start: %s, were %s", group, got.commits[group], offsets)
		}
	}
	return nil
}

func samePartition(want, got *served) error {
	switch {
	case want.code != got.code:
		return fmt.Errorf("%v, was %v", got.code, want.code)
	case want.start != got.start || want.end != got.end:
		return fmt.Errorf("from %d to %d, was from %d to %d", got.start, got.end, want.start, want.end)
	case len(want.problems) != len(got.problems):
		return fmt.Errorf("problems %v, were %v", got.problems, want.problems)
	case len(want.records) != len(got.records):
		return fmt.Errorf("%d records, were %d", len(got.records), len(want.records))
	}
	for offset, text := range want.records {
		if got.records[offset] != text {
			return fmt.Errorf("offset %d is served as %.200q, was %.200q", offset, got.records[offset], text)
		}
	}
	return nil
}
