package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumeOptions are what a consumer is told; the flags of consume fill them.
type consumeOptions struct {
	topics        []string
	partitions    []int32
	group         string
	fromBeginning bool
	offset        int64 // negative: so many from the end
	hasOffset     bool
	since         string
	tail          int64 // -1: off
	max           int64 // -1: no limit
	exit          bool  // at the end
	wait          time.Duration
	readCommitted bool
}

// endedWait is how long nothing must have come for a reader to be at the end, where its
// position does not tell: the last offsets may hold nothing that is shown.
const endedWait = time.Second

func consumeCommand() *command {
	o := consumeOptions{tail: -1, max: -1}
	var partitions, format string
	var keys bool
	return &command{
		name: "consume", args: "TOPIC...", minArgs: 1, maxArgs: -1, summary: "print records, from the end on or from where the flags say",
		detail: `
Each record's value goes on a line of its own. -o json writes one JSON object a line, --format what it
says: %t topic, %p partition, %o offset, %d{strftime[%F %T]} or %d timestamp, %k key, %v value,
%h{%k=%v } headers, \n and \t.

It ends with exit code 3 if --wait ran out before --max records had come.`,
		complete: []string{"topic"},
		flags: func(f *flagSet) {
			f.bool(&o.fromBeginning, "from-beginning", 0, "from the first record there is")
			f.add("offset", 0, "N", "from this offset; -N is N before the end", int64Flag(&o.offset, &o.hasOffset))
			f.string(&o.since, "since", 0, "TIME", "from the first record at or after this time (2026-01-31T12:00:00Z, milliseconds, -1h)")
			f.int64(&o.tail, "tail", 0, "N", "from N records before the end, in each partition")
			f.string(&partitions, "partitions", 'p', "0,3,5-7", "only these partitions")
			f.string(&o.group, "group", 'g', "GROUP", "as a member of a consumer group, with committed offsets")
			f.completes("group")
			f.int64(&o.max, "max", 'n', "N", "stop after N records")
			f.bool(&o.exit, "exit", 'e', "stop at the end, as it was when the reading began")
			f.duration(&o.wait, "wait", 'w', "DURATION", "stop when nothing has come for so long")
			f.string(&format, "format", 'f', "FORMAT", "how a record is written")
			f.bool(&keys, "keys", 'k', "write key, tab, value")
			f.bool(&o.readCommitted, "read-committed", 0, "leave out records of open and aborted transactions")
		},
		run: func(e *env, args []string) error {
			o.topics = args
			var err error
			if o.partitions, err = partitionList(partitions); err != nil {
				return err
			}
			if bools(o.fromBeginning, o.hasOffset, o.since != "", o.tail >= 0) > 1 {
				return badUsage("--from-beginning, --offset, --since and --tail exclude each other")
			}
			if o.group != "" && (len(o.partitions) > 0 || o.hasOffset || o.since != "" || o.tail >= 0) {
				return badUsage("a group has its own partitions and offsets: of the places to start only --from-beginning goes with --group, for a group that is new")
			}
			if keys {
				if format != "" || e.output == "json" {
					return badUsage("--keys goes neither with --format nor with -o json")
				}
				format = `%k\t%v\n`
			}
			write, err := e.recordWriter(format)
			if err != nil {
				return err
			}
			_, err = e.consume(o, write)
			return err
		},
	}
}

// recordWriter returns what appends one record, as it is to be shown, to a buffer.
func (e *env) recordWriter(format string) (func([]byte, *kgo.Record) ([]byte, error), error) {
	switch {
	case e.output == "json" && format != "":
		return nil, badUsage("--format and -o json exclude each other")
	case e.output == "json":
		return func(b []byte, r *kgo.Record) ([]byte, error) {
			line, err := json.Marshal(newRecordJSON(r))
			return append(append(b, line...), '\n'), err
		}, nil
	case format == "":
		return func(b []byte, r *kgo.Record) ([]byte, error) { return append(append(b, r.Value...), '\n'), nil }, nil
	}
	f, err := kgo.NewRecordFormatter(format)
	if err != nil {
		return nil, badUsage("--format: %v", err)
	}
	return func(b []byte, r *kgo.Record) ([]byte, error) { return f.AppendRecord(b, r), nil }, nil
}

