package peers

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Header is one header of a record.
type Header struct {
	Name  string
	Value []byte // nil is null
}

// Record is one record as a client sends or sees it.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64  // milliseconds; -1 means that none was given or seen
	Key       []byte // nil is null
	Value     []byte // nil is null
	Headers   []Header
}

// Client is one client library at work against one broker. Each call makes and closes its
// own producer or consumer.
type Client interface {
	// Create creates a topic with the client's own admin calls.
	Create(topic string, partitions int) error
	// Produce returns once all records are acknowledged. Options are those of the line
	// protocol, as "acks=1".
	Produce(topic, codec string, records []Record, options ...string) error
	// Consume reads count records as a member of the group, from its committed offsets or
	// the beginning, and commits. Group "" reads everything without a group.
	Consume(group string, topics []string, count int, patience time.Duration, options ...string) ([]Record, error)
	// Close ends the client's process.
	Close()
}

// lineClient is a process that speaks the line protocol of tests/interop/adapters.
type lineClient struct {
	cmd *exec.Cmd
	in  *bufio.Writer
	raw io.Closer
	out *bufio.Reader
}

func startLineClient(logPath string, env []string, program string, args ...string) (Client, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &lineClient{cmd: cmd, in: bufio.NewWriter(in), raw: in, out: bufio.NewReaderSize(out, 1<<20)}, nil
}

func (c *lineClient) Create(topic string, partitions int) error {
	_, err := c.call(2*time.Minute, fmt.Sprintf("create %s %d\n", topic, partitions))
	return err
}

func (c *lineClient) Produce(topic, codec string, records []Record, options ...string) error {
	var b strings.Builder
	b.WriteString(strings.Join(append([]string{"produce", topic, codec, strconv.Itoa(len(records))}, options...), " "))
	b.WriteByte('\n')
	for _, r := range records {
		timestamp := "-"
		if r.Timestamp >= 0 {
			timestamp = strconv.FormatInt(r.Timestamp, 10)
		}
		var headers []string
		for _, h := range r.Headers {
			headers = append(headers, h.Name+":"+toHex(h.Value))
		}
		fmt.Fprintf(&b, "%d\t%s\t%s\t%s\t%s\n", r.Partition, timestamp, toHex(r.Key), toHex(r.Value), strings.Join(headers, ","))
	}
	_, err := c.call(2*time.Minute, b.String())
	return err
}

func (c *lineClient) Consume(group string, topics []string, count int, patience time.Duration, options ...string) ([]Record, error) {
	if group == "" {
		group = "-"
	}
	words := append([]string{"consume", group, strings.Join(topics, ","), strconv.Itoa(count),
		strconv.FormatInt(patience.Milliseconds(), 10)}, options...)
	return c.call(patience+time.Minute, strings.Join(words, " ")+"\n")
}

// call sends one command and reads its answer. A client that does not answer in time is
// killed, and every later call fails.
func (c *lineClient) call(patience time.Duration, command string) ([]Record, error) {
	late := time.AfterFunc(patience, func() { c.cmd.Process.Kill() })
	defer late.Stop()
	sent := make(chan struct{})
	go func() { // a client that died does not read
		defer close(sent)
		c.in.WriteString(command)
		c.in.Flush()
	}()
	defer func() { <-sent }() // the answer may come before Flush has returned, and the next command needs the writer
	var records []Record
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			return records, fmt.Errorf("the client's process ended: %w", err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "R\t"):
			r, err := parseRecord(line)
			if err != nil {
				return records, err
			}
			records = append(records, r)
		case strings.HasPrefix(line, "OK"):
			return records, nil
		case strings.HasPrefix(line, "ERR"):
			return records, errors.New(strings.TrimPrefix(line, "ERR "))
		}
	}
}

func (c *lineClient) Close() {
	c.raw.Close()
	late := time.AfterFunc(20*time.Second, func() { c.cmd.Process.Kill() })
	defer late.Stop()
	c.cmd.Wait()
}

func parseRecord(line string) (Record, error) {
	f := strings.Split(line, "\t")
	if len(f) != 8 {
		return Record{}, fmt.Errorf("a record line has %d fields: %q", len(f), line)
	}
	partition, err := strconv.Atoi(f[2])
	if err != nil {
		return Record{}, err
	}
	r := Record{Topic: f[1], Partition: int32(partition), Timestamp: -1, Key: fromHex(f[5]), Value: fromHex(f[6])}
	if r.Offset, err = strconv.ParseInt(f[3], 10, 64); err != nil {
		return Record{}, err
	}
	if f[4] != "-" {
		if r.Timestamp, err = strconv.ParseInt(f[4], 10, 64); err != nil {
			return Record{}, err
		}
	}
	if f[7] != "" {
		for h := range strings.SplitSeq(f[7], ",") {
			name, value, _ := strings.Cut(h, ":")
			r.Headers = append(r.Headers, Header{name, fromHex(value)})
		}
	}
	return r, nil
}

func toHex(b []byte) string {
	if b == nil {
		return "-"
	}
	return hex.EncodeToString(b)
}

func fromHex(s string) []byte {
	if s == "-" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || b == nil {
		return []byte{}
	}
	return b
}
