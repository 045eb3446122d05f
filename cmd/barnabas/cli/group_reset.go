package cli

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// resetPlan says where offsets are to go; one of its members is set.
type resetPlan struct {
	earliest, latest, current bool
	offset                    *int64
	shift                     *int64
	datetime                  time.Time
	file                      string
}

func groupResetCommand() *command {
	var o struct {
		topics                     []string
		allTopics, execute, dryRun bool
		earliest, latest, current  bool
		offset, shift              int64
		hasOffset, hasShift        bool
		datetime, duration, file   string
	}
	return &command{
		name: "reset-offsets", args: "GROUP", minArgs: 1, maxArgs: 1, summary: "Move the committed offsets of a group without members",
		detail:   "Without --execute it only shows what it would do. -o json of a dry run is a plan for --from-file.",
		complete: []string{"group"},
		flags: func(f *flagSet) {
			f.strings(&o.topics, "topic", 't', "TOPIC[:0,3]", "topic, or some of its partitions; may be repeated")
			f.completes("topic")
			f.bool(&o.allTopics, "all-topics", 0, "all topics that the group has committed offsets of")
			f.bool(&o.earliest, "to-earliest", 0, "to the first offset there is")
			f.bool(&o.latest, "to-latest", 0, "to the end")
			f.bool(&o.current, "to-current", 0, "to where it stands; for a plan, or to make an expiring offset new")
			f.add("to-offset", 0, "OFFSET", "to this offset", int64Flag(&o.offset, &o.hasOffset))
			f.add("shift-by", 0, "N", "N records forward, or back if negative", int64Flag(&o.shift, &o.hasShift))
			f.string(&o.datetime, "to-datetime", 0, "TIME", "to the first record at or after this time")
			f.string(&o.duration, "by-duration", 0, "DURATION", "to the first record at most so old: 90m, or PT1H30M")
			f.string(&o.file, "from-file", 0, "FILE", "to what the file says: lines of topic,partition,offset or a plan in JSON")
			f.bool(&o.execute, "execute", 'x', "do it")
			f.bool(&o.dryRun, "dry-run", 0, "only show it (the default)")
		},
		run: func(e *env, args []string) error {
			if bools(o.earliest, o.latest, o.current, o.hasOffset, o.hasShift, o.datetime != "", o.duration != "", o.file != "") != 1 {
				return badUsage("it needs one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration and --from-file")
			}
			if o.execute && o.dryRun {
				return badUsage("--execute and --dry-run exclude each other")
			}
			if o.file == "" && bools(len(o.topics) > 0, o.allTopics) != 1 {
				return badUsage("it needs either --topic or --all-topics")
			}
			plan := resetPlan{earliest: o.earliest, latest: o.latest, current: o.current, file: o.file}
			if o.hasOffset {
				plan.offset = &o.offset
			}
			if o.hasShift {
				plan.shift = &o.shift
			}
			var err error
			if o.datetime != "" {
				plan.datetime, err = moment(o.datetime, time.Now())
			} else if o.duration != "" {
				plan.datetime, err = durationAgo(o.duration, time.Now())
			}
			if err != nil {
				return badUsage("%v", err)
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				return e.resetOffsets(ctx, a, args[0], o.topics, plan, o.execute)
			})
		},
	}
}

func int64Flag(p *int64, was *bool) func(string) error {
	return func(s string) (err error) {
		*was = true
		if *p, err = strconv.ParseInt(s, 10, 64); err != nil {
			err = fmt.Errorf("%q is not a whole number", s)
		}
		return err
	}
}

func durationAgo(s string, now time.Time) (time.Time, error) {
	d, ok := isoDuration(s)
	if !ok {
		var err error
		if d, err = time.ParseDuration(s); err != nil {
			return time.Time{}, fmt.Errorf("%q is not a duration such as 90m or PT1H30M", s)
		}
	}
	return now.Add(-d), nil
}

