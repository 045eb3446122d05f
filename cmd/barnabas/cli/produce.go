package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// produceOptions are what a producer of lines is told; the flags of produce fill them.
type produceOptions struct {
	topic        string
	keySeparator string
	key          string
	hasKey       bool
	headers      [][2]string
	partition    int32 // -1: by key
	codec        string
	acks         string
	json         bool
	null         string // what stands for null; "" for nothing
	file         string
	repeatable   bool // no sequence numbers: a retry may write a record twice
	timestampMs  int64
	zeroEnds     bool // a zero byte ends a record, not a newline
}

func produceCommand() *command {
	o := produceOptions{partition: -1, timestampMs: -1, acks: "all"}
	var headers []string
	var quiet bool
	return &command{
		name: "produce", args: "TOPIC [VALUE...]", minArgs: 1, maxArgs: -1, summary: "write records: lines of standard input, or the values given",
		detail: `
--json reads what consume -o json writes, one object a line:
{"key":"k","value":"v","headers":[{"key":"h","value":"x"}],"timestamp":1767225600000}`,
		complete: []string{"topic", ""},
		flags: func(f *flagSet) {
			f.string(&o.keySeparator, "key-separator", 'k', "SEP", "each line is key, SEP, value; \\t is a tab")
			f.add("key", 'K', "KEY", "the key of all records", func(s string) error { o.key, o.hasKey = s, true; return nil })
			f.strings(&headers, "header", 'H', "KEY=VALUE", "a header of all records; may be repeated")
			f.int32(&o.partition, "partition", 'p', "N", "the partition (by key, or any)")
			f.string(&o.codec, "compression", 'z', "CODEC", "none, gzip, snappy, lz4 or zstd")
			f.completes("none|gzip|snappy|lz4|zstd")
			f.string(&o.acks, "acks", 0, "all|1|0", "how many replicas must have a record")
			f.completes("all|1|0")
			f.bool(&o.json, "json", 'j', "lines are JSON objects")
			f.string(&o.null, "null", 0, "TEXT", "a key or value that reads so is null; a null value deletes its key when compacted")
			f.string(&o.file, "file", 'f', "FILE", "read this instead of standard input")
			f.int64(&o.timestampMs, "timestamp", 0, "MS", "the timestamp of all records")
			f.bool(&o.repeatable, "no-idempotence", 0, "do not number the records; a retry may then write one twice")
			f.bool(&quiet, "quiet", 'q', "do not say how many were written")
		},
		run: func(e *env, args []string) error {
			o.topic = args[0]
			var err error
			if o.headers, err = keyValues(headers); err != nil {
				return err
			}
			if o.keySeparator != "" && (o.json || o.hasKey) {
				return badUsage("--key-separator goes neither with --json nor with --key")
			}
			o.keySeparator = unescape(o.keySeparator)
			var in io.Reader = e.stdin
			switch {
			case len(args) > 1 && o.file != "":
				return badUsage("either values or --file")
			case len(args) > 1:
				in = strings.NewReader(strings.Join(args[1:], "\x00") + "\x00") // a value may have lines
				o.zeroEnds = true
			case o.file != "":
				file, err := os.Open(o.file)
				if err != nil {
					return &failure{what: "cannot read the records", why: err.Error()}
				}
				defer file.Close()
				in = file
			}
			n, err := e.produce(in, o, e.produced())
			if err != nil && n > 0 {
				err = errors.Join(err, &failure{what: count(n, "record") + " had been written before"})
			}
			if err == nil && !quiet && e.output != "json" {
				_, err = fmt.Fprintf(e.stdout, "wrote %s to %s\n", count(n, "record"), o.topic)
			}
			return err
		},
	}
}

// produced returns what is called for each record that was written.
func (e *env) produced() func(*kgo.Record) {
	if e.output != "json" {
		return func(*kgo.Record) {}
	}
	enc := json.NewEncoder(e.stdout)
	return func(r *kgo.Record) {
		enc.Encode(struct {
			Topic     string `json:"topic"`
			Partition int32  `json:"partition"`
			Offset    int64  `json:"offset"`
		}{r.Topic, r.Partition, r.Offset})
	}
}

