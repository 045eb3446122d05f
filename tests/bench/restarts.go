package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/bench/procfs"
	"github.com/barnabas-broker/barnabas/tests/bench/replay"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// shut stops the broker of the loads, which would only be in the way.
func (b *bench) shut() {
	if b.broker != nil {
		b.broker.Close()
		b.broker, b.addr, b.warmed = nil, "", false
	}
}

// manyPartitions creates a topic of many partitions, then restarts the broker cleanly and
// after a kill. A broker is there again when every partition has a leader and the last
// one has acknowledged a record.
func (b *bench) manyPartitions(ctx context.Context) error {
	b.shut()
	options := b.options("partitions")
	admin := ""
	if !b.kind.IsApache() {
		ports, err := peers.FreePorts(1)
		if err != nil {
			return err
		}
		admin = fmt.Sprintf("127.0.0.1:%d", ports[0])
		options.Config["barnabas.admin.listener"] = admin
	}
	broker, err := b.cache.StartBroker(b.kind, options)
	if err != nil {
		return err
	}
	defer func() { broker.Close() }()
	heapBefore, err := heapOf(admin)
	if err != nil {
		return err
	}
	c, err := replay.Dial(broker.Addr, patience)
	if err != nil {
		return err
	}
	before, err := procfs.Read(broker.Pid)
	if err != nil {
		return err
	}
	const name = "many partitions"
	b.add(name, "partitions", float64(b.partitions))
	begun := time.Now()
	err = errors.Join(c.CreateTopic("many", int32(b.partitions), nil, patience), c.WaitLed("many", b.partitions, patience))
	c.Close()
	if err != nil {
		return err
	}
	if err := allServe(broker, b.partitions); err != nil {
		return err
	}
	b.add(name+": create", "s", time.Since(begun).Seconds())
	begun = time.Now()
	if err := broker.Stop(patience); err != nil {
		return err
	}
	b.add(name+": stop", "s", time.Since(begun).Seconds())
	if err := b.restart(broker, name+": restart"); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	after, err := procfs.Read(broker.Pid)
	if err != nil {
		return err
	}
	b.add(name+": anonymous memory each", "KB", float64(after.RSSAnon-before.RSSAnon)/1e3/float64(b.partitions))
	b.add(name+": open files", "files", float64(after.OpenFiles))
	if admin != "" {
		heap, err := heapOf(admin)
		if err != nil {
			return err
		}
		b.add(name+": heap each", "KB", float64(heap-heapBefore)/1e3/float64(b.partitions))
	}
	broker.Kill()
	return b.restart(broker, name+": restart after kill -9")
}

// heapOf is what a broker of ours has in use on its heap, after a collection. Without an
// address it is 0.
func heapOf(admin string) (int64, error) {
	if admin == "" {
		return 0, nil
	}
	resp, err := http.Get("http://" + admin + "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if alloc, ok := strings.CutPrefix(lines.Text(), "# HeapAlloc = "); ok {
			return strconv.ParseInt(alloc, 10, 64)
		}
	}
	return 0, errors.Join(errors.New("the heap profile has no HeapAlloc"), lines.Err())
}

func (b *bench) restart(broker *peers.Broker, name string) error {
	if err := broker.StartOnly(); err != nil {
		return err
	}
	if err := allServe(broker, b.partitions); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.add(name, "s", time.Since(broker.Started).Seconds())
	return nil
}

// allServe waits until all partitions of the topic have a leader and the last one has
// acknowledged a record.
func allServe(broker *peers.Broker, partitions int) error {
	_, err := firstAck(broker, "many", int32(partitions-1))
	return err
}

// kill fills the disk, kills the broker under load, starts it again, and counts what is
// left: no acknowledged record may be missing, though the operating system lives on.
func (b *bench) kill(ctx context.Context) error {
	b.shut()
	broker, err := b.cache.StartBroker(b.kind, b.options("kill"))
	if err != nil {
		return err
	}
	defer func() { broker.Close() }()
	const partitions, connections, records = 100, 8, 64
	c, err := replay.Dial(broker.Addr, patience)
	if err != nil {
		return err
	}
	if err := errors.Join(c.CreateTopic("full", partitions, nil, patience), c.WaitLed("full", partitions, patience)); err != nil {
		c.Close()
		return err
	}
	c.Close()
	load := replay.Load{Addr: broker.Addr, Topic: "full", Acks: 1, Partitions: partitions, Connections: partitions,
		InFlight: 1, Records: records, RecordSize: 1024, MaxBytes: b.fillBytes, Duration: patience}
	filled, err := replay.Produce(ctx, load)
	if err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	acked := filled.Requests + int64(load.Connections) // each connection begins with one that is not counted
	load.MaxBytes = 0
	load.Connections = connections
	time.AfterFunc(2*time.Second, broker.Kill)
	under, err := replay.Produce(ctx, load)
	if err == nil {
		return errors.New("the load went on after the kill")
	}
	acked += under.Requests + int64(load.Connections)
	if err := broker.StartOnly(); err != nil {
		return err
	}
	at, err := firstAck(broker, "full", 0)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("kill -9 with %s GB", number(float64(b.fillBytes)/1e9))
	b.add(name+": first ack", "s", at.Sub(broker.Started).Seconds())
	if c, err = replay.Dial(broker.Addr, patience); err != nil {
		return err
	}
	defer c.Close()
	batch := replay.Batch(1, 100)
	for p := range partitions {
		for {
			if err = c.ProduceOnce("full", int32(p), batch, patience); err == nil {
				break
			}
			if time.Since(broker.Started) > patience {
				return fmt.Errorf("partition %d: %w", p, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	b.add(name+": all partitions", "s", time.Since(broker.Started).Seconds())
	ends, err := c.EndOffsets("full", partitions, patience)
	if err != nil {
		return err
	}
	kept := int64(-partitions - 1) // the records since the restart
	for _, end := range ends {
		kept += end
	}
	b.add(name+": acknowledged records missing", "records", float64(max(0, acked*records-kept)))
	return nil
}
