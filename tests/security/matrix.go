package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// clientNames are the columns, and whether they belong to the sample.
var clientNames = []struct {
	name  string
	short bool
}{
	{"kcat", true}, {"java-3.9.2", true}, {"java-4.3.1", false}, {"franz-go", true}, {"sarama", false}, {"kafkajs", false}, {"kafka-python-3.0", false},
	{"java-2.8.2", false}, {"java-0.10.2.2", false},
}

// matrix is one run and what came of it.
type matrix struct {
	world      *world
	short      bool
	wantRow    func(string) bool
	wantClient func(string) bool

	cells    map[string]map[string]string // by row and client
	columns  []string
	reasons  []string // why cells are empty
	problems []string
	wire     [][3]string // row and case, what came, whether that is right
	// By row and column: what came, in short. A dash has its reason below the table.
	refusalCells   map[string]map[string]string
	refusalReasons []string
	checks         []check // of the other parts
	passed         int
	failed         int
	empty          int
	refused        int // logins and requests that clients were refused in passing cells
}

func (m *matrix) selected(r *row) bool { return m.wantRow(r.name) && (r.short || !m.short) }

func (m *matrix) clients(table []*row) {
	m.cells = map[string]map[string]string{}
	all := peers.All()
	for _, c := range clientNames {
		if !m.wantClient(c.name) || m.short && !c.short {
			continue
		}
		i := slices.IndexFunc(all, func(p *peers.Peer) bool { return p.Name == c.name })
		if i < 0 {
			m.failed++
			m.problems = append(m.problems, c.name+": there is no such peer")
			continue
		}
		m.columns = append(m.columns, c.name)
		for _, r := range table {
			if m.selected(r) {
				m.cell(r, all[i])
			}
		}
	}
}

func (m *matrix) cell(r *row, p *peers.Peer) {
	if m.cells[r.name] == nil {
		m.cells[r.name] = map[string]string{}
	}
	start := time.Now()
	text, err := "ok", error(nil)
	reason := r.reason(p.Name)
	switch {
	case reason == "":
		if err = m.try(r, p); err == nil {
			err = m.tryBad(r, p)
		}
	case r.badWorks == p.Name:
		text = "–*"
		m.reasons = append(m.reasons, fmt.Sprintf("%s with %s: %s; that these are refused is checked", p.Name, r.name, reason))
		err = m.tryBad(r, p)
	default:
		text = "–"
		m.reasons = append(m.reasons, fmt.Sprintf("%s with %s: %s", p.Name, r.name, reason))
	}
	switch {
	case err != nil:
		text = "FAIL"
		m.failed++
		m.problems = append(m.problems, fmt.Sprintf("%s with %s: %v", p.Name, r.name, err))
	case text == "–":
		m.empty++
	default:
		m.passed++
	}
	m.cells[r.name][p.Name] = text
	fmt.Fprintf(os.Stderr, "%-28s %-18s %-5s %5.1f s", r.name, p.Name, text, time.Since(start).Seconds())
	if err != nil {
		fmt.Fprintf(os.Stderr, " %v", err)
	}
	fmt.Fprintln(os.Stderr)
}

const recordCount = 20

func cellRecords(name string) []peers.Record {
	var all []peers.Record
	for i := range recordCount {
		all = append(all, peers.Record{Partition: int32(i % 2), Timestamp: -1, Key: fmt.Appendf(nil, "key-%d", i),
			Value: fmt.Appendf(nil, "%s %d %s", name, i, strings.Repeat("x", i*100))})
	}
	return all
}

// denied is how clients say that an ACL is wanting.
var denied = regexp.MustCompile(`(?i)authoriz|not authorised`)

// These make a client give up a produce that is refused, or that it cannot log in for.
const (
	quick   = "give.up.ms=4000"
	quicker = "give.up.ms=2000"
	patient = "give.up.ms=20000"
)

