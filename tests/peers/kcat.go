package peers

import (
	"bufio"
	"bytes"
	"context"
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

// kcatClient runs kcat once for each call, as a person would.
type kcatClient struct {
	program string
	addr    string
	as      Security
}

func (k kcatClient) Create(string, int) error { return errors.New("kcat cannot create topics") }

// Produce runs kcat once for each partition. Keys and values must be free of the bytes 2
// and 3, empty ones become null, and the headers of the first record go to all.
func (k kcatClient) Produce(topic, codec string, records []Record, options ...string) error {
	byPartition := map[int32]*bytes.Buffer{}
	var headers []Header
	for _, r := range records {
		b := byPartition[r.Partition]
		if b == nil {
			b = new(bytes.Buffer)
			byPartition[r.Partition] = b
		}
		b.Write(r.Key)
		b.WriteByte(2)
		b.Write(r.Value)
		b.WriteByte(3)
		headers = r.Headers
	}
	for p, in := range byPartition {
		args := []string{"-P", "-b", k.addr, "-t", topic, "-p", strconv.Itoa(int(p)), "-K", "\x02", "-D", "\x03", "-Z",
			"-X", "batch.num.messages=10"}
		if codec != "none" {
			args = append(args, "-z", codec)
		}
		for _, h := range headers {
			args = append(args, "-H", h.Name+"="+string(h.Value))
		}
		for _, o := range options {
			key, value, _ := strings.Cut(o, "=")
			switch key {
			case "acks":
				args = append(args, "-X", "acks="+value)
			case "idempotent":
				args = append(args, "-X", "enable.idempotence="+value)
			case "give.up.ms": // librdkafka goes on after a refusal until then
				args = append(args, "-X", "message.timeout.ms="+value)
			}
		}
		if out, err := k.run(time.Minute, in, args...); err != nil {
			return fmt.Errorf("%w: %s", err, tail(out, 500))
		}
	}
	return nil
}

// kcatFormat gives each record as a line of numbers and headers, then the bytes of key
// and value, whose lengths stand in the line.
const kcatFormat = "%t %p %o %T %K %S %h\n%k%s\n"

func (k kcatClient) Consume(group string, topics []string, count int, patience time.Duration, options ...string) ([]Record, error) {
	if group == "" {
		var all []Record
		for _, t := range topics {
			out, err := k.run(patience, nil, "-C", "-q", "-b", k.addr, "-t", t, "-o", "beginning", "-e", "-f", kcatFormat,
				"-X", "fetch.wait.max.ms=100", "-X", "fetch.message.max.bytes=65536")
			if err != nil {
				return all, fmt.Errorf("%w: %s", err, tail(out, 500))
			}
			records, err := parseKcat(out)
			all = append(all, records...)
			if err != nil {
				return all, err
			}
		}
		if len(all) != count {
			return all, fmt.Errorf("read %d records and the end, not %d", len(all), count)
		}
		return all, nil
	}
	args := []string{"-G", group, "-q", "-b", k.addr, "-c", strconv.Itoa(count), "-f", kcatFormat,
		"-X", "auto.offset.reset=earliest", "-X", "fetch.wait.max.ms=100"}
	out, err := k.run(patience, nil, append(args, topics...)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, tail(out, 500))
	}
	return parseKcat(out)
}

func (k kcatClient) Close() {}

func (k kcatClient) run(patience time.Duration, in io.Reader, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if k.as.ConfigFile != "" {
		args = append([]string{"-F", k.as.ConfigFile}, args...)
	}
	for _, o := range k.as.Librdkafka() {
		args = append(args, "-X", o)
	}
	cmd := exec.CommandContext(ctx, k.program, args...)
	cmd.Env = append(os.Environ(), k.as.env()...)
	cmd.Stdin = in
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		return stderr.Bytes(), fmt.Errorf("kcat: %w", err)
	}
	return stdout.Bytes(), nil
}

func parseKcat(out []byte) ([]Record, error) {
	var records []Record
	in := bufio.NewReader(bytes.NewReader(out))
	for {
		line, err := in.ReadString('\n')
		if err == io.EOF && line == "" {
			return records, nil
		}
		if err != nil {
			return records, err
		}
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 7)
		if len(f) != 7 {
			return records, fmt.Errorf("kcat printed %q", line)
		}
		var n [5]int64
		for i := range n {
			if n[i], err = strconv.ParseInt(f[i+1], 10, 64); err != nil {
				return records, fmt.Errorf("kcat printed %q: %w", line, err)
			}
		}
		r := Record{Topic: f[0], Partition: int32(n[0]), Offset: n[1], Timestamp: n[2]}
		if r.Key, err = readKcatBytes(in, n[3]); err != nil {
			return records, err
		}
		if r.Value, err = readKcatBytes(in, n[4]); err != nil {
			return records, err
		}
		if _, err := in.Discard(1); err != nil {
			return records, err
		}
		if f[6] != "" {
			for h := range strings.SplitSeq(f[6], ",") {
				name, value, _ := strings.Cut(h, "=")
				header := Header{Name: name, Value: []byte(value)}
				if value == "NULL" {
					header.Value = nil
				}
				r.Headers = append(r.Headers, header)
			}
		}
		records = append(records, r)
	}
}

func readKcatBytes(in io.Reader, size int64) ([]byte, error) {
	if size < 0 {
		return nil, nil
	}
	b := make([]byte, size)
	_, err := io.ReadFull(in, b)
	return b, err
}