// resetOffset is one partition's move.
type resetOffset struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // -1: none was committed
	Offset    int64  `json:"offset"`
	note      string
}

func (e *env) resetOffsets(ctx context.Context, a *admin, group string, topics []string, plan resetPlan, execute bool) error {
	described, err := a.DescribeGroups(ctx, group)
	if err != nil {
		return failed(err, "cannot describe group %s", group)
	}
	d := described[group]
	if d.Err != nil && !errors.Is(d.Err, kerr.GroupIDNotFound) {
		return failed(d.Err, "cannot describe group %s", group)
	}
	if len(d.Members) > 0 {
		return &failure{what: "cannot reset the offsets of group " + group, why: fmt.Sprintf("it has %s and is %s", count(len(d.Members), "member"), d.State),
			do: remedy(kerr.NonEmptyGroup)}
	}
	committed, err := a.FetchOffsets(ctx, group)
	if err != nil {
		return failed(err, "cannot read the offsets of group %s", group)
	}
	moves, err := e.planReset(ctx, a, committed, topics, plan)
	if err != nil {
		return err
	}
	if len(moves) == 0 {
		return &failure{what: "nothing to reset", why: "group " + group + " has committed no offsets", do: "--topic names topics that the group has not read yet."}
	}
	t := newTable("TOPIC", ">PARTITION", ">FROM", ">TO", "")
	for _, m := range moves {
		t.row(m.Topic, number(m.Partition), orDash(m.From), number(m.Offset), m.note)
	}
	if !execute {
		return e.show(moves, func(w io.Writer) error {
			if err := t.writeTo(w); err != nil {
				return err
			}
			_, err := fmt.Fprintln(e.stderr, "nothing was changed: --execute does it")
			return err
		})
	}
	if err := a.commitMoves(ctx, group, moves); err != nil {
		return err
	}
	return e.show(moves, t.writeTo)
}

// commitMoves commits the new offsets.
func (a *admin) commitMoves(ctx context.Context, group string, moves []resetOffset) error {
	if len(moves) == 0 {
		return nil
	}
	commit := kadm.Offsets{}
	for _, m := range moves {
		commit.AddOffset(m.Topic, m.Partition, m.Offset, -1)
	}
	resp, err := a.CommitOffsets(ctx, group, commit)
	if err != nil {
		return failed(err, "cannot commit offsets of group %s", group)
	}
	var errs []error
	for _, r := range resp.Sorted() {
		errs = append(errs, failed(r.Err, "cannot commit the offset of group %s in %s-%d", group, r.Topic, r.Partition))
	}
	return errors.Join(errs...)
}

