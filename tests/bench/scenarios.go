package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/bench/replay"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// The floor, and the floor in the page cache's best case; see tests/bench/floor.
const (
	floorKind     peers.Kind = "floor"
	warmFloorKind peers.Kind = "floor-warm"
)

func (b *bench) isFloor() bool { return b.kind == floorKind || b.kind == warmFloorKind }

// bench is the measuring of one broker in one round. The broker of the load scenarios
// runs on from one to the next.
type bench struct {
	cache      *peers.Cache
	kind       peers.Kind
	dir        string
	warm       time.Duration
	measure    time.Duration
	partitions int
	fillBytes  int64
	table      *table

	broker *peers.Broker // nil for the floor, and before the first load
	toy    *exec.Cmd     // the floor
	addr   string
	pid    int
	warmed bool
	loads  int
}

// scenario is one part of the table.
type scenario struct {
	name  string
	about string
	floor bool // the floor can do it too
	once  bool // long and hardly scattered: in the first round alone
	run   func(ctx context.Context, b *bench) error
}

var scenarios = []scenario{
	{name: "start", about: "exec to the first acknowledged produce, on no data", run: func(ctx context.Context, b *bench) error { return b.start(ctx) }},
	{name: "idle", about: "memory and processor of a broker that nobody asks", run: func(ctx context.Context, b *bench) error { return b.idle(ctx) }},
	{name: "produce-16k", about: "16 records of 1 KB per request, 4 connections, 5 in flight", floor: true,
		run: func(ctx context.Context, b *bench) error { return b.produce16K(ctx) }},
	{name: "produce-1m", about: "1000 records of 1 KB per request, 2 connections, 3 in flight", floor: true,
		run: func(ctx context.Context, b *bench) error {
			return b.perByte(ctx, "produce 1 MB, 2×3", replay.Load{Partitions: 2, Connections: 2, InFlight: 3, Records: 1000, RecordSize: 1024})
		}},
	{name: "produce-one", about: "one record of 100 B per request: 16 × 5, 1 × 5, 256 × 1", floor: true, run: func(ctx context.Context, b *bench) error { return b.produceOne(ctx) }},
	{name: "storm", about: "256 connections at once, one request each", run: func(ctx context.Context, b *bench) error { return b.storm(ctx) }},
	{name: "fetch", about: "fetch from the page cache, 1 MB and 16 KB per request, 4 connections", run: func(ctx context.Context, b *bench) error { return b.fetch(ctx) }},
	{name: "e2e", about: "end to end latency at 1,000 records a second", run: func(ctx context.Context, b *bench) error { return b.endToEnd(ctx) }},
	{name: "loaded", about: "memory after all of the loads", run: func(ctx context.Context, b *bench) error { return b.loaded(ctx) }},
	{name: "partitions", about: "many partitions: create, restart, kill -9 restart", once: true, run: func(ctx context.Context, b *bench) error { return b.manyPartitions(ctx) }},
	{name: "kill", about: "kill -9 under load with data on disk, and start again", once: true, run: func(ctx context.Context, b *bench) error { return b.kill(ctx) }},
}

const patience = 5 * time.Minute

func (b *bench) add(name, unit string, value float64) { b.table.add(string(b.kind), name, unit, value) }

// What every broker and the floor keep of a load. Small segments and little retention let a
// run of many loads fit on the disk; who writes fast rolls and removes as much more often.
const (
	segmentBytes   = 256 << 20
	retentionBytes = 512 << 20
	retentionCheck = time.Second
	deleteDelay    = time.Second
)

// options are the same for all brokers. Deleted topics leave the disk at once.
func (b *bench) options(name string) peers.BrokerOptions {
	return peers.BrokerOptions{Dir: filepath.Join(b.dir, name), Config: map[string]string{
		"num.partitions":                  "1",
		"log.segment.bytes":               strconv.Itoa(segmentBytes),
		"log.segment.delete.delay.ms":     strconv.FormatInt(deleteDelay.Milliseconds(), 10),
		"log.retention.check.interval.ms": strconv.FormatInt(retentionCheck.Milliseconds(), 10),
	}}
}

// loadOptions are those of the broker that gets the loads.
func (b *bench) loadOptions() peers.BrokerOptions {
	o := b.options("load")
	o.Config["log.retention.bytes"] = strconv.Itoa(retentionBytes)
	return o
}

