package cli

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func topicOffsetsCommand() *command {
	var at, partitions string
	return &command{
		name: "offsets", args: "TOPIC...", minArgs: 1, maxArgs: -1, summary: "Show the first and last offsets of topics, or those at a time",
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.string(&at, "at", 0, "TIME", "earliest, latest, max-timestamp, or a time (2026-01-31T12:00:00Z, milliseconds, -1h)")
			f.completes("earliest|latest|max-timestamp")
			f.string(&partitions, "partitions", 'p', "0,3,5-7", "only these partitions")
		},
		run: func(e *env, names []string) error {
			only, err := partitionList(partitions)
			if err != nil {
				return err
			}
			wanted := func(p int32) bool { return len(only) == 0 || slices.Contains(only, p) }
			return e.asking(func(ctx context.Context, a *admin) error {
				m, err := a.topics(ctx, names...)
				if err != nil {
					return err
				}
				for _, name := range names {
					if err := hasPartitions(name, m.Topics[name].Partitions.Numbers(), only); err != nil {
						return err
					}
				}
				if at == "" {
					return e.offsetRanges(ctx, a, names, wanted)
				}
				return e.offsetsAt(ctx, a, names, at, wanted)
			})
		},
	}
}

func (e *env) offsetRanges(ctx context.Context, a *admin, names []string, wanted func(int32) bool) error {
	start, err := a.ListStartOffsets(ctx, names...)
	if err != nil {
		return failed(err, "cannot list offsets")
	}
	end, err := a.ListEndOffsets(ctx, names...)
	if err != nil {
		return failed(err, "cannot list offsets")
	}
	type row struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Start     int64  `json:"start"`
		End       int64  `json:"end"`
	}
	rows, errs := []row{}, []error{}
	t := newTable("TOPIC", ">PARTITION", ">START", ">END", ">OFFSETS")
	for _, first := range sortedOffsets(start) {
		last, _ := end.Lookup(first.Topic, first.Partition)
		if !wanted(first.Partition) {
			continue
		}
		if err := errors.Join(first.Err, last.Err); err != nil {
			errs = append(errs, failed(err, "cannot list offsets of %s-%d", first.Topic, first.Partition))
			continue
		}
		rows = append(rows, row{first.Topic, first.Partition, first.Offset, last.Offset})
		t.row(first.Topic, number(first.Partition), number(first.Offset), number(last.Offset), number(last.Offset-first.Offset))
	}
	return errors.Join(append(errs, e.show(rows, t.writeTo))...)
}

func (e *env) offsetsAt(ctx context.Context, a *admin, names []string, at string, wanted func(int32) bool) error {
	listed, err := a.offsetsAt(ctx, at, names)
	if err != nil {
		return err
	}
	type row struct {
		Topic       string `json:"topic"`
		Partition   int32  `json:"partition"`
		Offset      int64  `json:"offset"`
		Timestamp   int64  `json:"timestamp"`
		LeaderEpoch int32  `json:"leaderEpoch"`
	}
	rows, errs := []row{}, []error{}
	t := newTable("TOPIC", ">PARTITION", ">OFFSET", "TIMESTAMP")
	for _, o := range sortedOffsets(listed) {
		if !wanted(o.Partition) {
			continue
		}
		if o.Err != nil {
			errs = append(errs, failed(o.Err, "cannot list offsets of %s-%d", o.Topic, o.Partition))
			continue
		}
		rows = append(rows, row{o.Topic, o.Partition, o.Offset, o.Timestamp, o.LeaderEpoch})
		t.row(o.Topic, number(o.Partition), orDash(o.Offset), timestamp(o.Timestamp))
	}
	return errors.Join(append(errs, e.show(rows, t.writeTo))...)
}

