package replay

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FetchLoad describes a load of Fetch requests, one at a time on each connection.
type FetchLoad struct {
	Addr        string
	TLS         *tls.Config // nil is plaintext
	Topic       string
	Partitions  int
	Connections int
	MaxBytes    int32 // of one answer's records
	// Connection i reads partition i modulo Partitions from offset 0 up to End, in steps
	// of Step records, and begins again. Step is how many records MaxBytes holds.
	Step, End int64
	Duration  time.Duration
}

// Fetch runs the load. The bytes are read and thrown away.
func Fetch(ctx context.Context, load FetchLoad) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, load.Duration)
	defer cancel()
	var wg sync.WaitGroup
	stats := make([]Stats, load.Connections)
	errs := make([]error, load.Connections)
	start := time.Now()
	for i := range load.Connections {
		wg.Go(func() { errs[i] = fetchOne(ctx, load, int32(i%load.Partitions), &stats[i]) })
	}
	wg.Wait()
	total := Stats{Elapsed: time.Since(start)}
	for i := range stats {
		total.Requests += stats[i].Requests
		total.Bytes += stats[i].Bytes
		total.Latency.Merge(&stats[i].Latency)
	}
	return total, errors.Join(errs...)
}

func fetchOne(ctx context.Context, load FetchLoad, partition int32, stats *Stats) error {
	conn, err := DialTLS(load.Addr, load.TLS, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(load.Duration + time.Minute))
	encode := func(offset uint64) []byte {
		return frame(fetchRequest(load.Topic, partition, int64(offset), load.MaxBytes, 0))
	}
	request, offsetPos := encode(0), markOf(encode)
	// header 5, throttle 4, error 2, session 4, topics 1, name, partitions 1, index 4
	codePos := 5 + 4 + 2 + 4 + 1 + 1 + len(load.Topic) + 1 + 4
	in := make([]byte, 256<<10)
	for offset := int64(0); ctx.Err() == nil; offset += load.Step {
		if offset+load.Step > load.End {
			offset = 0
		}
		binary.BigEndian.PutUint64(request[offsetPos:], uint64(offset))
		begun := time.Now()
		if _, err := conn.Write(request); err != nil {
			return err
		}
		head := in[:4+codePos+2]
		if _, err := io.ReadFull(conn, head); err != nil {
			return err
		}
		if code := int16(binary.BigEndian.Uint16(head[4+codePos:])); code != 0 {
			return fmt.Errorf("fetch at %d: %w", offset, kerr.ErrorForCode(code))
		}
		size := int64(binary.BigEndian.Uint32(head))
		for left := size + 4 - int64(len(head)); left > 0; {
			n, err := conn.Read(in[:min(left, int64(len(in)))])
			if err != nil {
				return err
			}
			left -= int64(n)
		}
		stats.Latency.Add(time.Since(begun))
		stats.Requests++
		stats.Bytes += size + 4
	}
	return nil
}

// fetchRequest is a Fetch of version 12, the last with topic names, without a session.
func fetchRequest(topic string, partition int32, offset int64, maxBytes, maxWaitMs int32) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.Version = 12
	r.MaxWaitMillis = maxWaitMs
	r.MinBytes = 1
	r.MaxBytes = maxBytes
	r.SessionEpoch = -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, maxBytes
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = -1, -1
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

// EndToEnd sends records of size bytes to partition 0 at a rate of so many a second, for a
// time, and measures each from when it was due to be sent to when a consumer that waits
// at the end of the log has it. A broker that stands still is charged for all that it
// holds up.
func EndToEnd(ctx context.Context, addr, topic string, rate, size int, duration time.Duration) (Stats, error) {
	producer, err := Dial(addr, 10*time.Second)
	if err != nil {
		return Stats{}, err
	}
	defer producer.Close()
	consumer, err := Dial(addr, 10*time.Second)
	if err != nil {
		return Stats{}, err
	}
	defer consumer.Close()
	ends, err := consumer.EndOffsets(topic, 1, 10*time.Second)
	if err != nil {
		return Stats{}, err
	}
	count := int(duration.Seconds() * float64(rate))
	deadline := time.Now().Add(duration + 30*time.Second)
	producer.SetDeadline(deadline)
	batch := Batch(1, max(size, 8))
	var wg sync.WaitGroup
	var sendErr, answerErr, stats = error(nil), error(nil), Stats{}
	start := time.Now()
	wg.Go(func() { // sends when due, not when answered
		for i := range count {
			due := time.Duration(i) * time.Second / time.Duration(rate)
			time.Sleep(due - time.Since(start))
			binary.BigEndian.PutUint64(batch[len(batch)-9:], uint64(due)) // the value ends before the header count
			sign(batch)
			if _, sendErr = producer.Write(frame(produceRequest(topic, 0, batch, 1))); sendErr != nil {
				return
			}
		}
	})
	wg.Go(func() {
		for range count {
			if _, answerErr = readFrame(producer); answerErr != nil {
				return
			}
		}
	})
	err = consumeTimed(consumer, topic, ends[0], count, start, deadline, &stats)
	wg.Wait()
	stats.Elapsed = time.Since(start)
	return stats, errors.Join(err, sendErr, answerErr)
}

func consumeTimed(c *Conn, topic string, offset int64, count int, start, deadline time.Time, stats *Stats) error {
	for int(stats.Requests) < count {
		answer, err := c.Ask(fetchRequest(topic, 0, offset, 1<<20, 500), time.Until(deadline))
		if err != nil {
			return fmt.Errorf("after %d of %d records: %w", stats.Requests, count, err)
		}
		now := time.Since(start)
		p := answer.(*kmsg.FetchResponse).Topics[0].Partitions[0]
		if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
			return err
		}
		for b := p.RecordBatches; len(b) > 61; {
			size := 12 + int(binary.BigEndian.Uint32(b[8:]))
			if size > len(b) {
				break
			}
			due := time.Duration(binary.BigEndian.Uint64(b[size-9:]))
			stats.Latency.Add(now - due)
			stats.Requests++
			stats.Bytes += int64(size)
			offset = int64(binary.BigEndian.Uint64(b)) + int64(binary.BigEndian.Uint32(b[23:])) + 1
			b = b[size:]
		}
	}
	return nil
}