func (b *bench) open() error {
	if b.addr != "" {
		return nil
	}
	if b.isFloor() {
		return b.openFloor()
	}
	broker, err := b.cache.StartBroker(b.kind, b.loadOptions())
	if err != nil {
		return err
	}
	b.broker, b.addr, b.pid = broker, broker.Addr, broker.Pid
	return nil
}

func (b *bench) openFloor() error {
	program := filepath.Join(b.cache.Root, "bin", "floor-tests")
	build := exec.Command("go", "build", "-o", program, "./tests/bench/floor")
	build.Dir = b.cache.Root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the floor: %w: %s", err, out)
	}
	ports, err := peers.FreePorts(1)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	b.addr = fmt.Sprintf("127.0.0.1:%d", ports[0])
	b.toy = exec.Command(program, "-segment", strconv.Itoa(segmentBytes), "-retention", strconv.Itoa(retentionBytes),
		"-check", (retentionCheck + deleteDelay).String(), fmt.Sprintf("-warm=%t", b.kind == warmFloorKind), b.addr, b.dir)
	b.toy.Stderr = os.Stderr
	b.toy.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.toy.Start(); err != nil {
		return err
	}
	b.pid = b.toy.Process.Pid
	return nil
}

// prepare makes all brokers find the same: nothing of an earlier one in the page cache,
// and nothing that the kernel still has to write. Only root may empty the page cache.
func (b *bench) prepare() {
	syscall.Sync()
	os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0)
}

func (b *bench) close() {
	if b.broker != nil {
		b.broker.Close()
	}
	if b.toy != nil {
		b.toy.Process.Kill()
		b.toy.Wait()
	}
	os.RemoveAll(b.dir)
}

// topic makes a topic for one load; done deletes it.
func (b *bench) topic(name string, partitions int) (done func(), err error) {
	if b.isFloor() {
		return func() { b.dropFloorTopic(name) }, waitForPort(b.addr)
	}
	c, err := replay.Dial(b.addr, patience)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.CreateTopic(name, int32(partitions), nil, patience), c.WaitLed(name, partitions, patience)); err != nil {
		c.Close()
		return nil, err
	}
	return func() {
		defer c.Close()
		if err := c.DeleteTopic(name, patience); err == nil {
			time.Sleep(topicGone)
		}
	}, nil
}

// dropFloorTopic removes a topic's files from under the floor, as a broker does itself.
func (b *bench) dropFloorTopic(name string) {
	dirs, _ := filepath.Glob(filepath.Join(b.dir, name+"-*"))
	for _, dir := range dirs {
		os.RemoveAll(dir)
	}
	time.Sleep(topicGone)
}

// topicGone is how long a deleted topic's files are waited for.
const topicGone = 2500 * time.Millisecond