// try lets a client do its work and be refused what is not its own.
func (m *matrix) try(r *row, p *peers.Peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := m.world
	place := strings.NewReplacer(" ", "-", ",", "").Replace(r.name) + "-" + p.Name
	topic := r.who.name + "-" + place
	if err := w.createTopic(ctx, topic); err != nil {
		return err
	}
	as, err := r.good(w, p.Name)
	if err != nil {
		return err
	}
	c, err := p.OpenAs(w.cache, w.addr[r.listener], filepath.Join(w.dir, place+".log"), as)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer c.Close()
	want := cellRecords(place)
	if err := c.Produce(topic, "none", want); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	got, err := c.Consume(r.who.name+"-group-"+place, []string{topic}, len(want), 40*time.Second)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	if err := sameRecords(want, got); err != nil {
		return err
	}
	if err := c.Produce("somebody-else-topic", "none", want[:1], quick); err == nil || !denied.MatchString(err.Error()) {
		return fmt.Errorf("produced to another's topic: got %v, want an authorization error", err)
	}
	refusals := w.counter(refusedRequests)
	for _, patience := range []time.Duration{3 * time.Second, 20 * time.Second} {
		if got, err := c.Consume("somebody-else-group", []string{topic}, 1, patience); err == nil || len(got) > 0 {
			return fmt.Errorf("consumed in another's group: got %d records, %v", len(got), err)
		}
		if err = w.grown(refusedRequests, refusals); err == nil {
			break
		}
		if patience > 3*time.Second {
			return fmt.Errorf("did not consume in another's group, but %w", err)
		}
	}
	m.refused += 2
	return nil
}

// tryBad shows what must not get in.
func (m *matrix) tryBad(r *row, p *peers.Peer) error {
	w := m.world
	as, err := r.bad(w, p.Name)
	if err != nil {
		return err
	}
	place := strings.NewReplacer(" ", "-", ",", "").Replace(r.name) + "-" + p.Name + "-bad"
	refusals := w.counter(refusedLogins)
	c, err := p.OpenAs(w.cache, w.addr[r.listener], filepath.Join(w.dir, place+".log"), as)
	if err != nil {
		return fmt.Errorf("%s: it could not even start: %w", r.badIs, err)
	}
	defer c.Close()
	before, err := w.endOffsets(r.who.name + "-")
	if err != nil {
		return err
	}
	topic := r.who.name + "-" + strings.TrimSuffix(place, "-bad")
	if err := w.createTopic(context.Background(), topic); err != nil {
		return err
	}
	for _, patience := range []string{quicker, patient} {
		if err := c.Produce(topic, "none", cellRecords(place)[:1], patience); err == nil {
			return fmt.Errorf("%s: got in", r.badIs)
		}
		// On a machine that is busy the client may have given up too early.
		if err = w.grown(refusedLogins, refusals); err == nil {
			break
		}
		if patience == patient {
			return fmt.Errorf("%s: did not get in, but %w", r.badIs, err)
		}
	}
	after, err := w.endOffsets(r.who.name + "-")
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%s: refused, but %d records more are there", r.badIs, after-before)
	}
	m.refused++
	return nil
}

// sameRecords compares what came back, in the order of each partition.
func sameRecords(want, got []peers.Record) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d records came back, not %d", len(got), len(want))
	}
	for partition := range int32(2) {
		only := func(all []peers.Record) (some []peers.Record) {
			for _, r := range all {
				if r.Partition == partition {
					some = append(some, r)
				}
			}
			return some
		}
		w, g := only(want), only(got)
		if len(w) != len(g) {
			return fmt.Errorf("partition %d: %d records came back, not %d", partition, len(g), len(w))
		}
		for i := range w {
			if !bytes.Equal(w[i].Key, g[i].Key) || !bytes.Equal(w[i].Value, g[i].Value) {
				return fmt.Errorf("partition %d: record %d is %q: %q, not %q: %q", partition, i, g[i].Key, g[i].Value, w[i].Key, w[i].Value)
			}
		}
	}
	return nil
}

