// Command goclients puts the Go clients behind the line protocol of ../adapters/PROTOCOL.md:
//
//	goclients franz-go|sarama|sarama@VERSION|kafka-go BOOTSTRAP
//
// sarama@VERSION speaks as that version of Kafka, for example 0.10.2.0.
package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// record is one line of the protocol, in either direction.
type record struct {
	topic     string
	partition int32
	offset    int64
	timestamp int64 // milliseconds; -1 is none
	key       []byte
	value     []byte
	headers   []header
}

type header struct {
	name  string
	value []byte
}

// client is what each library is made to do.
type client interface {
	create(topic string, partitions int32) error
	produce(topic, codec string, records []record, options map[string]string) error
	// consume calls put for each record and returns after count of them; group "" means none.
	consume(group string, topics []string, count int, timeout time.Duration, options map[string]string, put func(record)) error
}

// codecNames in the order of their numbers in a batch.
var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goclients franz-go|sarama[@VERSION]|kafka-go BOOTSTRAP")
		os.Exit(2)
	}
	name, bootstrap := os.Args[1], os.Args[2]
	s, err := readSecurity()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	var c client
	switch {
	case name == "franz-go":
		c = franzGo{bootstrap, s.franzGo()}
	case name == "kafka-go":
		c = kafkaGo{bootstrap}
	case strings.HasPrefix(name, "sarama"):
		_, version, _ := strings.Cut(name, "@")
		c = newSarama(bootstrap, version, s.sarama())
	default:
		fmt.Fprintln(os.Stderr, "no such client:", name)
		os.Exit(2)
	}
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	for {
		line, err := in.ReadString('\n')
		words := strings.Fields(line)
		if err != nil || len(words) == 0 || words[0] == "quit" {
			return
		}
		if err := serve(c, words, in, out); err != nil {
			fmt.Fprintf(out, "ERR %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Fprintln(out, "OK")
		}
		out.Flush()
	}
}

func serve(c client, words []string, in *bufio.Reader, out *bufio.Writer) error {
	switch words[0] {
	case "create":
		partitions, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		return c.create(words[1], int32(partitions))
	case "produce":
		count, err := strconv.Atoi(words[3])
		if err != nil {
			return err
		}
		records := make([]record, count)
		for i := range records {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if records[i], err = parse(strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
		return c.produce(words[1], words[2], records, options(words[4:]))
	case "consume":
		count, err := strconv.Atoi(words[3])
		if err != nil {
			return err
		}
		timeoutMs, err := strconv.Atoi(words[4])
		if err != nil {
			return err
		}
		group := words[1]
		if group == "-" {
			group = ""
		}
		return c.consume(group, strings.Split(words[2], ","), count, time.Duration(timeoutMs)*time.Millisecond,
			options(words[5:]), func(r record) { fmt.Fprintln(out, r.format()) })
	}
	return fmt.Errorf("no such command: %s", words[0])
}

func options(words []string) map[string]string {
	options := map[string]string{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		options[key] = value
	}
	return options
}

func parse(line string) (record, error) {
	f := strings.Split(line, "\t")
	if len(f) != 5 {
		return record{}, errors.New("a record line has five fields: " + line)
	}
	partition, err := strconv.Atoi(f[0])
	if err != nil {
		return record{}, err
	}
	r := record{partition: int32(partition), timestamp: -1, key: unhex(f[2]), value: unhex(f[3])}
	if f[1] != "-" {
		if r.timestamp, err = strconv.ParseInt(f[1], 10, 64); err != nil {
			return record{}, err
		}
	}
	if f[4] != "" {
		for h := range strings.SplitSeq(f[4], ",") {
			name, value, _ := strings.Cut(h, ":")
			r.headers = append(r.headers, header{name, unhex(value)})
		}
	}
	return r, nil
}

func (r record) format() string {
	timestamp := "-"
	if r.timestamp >= 0 {
		timestamp = strconv.FormatInt(r.timestamp, 10)
	}
	var headers []string
	for _, h := range r.headers {
		headers = append(headers, h.name+":"+tohex(h.value))
	}
	return strings.Join([]string{"R", r.topic, strconv.Itoa(int(r.partition)), strconv.FormatInt(r.offset, 10),
		timestamp, tohex(r.key), tohex(r.value), strings.Join(headers, ",")}, "\t")
}

func tohex(b []byte) string {
	if b == nil {
		return "-"
	}
	return hex.EncodeToString(b)
}

func unhex(s string) []byte {
	if s == "-" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil || b == nil {
		return []byte{}
	}
	return b
}

func tooFew(seen, count int, timeout time.Duration) error {
	return fmt.Errorf("read %d of %d records within %v", seen, count, timeout)
}