func (o *produceOptions) clientOptions(timeout time.Duration) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(o.topic),
		kgo.AllowAutoTopicCreation(),                         // whether it is created the broker decides, as for Kafka's own producer
		kgo.RecordDeliveryTimeout(max(timeout, time.Second)), // the least that the library takes
		kgo.UnknownTopicRetries(20),
		// Nobody gains by waiting: what comes while a request is under way goes with the next.
		kgo.ProducerLinger(0),
	}
	switch o.codec {
	case "", "none":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.NoCompression()))
	case "gzip":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.GzipCompression()))
	case "snappy":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.SnappyCompression()))
	case "lz4":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	case "zstd":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	default:
		return nil, badUsage("--compression is none, gzip, snappy, lz4 or zstd, not %q", o.codec)
	}
	switch o.acks {
	case "all", "-1":
		opts = append(opts, kgo.RequiredAcks(kgo.AllISRAcks()))
	case "1":
		opts = append(opts, kgo.RequiredAcks(kgo.LeaderAck()))
	case "0":
		opts = append(opts, kgo.RequiredAcks(kgo.NoAck()))
	default:
		return nil, badUsage("--acks is all, 1 or 0, not %q", o.acks)
	}
	if o.repeatable || o.acks == "0" || o.acks == "1" {
		// One at a time, or a retry could change their order.
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	if o.partition >= 0 {
		opts = append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	return opts, nil
}

// produce writes the records that in holds and returns how many were acknowledged.
func (e *env) produce(in io.Reader, o produceOptions, acknowledged func(*kgo.Record)) (int, error) {
	opts, err := o.clientOptions(e.timeout)
	if err != nil {
		return 0, err
	}
	cl, err := e.connect(opts...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	if err := e.ping(cl); err != nil {
		return 0, failed(err, "cannot write to topic %s", o.topic)
	}
	var mu sync.Mutex
	var firstErr error
	written := 0
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	promise := func(r *kgo.Record, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			stop()
			return
		}
		written++
		acknowledged(r)
	}
	lines := bufio.NewReaderSize(in, 64<<10)
	end := byte('\n')
	if o.zeroEnds {
		end = 0
	}
	var readErr error
	for n := 1; ctx.Err() == nil; n++ {
		line, err := lines.ReadBytes(end)
		if len(line) == 0 && err != nil {
			if !errors.Is(err, io.EOF) {
				readErr = &failure{what: "cannot read the records", why: err.Error()}
			}
			break
		}
		r, err := o.record(bytes.TrimSuffix(line, []byte{end}))
		if err != nil {
			readErr = &failure{what: fmt.Sprintf("cannot use line %d", n), why: err.Error()}
			break
		}
		cl.Produce(ctx, r, promise)
	}
	flushErr := cl.Flush(e.ctx)
	mu.Lock()
	defer mu.Unlock()
	switch {
	case firstErr != nil:
		return written, failed(firstErr, "cannot write to topic %s", o.topic)
	case readErr != nil:
		return written, readErr
	}
	return written, flushErr
}

// ping finds out quickly whether anybody answers: the producer itself would retry until
// records time out, and then know no reason.
func (e *env) ping(cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(e.ctx, e.timeout)
	defer cancel()
	return cl.Ping(ctx)
}

// record makes a record of one line.
func (o *produceOptions) record(line []byte) (*kgo.Record, error) {
	r := &kgo.Record{}
	switch {
	case o.json:
		var j recordJSON
		if err := decodeJSON(line, &j); err != nil {
			return nil, err
		}
		var err error
		if r, err = j.record(); err != nil {
			return nil, err
		}
	case o.keySeparator != "":
		key, value, ok := bytes.Cut(line, []byte(o.keySeparator))
		if !ok {
			return nil, fmt.Errorf("the key separator %q is not in it", o.keySeparator)
		}
		r.Key, r.Value = o.bytes(key), o.bytes(value)
	default:
		r.Value = o.bytes(line)
	}
	if o.hasKey {
		r.Key = []byte(o.key)
	}
	if o.partition >= 0 {
		r.Partition = o.partition
	}
	if o.timestampMs >= 0 {
		r.Timestamp = time.UnixMilli(o.timestampMs)
	}
	for _, h := range o.headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h[0], Value: []byte(h[1])})
	}
	return r, nil
}

func (o *produceOptions) bytes(b []byte) []byte {
	if o.null != "" && string(b) == o.null {
		return nil
	}
	if b == nil {
		return []byte{}
	}
	return b
}

// unescape reads \t, \n, \r, \0 and \\ in a separator.
func unescape(s string) string {
	return strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\r`, "\r", `\0`, "\x00", `\\`, `\`).Replace(s)
}