// partitionKey names a partition in maps.
type partitionKey struct {
	topic     string
	partition int32
}

// consumer is one run of consume.
type consumer struct {
	e     *env
	o     *consumeOptions
	cl    *kgo.Client
	write func([]byte, *kgo.Record) ([]byte, error)
	out   *bufio.Writer

	// ends is what is left to read of each partition, with --exit outside a group.
	ends     map[partitionKey]int64
	assigned atomic.Bool // the group has given us partitions
	read     int64
}

// consume prints records until it is to stop, and returns how many.
func (e *env) consume(o consumeOptions, write func([]byte, *kgo.Record) ([]byte, error)) (int64, error) {
	c := &consumer{e: e, o: &o, write: write, out: bufio.NewWriterSize(e.stdout, 64<<10)}
	opts := []kgo.Opt{kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.KeepControlRecords()}
	if o.readCommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if o.exit || o.wait > 0 {
		opts = append(opts, kgo.FetchMaxWait(min(500*time.Millisecond, max(o.wait, 100*time.Millisecond))))
	}
	if o.group != "" {
		reset := kgo.NewOffset().AtEnd()
		if o.fromBeginning {
			reset = kgo.NewOffset().AtStart()
		}
		opts = append(opts, kgo.ConsumerGroup(o.group), kgo.ConsumeTopics(o.topics...), kgo.ConsumeResetOffset(reset), kgo.AutoCommitMarks(),
			kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { c.assigned.Store(true) }))
	}
	var err error
	if c.cl, err = e.connect(opts...); err != nil {
		return 0, err
	}
	defer c.cl.Close()
	if err := c.begin(); err != nil {
		return 0, err
	}
	err = c.poll()
	if err == nil && o.group != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), e.timeout)
		defer cancel()
		err = failed(c.cl.CommitMarkedOffsets(ctx), "cannot commit offsets of group %s", o.group)
	}
	return c.read, errors.Join(err, c.out.Flush())
}

// begin looks up where to start and where the end is. A group starts by itself.
func (c *consumer) begin() error {
	ctx, cancel := context.WithTimeout(c.e.ctx, c.e.timeout)
	defer cancel()
	a := &admin{Client: kadm.NewClient(c.cl), raw: c.cl}
	m, err := a.topics(ctx, c.o.topics...)
	if err != nil || c.o.group != "" {
		return err
	}
	from, err := c.startOffsets(ctx, a)
	if err != nil {
		return err
	}
	list := a.ListEndOffsets
	if c.o.readCommitted {
		list = a.ListCommittedOffsets
	}
	var end kadm.ListedOffsets
	if c.o.exit {
		if end, err = list(ctx, c.o.topics...); err != nil {
			return failed(err, "cannot list offsets")
		}
		c.ends = map[partitionKey]int64{}
	}
	starts := map[string]map[int32]kgo.Offset{}
	for _, topic := range c.o.topics {
		there := m.Topics[topic].Partitions.Numbers()
		if err := hasPartitions(topic, there, c.o.partitions); err != nil {
			return err
		}
		starts[topic] = map[int32]kgo.Offset{}
		for _, p := range there {
			if len(c.o.partitions) > 0 && !slices.Contains(c.o.partitions, p) {
				continue
			}
			o, ok := from.Lookup(topic, p)
			if !ok || o.Err != nil {
				return failed(errors.Join(o.Err, orUnknown(ok)), "cannot list offsets of %s-%d", topic, p)
			}
			starts[topic][p] = kgo.NewOffset().At(o.Offset)
			if e, ok := end.Lookup(topic, p); ok && e.Err == nil && o.Offset < e.Offset {
				c.ends[partitionKey{topic, p}] = e.Offset
			}
		}
	}
	c.cl.AddConsumePartitions(starts)
	return nil
}

func orUnknown(ok bool) error {
	if ok {
		return nil
	}
	return kerr.UnknownTopicOrPartition
}