// refusals tries on the wire what must not get in, on every listener of its rows, and what
// principals may not do.
func (m *matrix) refusals(table []*row, cases []refusalCase) {
	works := foreignWorks()
	for _, r := range table {
		if !m.wantRow(r.name) { // all of them also in the sample: they take no time
			continue
		}
		for _, c := range cases {
			if !c.of(r) {
				continue
			}
			got := outcome(c.run(m.world, r))
			ok := c.fits(m.world.kind, got)
			m.judge(r.name+": "+c.name, got, ok, c.want)
			m.refusal(r, c.column, got, ok)
		}
		m.nothingMissing(r)
		err := m.world.foreign(context.Background(), r, works)
		got := fmt.Sprintf("%d requests refused with 29, 30, 31, 53", len(works))
		if err != nil {
			got = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		m.judge(r.name+": another's topics, groups, cluster", got, err == nil, "")
	}
}

// refusal notes what came for the table of refusals: the first of a column stands there, and
// whatever went wrong.
func (m *matrix) refusal(r *row, column, got string, ok bool) {
	if column == "" {
		return
	}
	if m.refusalCells == nil {
		m.refusalCells = map[string]map[string]string{}
	}
	if m.refusalCells[r.name] == nil {
		m.refusalCells[r.name] = map[string]string{}
	}
	code, _, _ := strings.Cut(got, " ")
	text := code
	switch {
	case strings.HasPrefix(got, "TLS alert"):
		text = "TLS alert"
	case got == "closed":
		text = got
	}
	if !ok {
		text = "FAIL"
	}
	if m.refusalCells[r.name][column] == "" || !ok {
		m.refusalCells[r.name][column] = text
	}
}

// nothingMissing fails a row without something in each column, unless there is a reason.
func (m *matrix) nothingMissing(r *row) {
	for _, column := range refusalColumns {
		if m.refusalCells[r.name][column] != "" {
			continue
		}
		why := ""
		if column == "wrong certificate" && r.listener == listenerClear {
			why = "no certificates without TLS"
		}
		for prefix, reason := range nothingToRefuse[column] {
			if strings.HasPrefix(r.name, prefix) {
				why = reason
			}
		}
		if why == "" {
			m.judge(r.name+": "+column, "not tested", false, "")
			continue
		}
		m.refusal(r, column, "–", true)
		reason := fmt.Sprintf("%s: %s", column, why)
		if !slices.Contains(m.refusalReasons, reason) {
			m.refusalReasons = append(m.refusalReasons, reason)
		}
	}
}

func (m *matrix) judge(name, got string, ok bool, want string) {
	mark := "ok"
	if ok {
		m.passed++
	} else {
		mark = "FAIL"
		m.failed++
		if want != "" {
			got += "; want " + want
		}
	}
	m.wire = append(m.wire, [3]string{name, got, mark})
}

func (m *matrix) print(out io.Writer) {
	if len(m.columns) > 0 {
		fmt.Fprintf(out, "\n%-28s", "")
		for _, c := range m.columns {
			fmt.Fprintf(out, " %16s", c)
		}
		fmt.Fprintln(out)
		table, _ := rows()
		for _, r := range table {
			if m.cells[r.name] == nil {
				continue
			}
			fmt.Fprintf(out, "%-28s", r.name)
			for _, c := range m.columns {
				fmt.Fprintf(out, " %16s", m.cells[r.name][c])
			}
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "\nEach ok is a client that wrote and read in a group, and was refused another's topic, another's group, and the wrong credentials of its row.\n")
	}
	for _, r := range m.reasons {
		fmt.Fprintln(out, "  –", r)
	}
	m.printRefusals(out)
	fmt.Fprintln(out)
	for _, line := range m.wire {
		fmt.Fprintf(out, "%-4s %-74s %s\n", line[2], line[0], line[1])
	}
	for _, part := range slices.Compact(partsOf(m.checks)) {
		fmt.Fprintf(out, "\n%s:\n", part)
		for _, c := range m.checks {
			if c.part != part {
				continue
			}
			mark, why := "ok", ""
			if c.err != nil {
				mark, why = "FAIL", fmt.Sprintf(": %v", c.err)
			}
			fmt.Fprintf(out, "%-4s %s%s\n", mark, c.name, why)
		}
	}
	fmt.Fprintln(out)
	for _, p := range m.problems {
		fmt.Fprintln(out, "FAIL", p)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d cells that the client cannot do\n", m.passed, m.failed, m.empty)
}

// printRefusals prints what each row refuses, with the error code that the client gets.
func (m *matrix) printRefusals(out io.Writer) {
	if len(m.refusalCells) == 0 {
		return
	}
	fmt.Fprintf(out, "\nRefused, with error code (58 is SASL_AUTHENTICATION_FAILED) or otherwise:\n%-28s", "")
	for _, c := range refusalColumns {
		fmt.Fprintf(out, " %18s", c)
	}
	fmt.Fprintln(out)
	table, _ := rows()
	for _, r := range table {
		if m.refusalCells[r.name] == nil {
			continue
		}
		fmt.Fprintf(out, "%-28s", r.name)
		for _, c := range refusalColumns {
			fmt.Fprintf(out, " %18s", m.refusalCells[r.name][c])
		}
		fmt.Fprintln(out)
	}
	for _, r := range m.refusalReasons {
		fmt.Fprintln(out, "  –", r)
	}
}

// check is one thing of a part that is no table.
type check struct {
	part, name string
	err        error
}

func partsOf(checks []check) (parts []string) {
	for _, c := range checks {
		parts = append(parts, c.part)
	}
	return parts
}

// check notes what came of one thing.
func (m *matrix) check(part, name string, err error) {
	m.checks = append(m.checks, check{part, name, err})
	mark := "ok"
	if err != nil {
		m.failed++
		mark = fmt.Sprint("FAIL ", err)
	} else {
		m.passed++
	}
	fmt.Fprintf(os.Stderr, "%s: %s %s\n", part, name, mark)
}