// offsetsAt lists the offsets at a place that has a name, or at a time.
func (a *admin) offsetsAt(ctx context.Context, at string, names []string) (kadm.ListedOffsets, error) {
	var listed kadm.ListedOffsets
	var err error
	switch at {
	case "earliest", "start", "beginning":
		listed, err = a.ListStartOffsets(ctx, names...)
	case "latest", "end":
		listed, err = a.ListEndOffsets(ctx, names...)
	case "max-timestamp":
		listed, err = a.ListMaxTimestampOffsets(ctx, names...)
	default:
		when, bad := moment(at, time.Now())
		if bad != nil {
			return nil, badUsage("%v", bad)
		}
		listed, err = a.ListOffsetsAfterMilli(ctx, when.UnixMilli(), names...)
	}
	return listed, failed(err, "cannot list offsets")
}

func sortedOffsets(l kadm.ListedOffsets) []kadm.ListedOffset {
	var all []kadm.ListedOffset
	l.Each(func(o kadm.ListedOffset) { all = append(all, o) })
	slices.SortFunc(all, func(a, b kadm.ListedOffset) int { return comparePartitions(a.Topic, a.Partition, b.Topic, b.Partition) })
	return all
}

func topicDeleteRecordsCommand() *command {
	var o struct {
		offset     int64
		time       string
		partitions string
		all        bool
	}
	o.offset = -1
	return &command{
		name: "delete-records", args: "TOPIC", minArgs: 1, maxArgs: 1, summary: "Delete the oldest records of a topic",
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.int64(&o.offset, "before-offset", 0, "OFFSET", "delete what lies below this offset")
			f.string(&o.time, "before-time", 0, "TIME", "delete what is older than this (2026-01-31T12:00:00Z, milliseconds, -24h)")
			f.bool(&o.all, "all", 0, "delete every record there is now")
			f.string(&o.partitions, "partitions", 'p', "0,3,5-7", "only in these partitions; --before-offset needs it if there are several")
		},
		run: func(e *env, names []string) error {
			if n := bools(o.offset >= 0, o.time != "", o.all); n != 1 {
				return badUsage("it needs one of --before-offset, --before-time and --all")
			}
			only, err := partitionList(o.partitions)
			if err != nil {
				return err
			}
			return e.asking(func(ctx context.Context, a *admin) error {
				return e.deleteRecords(ctx, a, names[0], only, o.offset, o.time)
			})
		},
	}
}

func (e *env) deleteRecords(ctx context.Context, a *admin, topic string, only []int32, offset int64, at string) error {
	m, err := a.topics(ctx, topic)
	if err != nil {
		return err
	}
	partitions := m.Topics[topic].Partitions.Numbers()
	if err := hasPartitions(topic, partitions, only); err != nil {
		return err
	}
	if len(only) > 0 {
		partitions = only
	}
	slices.Sort(partitions)
	if offset >= 0 && len(only) == 0 && len(partitions) > 1 {
		return badUsage("topic %s has %d partitions: --partitions says in which offset %d is meant", topic, len(partitions), offset)
	}
	before := kadm.Offsets{}
	if offset >= 0 {
		for _, p := range partitions {
			before.AddOffset(topic, p, offset, -1)
		}
	} else {
		if at == "" {
			at = "latest"
		}
		listed, err := a.offsetsAt(ctx, at, []string{topic})
		if err != nil {
			return err
		}
		for _, p := range partitions {
			o, _ := listed.Lookup(topic, p)
			if o.Err != nil {
				return failed(o.Err, "cannot list offsets of %s-%d", topic, p)
			}
			before.AddOffset(topic, p, o.Offset, -1)
		}
	}
	resp, err := a.DeleteRecords(ctx, before)
	if err != nil {
		return failed(err, "cannot delete records of topic %s", topic)
	}
	type row struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Start     int64  `json:"start"`
	}
	rows, errs := []row{}, []error{}
	t := newTable("TOPIC", ">PARTITION", ">NEW START")
	for _, r := range resp.Sorted() {
		if r.Err != nil {
			errs = append(errs, failed(r.Err, "cannot delete records of %s-%d", r.Topic, r.Partition))
			continue
		}
		rows = append(rows, row{r.Topic, r.Partition, r.LowWatermark})
		t.row(r.Topic, number(r.Partition), number(r.LowWatermark))
	}
	if len(rows) > 0 {
		errs = append(errs, e.show(rows, t.writeTo))
	}
	return errors.Join(errs...)
}