// startOffsets resolves the place to start to one offset per partition.
func (c *consumer) startOffsets(ctx context.Context, a *admin) (kadm.ListedOffsets, error) {
	o := c.o
	switch {
	case o.fromBeginning:
		return a.offsetsAt(ctx, "earliest", o.topics)
	case o.since != "":
		// Where no record is so new, this is the end.
		return a.offsetsAt(ctx, o.since, o.topics)
	case o.hasOffset && o.offset >= 0:
		from, err := a.offsetsAt(ctx, "earliest", o.topics)
		return mapOffsets(from, func(kadm.ListedOffset) int64 { return o.offset }), err
	}
	back := max(o.tail, 0)
	if o.hasOffset {
		back = -o.offset
	}
	end, err := a.offsetsAt(ctx, "latest", o.topics)
	if err != nil || back == 0 {
		return end, err
	}
	start, err := a.offsetsAt(ctx, "earliest", o.topics)
	return mapOffsets(end, func(l kadm.ListedOffset) int64 {
		s, _ := start.Lookup(l.Topic, l.Partition)
		return max(l.Offset-back, s.Offset)
	}), err
}

func mapOffsets(listed kadm.ListedOffsets, offset func(kadm.ListedOffset) int64) kadm.ListedOffsets {
	for _, partitions := range listed {
		for p, l := range partitions {
			l.Offset = offset(l)
			partitions[p] = l
		}
	}
	return listed
}

// poll reads and prints until a condition to stop holds.
func (c *consumer) poll() error {
	o := c.o
	lastCame := time.Now()
	var buf []byte
	for o.max < 0 || c.read < o.max {
		if o.exit && o.group == "" && len(c.ends) == 0 {
			return nil
		}
		idle := c.idleLimit()
		ctx, cancel := c.e.ctx, context.CancelFunc(func() {})
		if idle > 0 {
			ctx, cancel = context.WithDeadline(c.e.ctx, lastCame.Add(idle))
		}
		most := 10_000
		if o.max >= 0 {
			most = int(min(o.max-c.read, 10_000))
		}
		fetches := c.cl.PollRecords(ctx, most)
		cancel()
		if c.e.ctx.Err() != nil {
			return nil // Ctrl-C is how a reader without an end is stopped
		}
		for _, f := range fetches.Errors() {
			if errors.Is(f.Err, context.DeadlineExceeded) {
				continue
			}
			return failed(f.Err, "cannot read %s", fetchPlace(f))
		}
		came := false
		var err error
		fetches.EachRecord(func(r *kgo.Record) {
			came = true
			c.reached(r)
			if r.Attrs.IsControl() || err != nil {
				return
			}
			c.read++
			buf, err = c.write(buf[:0], r)
			if err == nil {
				_, err = c.out.Write(buf)
			}
		})
		if err = errors.Join(err, c.out.Flush()); err != nil {
			return err
		}
		if o.group != "" {
			c.cl.MarkCommitRecords(fetches.Records()...)
		}
		switch {
		case came:
			lastCame = time.Now()
		case o.group != "" && !c.assigned.Load() && o.wait == 0:
			lastCame = time.Now() // the group is still gathering
		case idle > 0 && time.Since(lastCame) >= idle:
			if o.max >= 0 && !o.exit {
				return &incompleteError{fmt.Sprintf("%s came, not %d, before --wait %v ran out", count(int(c.read), "record"), o.max, o.wait)}
			}
			return nil
		}
	}
	return nil
}

func fetchPlace(f kgo.FetchError) string {
	if f.Topic == "" {
		return "records"
	}
	return fmt.Sprintf("%s-%d", f.Topic, f.Partition)
}

// idleLimit is how long nothing may come before reading ends; 0 for ever.
func (c *consumer) idleLimit() time.Duration {
	if c.o.wait > 0 {
		return c.o.wait
	}
	if c.o.exit {
		return endedWait
	}
	return 0
}

// reached notes how far a partition has been read.
func (c *consumer) reached(r *kgo.Record) {
	key := partitionKey{r.Topic, r.Partition}
	if end, ok := c.ends[key]; ok && r.Offset+1 >= end {
		delete(c.ends, key)
	}
}
