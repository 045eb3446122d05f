// Command floor is a toy that does as little as a produce path can: it reads a frame,
// checks the batch's CRC, patches its offset, appends it to a file and answers. What it
// costs is the floor that the broker's figures are held against. It knows nothing but
// Produce of version 9 with one partition, the first answer of each connection included.
//
//	floor LISTEN-ADDRESS DIRECTORY
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: floor LISTEN-ADDRESS DIRECTORY")
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	f := &floor{dir: os.Args[2], logs: map[int32]*partition{}}
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
	dir  string
	mu   sync.Mutex
	logs map[int32]*partition // guarded by mu
}

// partition is one file that grows until 256 MiB and begins again, so that its pages are warm.
type partition struct {
	mu   sync.Mutex
	file *os.File
	pos  int64
	next int64
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
		offset, err := f.append(index, batch)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		if pattern == nil {
			pattern, offsetPos = answer(topic, index)
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
func parse(b []byte) (topic string, index int32, batch []byte, err error) {
	if len(b) < 10 || binary.BigEndian.Uint32(b) != 9 { // key 0, version 9
		return "", 0, nil, errNotOurs
	}
	pos := 10 + int(binary.BigEndian.Uint16(b[8:])) + 1 // client id, tags
	pos += 1 + 2 + 4 + 1                                // transactional id, acks, timeout, topic count
	if pos >= len(b) {
		return "", 0, nil, errNotOurs
	}
	nameSize := int(b[pos]) - 1
	pos++
	if pos+nameSize+1+4 >= len(b) {
		return "", 0, nil, errNotOurs
	}
	topic = string(b[pos : pos+nameSize])
	pos += nameSize + 1
	index = int32(binary.BigEndian.Uint32(b[pos:]))
	pos += 4
	size, n := binary.Uvarint(b[pos:])
	pos += n
	if n <= 0 || size < 62 || size-1 > uint64(len(b)-pos) {
		return "", 0, nil, errNotOurs
	}
	return topic, index, b[pos : pos+int(size-1)], nil
}

func (f *floor) append(index int32, batch []byte) (int64, error) {
	if crc32.Checksum(batch[21:], castagnoli) != binary.BigEndian.Uint32(batch[17:]) {
		return 0, errors.New("floor: checksum")
	}
	f.mu.Lock()
	p := f.logs[index]
	if p == nil {
		file, err := os.Create(filepath.Join(f.dir, fmt.Sprintf("%d.log", index)))
		if err != nil {
			f.mu.Unlock()
			return 0, err
		}
		p = &partition{file: file}
		f.logs[index] = p
	}
	f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	offset := p.next
	binary.BigEndian.PutUint64(batch, uint64(offset))
	if _, err := p.file.WriteAt(batch, p.pos); err != nil {
		return 0, err
	}
	p.next += int64(binary.BigEndian.Uint32(batch[23:])) + 1
	if p.pos += int64(len(batch)); p.pos > 256<<20 {
		p.pos = 0
	}
	return offset, nil
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
