// Command floor is a toy that does as little as a produce path can: it reads a frame,
// checks the batch's CRC, patches its offset, appends it to a file and answers. What it
// costs is the floor that the broker's figures are held against. It knows nothing but
// Produce of version 9 with one partition, the first answer of each connection included.
//
//	floor [flags] LISTEN-ADDRESS DIRECTORY
//
// Like any log it appends to files that grow: it begins a new one past -segment bytes,
// syncs the old one in the background, and now and then removes the oldest ones while
// -retention bytes are left. So it pays for fresh pages of the page cache as a broker with
// those settings does. With -warm it overwrites one file per partition instead, whose pages
// it has had before: what the same work costs where memory is free.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	f := &floor{logs: map[partitionKey]*partition{}}
	flag.Int64Var(&f.segment, "segment", 256<<20, "bytes of a file")
	flag.Int64Var(&f.retention, "retention", 512<<20, "bytes of a partition that are kept")
	check := flag.Duration("check", time.Second, "time between two looks for files to remove")
	flag.BoolVar(&f.warm, "warm", false, "overwrite one file per partition")
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: floor [flags] LISTEN-ADDRESS DIRECTORY")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f.dir = flag.Arg(1)
	go func() {
		for range time.Tick(*check) {
			f.removeOld()
		}
	}()
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go f.serve(conn)
	}
}

type floor struct {
	dir                string
	segment, retention int64
	warm               bool
	mu                 sync.Mutex
	logs               map[partitionKey]*partition // guarded by mu
}

type partitionKey struct {
	topic string
	index int32
}

// partition is a row of files, the last of which is written to.
type partition struct {
	mu   sync.Mutex
	dir  string
	file *os.File
	pos  int64    // in file
	next int64    // the next record's offset
	old  []string // full files, oldest first
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (f *floor) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 64<<10)
	out := bufio.NewWriterSize(conn, 4<<10)
	var frame, pattern []byte
	var offsetPos int
	for {
		var size [4]byte
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(size[:]))
		if n > 16<<20 {
			return
		}
		if cap(frame) < n {
			frame = make([]byte, n)
		}
		frame = frame[:n]
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		topic, index, batch, err := parse(frame)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		offset, err := f.append(topic, index, batch)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		if pattern == nil {
			pattern, offsetPos = answer(string(topic), index)
		}
		copy(pattern[4:8], frame[4:8]) // correlation id
		binary.BigEndian.PutUint64(pattern[offsetPos:], uint64(offset))
		out.Write(pattern)
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return
			}
		}
	}
}

var errNotOurs = errors.New("floor: not a Produce of version 9 with one partition")

// parse finds the topic, the partition and the batch in a request.
func parse(b []byte) (topic []byte, index int32, batch []byte, err error) {
	if len(b) < 10 || binary.BigEndian.Uint32(b) != 9 { // key 0, version 9
		return nil, 0, nil, errNotOurs
	}
	pos := 10 + int(binary.BigEndian.Uint16(b[8:])) + 1 // client id, tags
	pos += 1 + 2 + 4 + 1                                // transactional id, acks, timeout, topic count
	if pos >= len(b) {
		return nil, 0, nil, errNotOurs
	}
	nameSize := int(b[pos]) - 1
	pos++
	if pos+nameSize+1+4 >= len(b) {
		return nil, 0, nil, errNotOurs
	}
	topic = b[pos : pos+nameSize]
	pos += nameSize + 1
	index = int32(binary.BigEndian.Uint32(b[pos:]))
	pos += 4
	size, n := binary.Uvarint(b[pos:])
	pos += n
	if n <= 0 || size < 62 || size-1 > uint64(len(b)-pos) {
		return nil, 0, nil, errNotOurs
	}
	return topic, index, b[pos : pos+int(size-1)], nil
}

func (f *floor) append(topic []byte, index int32, batch []byte) (int64, error) {
	if crc32.Checksum(batch[21:], castagnoli) != binary.BigEndian.Uint32(batch[17:]) {
		return 0, errors.New("floor: checksum")
	}
	f.mu.Lock()
	p := f.logs[partitionKey{string(topic), index}]
	if p == nil {
		p = &partition{dir: filepath.Join(f.dir, fmt.Sprintf("%s-%d", topic, index))}
		if err := os.MkdirAll(p.dir, 0o755); err != nil {
			f.mu.Unlock()
			return 0, err
		}
		f.logs[partitionKey{string(topic), index}] = p
	}
	f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil || p.pos+int64(len(batch)) > f.segment {
		if err := f.roll(p); err != nil {
			return 0, err
		}
	}
	offset := p.next
	binary.BigEndian.PutUint64(batch, uint64(offset))
	if _, err := p.file.WriteAt(batch, p.pos); err != nil {
		return 0, err
	}
	p.next += int64(binary.BigEndian.Uint32(batch[23:])) + 1
	p.pos += int64(len(batch))
	return offset, nil
}

// roll begins the partition's next file, or the same one again.
func (f *floor) roll(p *partition) error {
	p.pos = 0
	if p.file != nil {
		if f.warm {
			return nil
		}
		p.old = append(p.old, p.file.Name())
		go func(full *os.File) {
			if err := full.Sync(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
			full.Close()
		}(p.file)
	}
	file, err := os.Create(filepath.Join(p.dir, fmt.Sprintf("%020d.log", p.next)))
	p.file = file
	return err
}

// removeOld removes the oldest files as long as what is left is as much as is to be kept.
func (f *floor) removeOld() {
	f.mu.Lock()
	partitions := slices.Collect(maps.Values(f.logs))
	f.mu.Unlock()
	for _, p := range partitions {
		p.mu.Lock()
		var remove []string
		for have := p.pos + int64(len(p.old))*f.segment; len(p.old) > 0 && have-f.segment >= f.retention; have -= f.segment {
			remove, p.old = append(remove, p.old[0]), p.old[1:]
		}
		p.mu.Unlock()
		for _, name := range remove {
			os.Remove(name)
		}
	}
}

// answer encodes the answer to a request for one partition and says where the offset
// stands in it.
func answer(topic string, index int32) (pattern []byte, offsetPos int) {
	r := kmsg.NewPtrProduceResponse()
	r.Version = 9
	t := kmsg.NewProduceResponseTopic()
	t.Topic = topic
	p := kmsg.NewProduceResponseTopicPartition()
	p.Partition = index
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	body := r.AppendTo(nil)
	pattern = binary.BigEndian.AppendUint32(nil, uint32(5+len(body)))
	pattern = append(pattern, 0, 0, 0, 0, 0) // correlation id, tags
	pattern = append(pattern, body...)
	return pattern, 9 + 1 + 1 + len(topic) + 1 + 4 + 2
}