// planReset decides the new offset of each partition, held between the ends of its log.
func (e *env) planReset(ctx context.Context, a *admin, committed kadm.OffsetResponses, topics []string, plan resetPlan) ([]resetOffset, error) {
	set := kadm.TopicsSet{}
	var fromFile map[string]map[int32]int64
	var err error
	switch {
	case plan.file != "":
		if fromFile, err = readPlan(plan.file, e.stdin); err != nil {
			return nil, err
		}
		for topic, partitions := range fromFile {
			for p := range partitions {
				set.Add(topic, p)
			}
		}
	case len(topics) > 0:
		if set, err = a.partitionsOf(ctx, topics); err != nil {
			return nil, err
		}
	default:
		committed.Each(func(o kadm.OffsetResponse) { set.Add(o.Topic, o.Partition) })
	}
	if len(set) == 0 {
		return nil, nil
	}
	names := set.Topics()
	start, err := a.ListStartOffsets(ctx, names...)
	if err != nil {
		return nil, failed(err, "cannot list offsets")
	}
	end, err := a.ListEndOffsets(ctx, names...)
	if err != nil {
		return nil, failed(err, "cannot list offsets")
	}
	var atTime kadm.ListedOffsets
	if !plan.datetime.IsZero() {
		if atTime, err = a.ListOffsetsAfterMilli(ctx, plan.datetime.UnixMilli(), names...); err != nil {
			return nil, failed(err, "cannot list offsets")
		}
	}
	moves := []resetOffset{}
	for _, topic := range set.Sorted() {
		for _, p := range topic.Partitions {
			first, ok1 := start.Lookup(topic.Topic, p)
			last, ok2 := end.Lookup(topic.Topic, p)
			if err := errors.Join(first.Err, last.Err); err != nil || !ok1 || !ok2 {
				if err == nil {
					err = kerr.UnknownTopicOrPartition
				}
				return nil, failed(err, "cannot list offsets of %s-%d", topic.Topic, p)
			}
			m := resetOffset{Topic: topic.Topic, Partition: p, From: -1}
			if c, ok := committed.Lookup(topic.Topic, p); ok && c.Err == nil {
				m.From = c.At
			}
			switch {
			case plan.earliest:
				m.Offset = first.Offset
			case plan.latest:
				m.Offset = last.Offset
			case plan.offset != nil:
				m.Offset = *plan.offset
			case plan.file != "":
				m.Offset = fromFile[topic.Topic][p]
			case !plan.datetime.IsZero():
				// Where no record is so new, this is the end.
				o, _ := atTime.Lookup(topic.Topic, p)
				m.Offset = o.Offset
			case m.From < 0 && plan.shift != nil:
				return nil, &failure{what: fmt.Sprintf("cannot shift the offset in %s-%d", topic.Topic, p), why: "none is committed"}
			case plan.shift != nil:
				m.Offset = m.From + *plan.shift
			case m.From < 0:
				m.Offset, m.note = last.Offset, "none was committed: the end"
			default:
				m.Offset = m.From
			}
			if m.Offset < first.Offset {
				m.Offset, m.note = first.Offset, "moved up to the first offset there is"
			} else if m.Offset > last.Offset {
				m.Offset, m.note = last.Offset, "moved down to the end"
			}
			moves = append(moves, m)
		}
	}
	return moves, nil
}

// readPlan reads lines of topic,partition,offset, Kafka's CSV, or what a dry run wrote as
// JSON. The file - is standard input.
func readPlan(name string, stdin io.Reader) (map[string]map[int32]int64, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, &failure{what: "cannot read the plan", why: err.Error()}
		}
		defer file.Close()
		in = file
	}
	content, err := io.ReadAll(in)
	if err != nil {
		return nil, &failure{what: "cannot read the plan", why: err.Error()}
	}
	plan := map[string]map[int32]int64{}
	put := func(topic string, partition int32, offset int64) {
		if plan[topic] == nil {
			plan[topic] = map[int32]int64{}
		}
		plan[topic][partition] = offset
	}
	if strings.HasPrefix(strings.TrimSpace(string(content)), "[") {
		var moves []resetOffset
		if err := decodeJSON(content, &moves); err != nil {
			return nil, &failure{what: "cannot read the plan " + name, why: err.Error()}
		}
		for _, m := range moves {
			put(m.Topic, m.Partition, m.Offset)
		}
		return plan, nil
	}
	lines := csv.NewReader(strings.NewReader(string(content)))
	lines.FieldsPerRecord = -1
	lines.TrimLeadingSpace = true
	for {
		fields, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return plan, nil
		}
		bad := func(why string) error {
			line, _ := lines.FieldPos(0)
			return &failure{what: fmt.Sprintf("cannot read line %d of %s", line, name), why: why}
		}
		if err != nil {
			return nil, &failure{what: "cannot read the plan " + name, why: err.Error()}
		}
		if slices.Equal(fields, []string{"topic", "partition", "offset"}) {
			continue
		}
		if len(fields) != 3 {
			return nil, bad("a line is topic,partition,offset")
		}
		partition, err1 := strconv.ParseInt(fields[1], 10, 32)
		offset, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err := errors.Join(err1, err2); err != nil || partition < 0 || offset < 0 {
			return nil, bad("partition and offset are whole numbers")
		}
		put(fields[0], int32(partition), offset)
	}
}