func waitForPort(addr string) error {
	for range 200 {
		if c, err := replay.Dial(addr, time.Second); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("nothing listens on %s", addr)
}

// start measures from just before exec. It asks every two milliseconds, as no client
// does, so that the broker's time is what shows.
func (b *bench) start(ctx context.Context) error {
	broker, err := b.cache.StartBroker(b.kind, b.options("start"))
	if err != nil {
		return err
	}
	defer func() { broker.Close() }()
	// The first start has formatted the directory and installed everything; what counts is
	// the start of a process on an empty directory, so take it away again where we may.
	if err := broker.Stop(patience); err != nil {
		return err
	}
	if b.kind == peers.Barnabas {
		if err := os.RemoveAll(broker.DataDir); err != nil {
			return err
		}
		if err := os.MkdirAll(broker.DataDir, 0o755); err != nil {
			return err
		}
	}
	if err := broker.StartOnly(); err != nil {
		return err
	}
	at, err := firstAck(broker, "first", 0)
	if err != nil {
		return err
	}
	b.add("exec to first acknowledged produce", "ms", ms(at.Sub(broker.Started)))
	begun := time.Now()
	if err := broker.Stop(patience); err != nil {
		return err
	}
	b.add("stop, idle", "ms", ms(time.Since(begun)))
	return nil
}

// firstAck asks until a produce to the partition is acknowledged, creating the topic on
// the way, and returns when that was.
func firstAck(broker *peers.Broker, topic string, partition int32) (time.Time, error) {
	batch := replay.Batch(1, 100)
	deadline := time.Now().Add(patience)
	var last error
	for time.Now().Before(deadline) {
		select {
		case <-broker.Done():
			return time.Time{}, fmt.Errorf("the broker ended: %v", broker.Err())
		default:
		}
		if last = tryProduce(broker.Addr, topic, partition, batch); last == nil {
			return time.Now(), nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Time{}, fmt.Errorf("no produce was acknowledged: %w", last)
}

func tryProduce(addr, topic string, partition int32, batch []byte) error {
	c, err := replay.Dial(addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		led, err := c.Led(topic, 30*time.Second)
		if err != nil {
			return err
		}
		if led > int(partition) {
			return c.ProduceOnce(topic, partition, batch, 30*time.Second)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (b *bench) idle(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	before, err := procfs.Read(b.pid)
	if err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	after, err := procfs.Read(b.pid)
	if err != nil {
		return err
	}
	b.add("idle anonymous memory", "MB", mb(after.RSSAnon))
	b.add("idle RSS", "MB", mb(after.RSS))
	b.add("idle processor", "% of a core", 100*(after.CPU-before.CPU).Seconds()/after.At.Sub(before.At).Seconds())
	return nil
}

// load warms the broker up once and then runs one load, and returns what the broker used.
func (b *bench) load(ctx context.Context, load replay.Load) (replay.Stats, usage, error) {
	if err := b.open(); err != nil {
		return replay.Stats{}, usage{}, err
	}
	if !b.warmed {
		if err := b.warmUp(ctx); err != nil {
			return replay.Stats{}, usage{}, fmt.Errorf("warm-up: %w", err)
		}
		b.warmed = true
	}
	b.loads++ // a new topic each time: a deleted name may not be free at once
	load.Addr, load.Topic, load.Acks = b.addr, fmt.Sprintf("load-%d", b.loads), 1
	done, err := b.topic(load.Topic, load.Partitions)
	if err != nil {
		return replay.Stats{}, usage{}, err
	}
	defer done()
	load.Duration = b.measure / 4
	load.MaxBytes = maxLoadBytes / 4
	if _, err := replay.Produce(ctx, load); err != nil { // this very load has to be warm too
		return replay.Stats{}, usage{}, err
	}
	load.Duration = b.measure
	load.MaxBytes = maxLoadBytes
	return b.used(func() (replay.Stats, error) { return replay.Produce(ctx, load) })
}

// maxLoadBytes ends a load early on a fast broker, before the disk's own speed shows.
const maxLoadBytes = 4 << 30

func (b *bench) warmUp(ctx context.Context) error {
	done, err := b.topic("warm", 4)
	if err != nil {
		return err
	}
	defer done()
	for _, load := range []replay.Load{
		{Partitions: 4, Connections: 4, InFlight: 5, Records: 16, RecordSize: 1024, MaxBytes: maxLoadBytes},
		{Partitions: 4, Connections: 16, InFlight: 5, Records: 1, RecordSize: 100},
	} {
		load.Addr, load.Topic, load.Acks, load.Duration = b.addr, "warm", 1, b.warm/2
		if _, err := replay.Produce(ctx, load); err != nil {
			return err
		}
	}
	return nil
}

// usage is what the broker's processor time in a load was spent on. What the kernel takes
// to write into memory that it has not had before is large on a virtual machine, and as
// random as the machine; user time is the broker's own.
type usage struct {
	total time.Duration
	user  time.Duration
}

// used samples the broker around a load.
func (b *bench) used(load func() (replay.Stats, error)) (replay.Stats, usage, error) {
	before, err := procfs.Read(b.pid)
	if err != nil {
		return replay.Stats{}, usage{}, err
	}
	stats, err := load()
	if err != nil {
		return stats, usage{}, err
	}
	after, err := procfs.Read(b.pid)
	return stats, usage{after.CPU - before.CPU, after.User - before.User}, err
}

func (b *bench) produce16K(ctx context.Context) error {
	return b.perByte(ctx, "produce 16 KB, 4×5", replay.Load{Partitions: 4, Connections: 4, InFlight: 5, Records: 16, RecordSize: 1024})
}

func (b *bench) perByte(ctx context.Context, name string, load replay.Load) error {
	stats, cpu, err := b.load(ctx, load)
	if err != nil {
		return err
	}
	b.add(name, "cpu-s/GB", cpu.total.Seconds()/(float64(stats.Bytes)/1e9))
	b.add(name+": user time alone", "cpu-s/GB", cpu.user.Seconds()/(float64(stats.Bytes)/1e9))
	b.add(name+": rate", "MB/s", stats.BytesPerSecond()/1e6)
	b.add(name+": p99", "ms", ms(stats.Latency.Quantile(.99)))
	return nil
}

func (b *bench) produceOne(ctx context.Context) error {
	for _, load := range []replay.Load{
		{Partitions: 4, Connections: 16, InFlight: 5},
		{Partitions: 1, Connections: 1, InFlight: 5},
		{Partitions: 4, Connections: 256, InFlight: 1},
	} {
		load.Records, load.RecordSize = 1, 100
		stats, cpu, err := b.load(ctx, load)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("produce one 100 B record, %d×%d", load.Connections, load.InFlight)
		b.add(name, "cpu µs/req", cpu.total.Seconds()*1e6/float64(stats.Requests))
		b.add(name+": user time alone", "cpu µs/req", cpu.user.Seconds()*1e6/float64(stats.Requests))
		b.add(name+": rate", "req/s", stats.PerSecond())
		b.add(name+": p99", "ms", ms(stats.Latency.Quantile(.99)))
	}
	return nil
}

func (b *bench) storm(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	done, err := b.topic("storm", 4)
	if err != nil {
		return err
	}
	defer done()
	stats := replay.Storm(ctx, replay.Load{Addr: b.addr, Topic: "storm", Partitions: 4, Connections: 256, Records: 1, RecordSize: 100})
	b.add("256 connections at once: dropped", "connections", float64(stats.Dropped))
	b.add("256 connections at once: all answered", "ms", ms(stats.Elapsed))
	return nil
}

func (b *bench) fetch(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	done, err := b.topic("fetch", 4)
	if err != nil {
		return err
	}
	defer done()
	// Fill 4 partitions with 128 MB each: they stay in the page cache.
	if _, err := replay.Produce(ctx, replay.Load{Addr: b.addr, Topic: "fetch", Acks: 1, Partitions: 4, Connections: 4, InFlight: 5,
		Records: 16, RecordSize: 1024, MaxBytes: 512 << 20, Duration: patience}); err != nil {
		return err
	}
	c, err := replay.Dial(b.addr, patience)
	if err != nil {
		return err
	}
	ends, err := c.EndOffsets("fetch", 4, patience)
	c.Close()
	if err != nil {
		return err
	}
	end := min(ends[0], ends[1], ends[2], ends[3])
	for _, f := range []replay.FetchLoad{{MaxBytes: 1 << 20, Step: 992}, {MaxBytes: 16 << 10, Step: 16}} {
		f.Addr, f.Topic, f.Partitions, f.Connections, f.End, f.Duration = b.addr, "fetch", 4, 4, end, b.measure/2
		if _, err := replay.Fetch(ctx, f); err != nil { // warm
			return err
		}
		f.Duration = b.measure
		stats, cpu, err := b.used(func() (replay.Stats, error) { return replay.Fetch(ctx, f) })
		if err != nil {
			return err
		}
		name := fmt.Sprintf("fetch %d KB, 4 connections", f.MaxBytes>>10)
		b.add(name, "cpu-s/GB", cpu.total.Seconds()/(float64(stats.Bytes)/1e9))
		b.add(name+": per request", "cpu µs/req", cpu.total.Seconds()*1e6/float64(stats.Requests))
		b.add(name+": rate", "MB/s", stats.BytesPerSecond()/1e6)
	}
	return nil
}

func (b *bench) endToEnd(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	done, err := b.topic("e2e", 1)
	if err != nil {
		return err
	}
	defer done()
	if _, err := replay.EndToEnd(ctx, b.addr, "e2e", 1000, 100, b.measure/2); err != nil { // warm
		return err
	}
	stats, err := replay.EndToEnd(ctx, b.addr, "e2e", 1000, 100, 2*b.measure)
	if err != nil {
		return err
	}
	b.add("end to end at 1,000/s: p50", "ms", ms(stats.Latency.Quantile(.5)))
	b.add("end to end at 1,000/s: p99", "ms", ms(stats.Latency.Quantile(.99)))
	b.add("end to end at 1,000/s: p99.9", "ms", ms(stats.Latency.Quantile(.999)))
	return nil
}

func (b *bench) loaded(ctx context.Context) error {
	if b.addr == "" {
		return errors.New("no load was run")
	}
	s, err := procfs.Read(b.pid)
	if err != nil {
		return err
	}
	b.add("anonymous memory after load", "MB", mb(s.RSSAnon))
	b.add("peak RSS", "MB", mb(s.PeakRSS))
	return nil
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
func mb(bytes int64) float64     { return float64(bytes) / 1e6 }
