package replay

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Load describes a load of Produce requests, each with one batch for one partition.
type Load struct {
	Addr        string
	TLS         *tls.Config // nil is plaintext
	Topic       string
	Partitions  int // connection i writes to partition i modulo this
	Connections int
	InFlight    int // requests on one connection that are not answered yet
	Records     int // per request
	RecordSize  int // bytes of each record's value
	Acks        int16
	MaxBytes    int64         // ends the load once so many bytes of requests were answered; 0 does not
	Duration    time.Duration // ends the load after this time
}

// Stats is what a load came to.
type Stats struct {
	Requests int64         // answered without an error
	Bytes    int64         // of those requests, or of fetched answers
	Elapsed  time.Duration // from the first request to the last answer
	Dropped  int64         // connections that could not be made or broke
	Latency  Histogram     // from the send of a request to its answer
}

// PerSecond is the rate of requests.
func (s *Stats) PerSecond() float64 { return float64(s.Requests) / s.Elapsed.Seconds() }

// BytesPerSecond is the rate of bytes.
func (s *Stats) BytesPerSecond() float64 { return float64(s.Bytes) / s.Elapsed.Seconds() }

// loadConn is one connection of a load. Its requests lie back to back in one buffer, so
// that several go out in one write.
type loadConn struct {
	conn     net.Conn
	requests []byte // InFlight copies of the request
	size     int    // of one request
	answer   []byte // of one answer without an error
	codePos  int    // place of the error code in an answer
	sent     []time.Time
	next     int // index in sent of the oldest request that is not answered
	stats    Stats
}

// Produce runs the load until it is over or ctx is done. The topic must exist.
func Produce(ctx context.Context, load Load) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, load.Duration)
	defer cancel()
	batch := Batch(load.Records, load.RecordSize)
	var conns []*loadConn
	defer func() {
		for _, c := range conns {
			c.conn.Close()
		}
	}()
	for i := range load.Connections {
		c, err := openLoadConn(load, int32(i%load.Partitions), batch)
		if err != nil {
			return Stats{}, fmt.Errorf("connection %d: %w", i, err)
		}
		conns = append(conns, c)
	}
	var wg sync.WaitGroup
	var bytes atomic.Int64
	errs := make([]error, len(conns))
	start := time.Now()
	for i, c := range conns {
		wg.Go(func() { errs[i] = c.run(ctx, load, &bytes) })
	}
	wg.Wait()
	total := Stats{Elapsed: time.Since(start)}
	for _, c := range conns {
		total.Requests += c.stats.Requests
		total.Bytes += c.stats.Bytes
		total.Dropped += c.stats.Dropped
		total.Latency.Merge(&c.stats.Latency)
	}
	return total, errors.Join(errs...)
}

// openLoadConn connects and sends one request, whose answer is the pattern for all others.
func openLoadConn(load Load, partition int32, batch []byte) (*loadConn, error) {
	conn, err := DialTLS(load.Addr, load.TLS, 10*time.Second)
	if err != nil {
		return nil, err
	}
	request := produceRequest(load.Topic, partition, batch, load.Acks)
	one := frame(request)
	c := &loadConn{conn: conn, size: len(one), sent: make([]time.Time, load.InFlight)}
	for range load.InFlight {
		c.requests = append(c.requests, one...)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	if c.answer, err = firstAnswer(conn, request, one); err != nil {
		conn.Close()
		return nil, fmt.Errorf("partition %d: %w", partition, err)
	}
	// header 5, topics 1, name, partitions 1, index 4, code 2
	c.codePos = 5 + 1 + 1 + len(load.Topic) + 1 + 4
	conn.SetDeadline(time.Now().Add(load.Duration + time.Minute))
	return c, nil
}

// firstAnswer sends the request until it is acknowledged. A broker may name a leader that
// does not know of it yet.
func firstAnswer(conn *Conn, request kmsg.Request, one []byte) ([]byte, error) {
	for deadline := time.Now().Add(30 * time.Second); ; {
		if _, err := conn.Write(one); err != nil {
			return nil, err
		}
		answer, err := readFrame(conn)
		if err != nil {
			return nil, err
		}
		response, err := decode(request, answer)
		if err != nil {
			return nil, err
		}
		topics := response.(*kmsg.ProduceResponse).Topics
		if len(topics) != 1 || len(topics[0].Partitions) != 1 {
			return nil, errors.New("an answer without the partition")
		}
		err = kerr.ErrorForCode(topics[0].Partitions[0].ErrorCode)
		if err == nil || !kerr.IsRetriable(err) || time.Now().After(deadline) {
			return answer, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// run keeps the pipeline full: as many answers as came in one read, so many requests go
// out in one write. At the end it waits for the answers that are due.
func (c *loadConn) run(ctx context.Context, load Load, bytes *atomic.Int64) error {
	defer c.conn.Close()
	frameSize := 4 + len(c.answer)
	in := make([]byte, max(frameSize*load.InFlight, 4096))
	if err := c.send(load.InFlight); err != nil {
		return err
	}
	flying, have := load.InFlight, 0
	for flying > 0 {
		n, err := c.conn.Read(in[have:])
		if err != nil {
			c.stats.Dropped++
			return fmt.Errorf("after %d answers: %w", c.stats.Requests, err)
		}
		have += n
		now := time.Now()
		answers := 0
		for ; have-answers*frameSize >= frameSize; answers++ {
			if err := c.check(in[answers*frameSize:][:frameSize]); err != nil {
				return err
			}
			c.stats.Latency.Add(now.Sub(c.sent[c.next]))
			c.next = (c.next + 1) % load.InFlight
		}
		have = copy(in, in[answers*frameSize:have])
		c.stats.Requests += int64(answers)
		c.stats.Bytes += int64(answers * c.size)
		flying -= answers
		total := bytes.Add(int64(answers * c.size))
		if answers == 0 || ctx.Err() != nil || load.MaxBytes > 0 && total >= load.MaxBytes {
			continue
		}
		// The slots of sent that just became free are the ones before next.
		if err := c.send(answers); err != nil {
			return err
		}
		flying += answers
	}
	return nil
}

func (c *loadConn) send(count int) error {
	now := time.Now()
	for i := range count {
		c.sent[(c.next-1-i+2*len(c.sent))%len(c.sent)] = now
	}
	_, err := c.conn.Write(c.requests[:count*c.size])
	return err
}

// check refuses an answer of another size than the first one's, or with an error code.
func (c *loadConn) check(answer []byte) error {
	if size := binary.BigEndian.Uint32(answer); int(size) != len(c.answer) {
		return fmt.Errorf("an answer of %d bytes, not %d as the first one", size, len(c.answer))
	}
	if code := int16(binary.BigEndian.Uint16(answer[4+c.codePos:])); code != 0 {
		return kerr.ErrorForCode(code)
	}
	return nil
}

// Storm makes all connections at once, and each sends one request as soon as it is there.
// Dropped counts those that got no good answer.
func Storm(ctx context.Context, load Load) Stats {
	batch := Batch(load.Records, load.RecordSize)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var total Stats
	start := time.Now()
	for i := range load.Connections {
		wg.Go(func() {
			begun := time.Now()
			err := oneRequest(load, int32(i%load.Partitions), batch)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				total.Dropped++
				return
			}
			total.Requests++
			total.Latency.Add(time.Since(begun))
		})
	}
	wg.Wait()
	total.Elapsed = time.Since(start)
	return total
}

func oneRequest(load Load, partition int32, batch []byte) error {
	c, err := Dial(load.Addr, 20*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.ProduceOnce(load.Topic, partition, batch, 20*time.Second)
}
