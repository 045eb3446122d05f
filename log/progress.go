package log

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// progressName is a file of ours in a data directory; Apache Kafka does not look at it.
const progressName = ".barnabas-progress"

// progressFile notes, every second or so and without waiting for the disk, up to where
// logs were written. If the broker is killed, the page cache survives: what was written
// when it was noted is whole, and the next start need not check it again. If the machine
// loses its memory, the note means nothing; therefore it begins with the kernel's boot
// id, and only the recovery point counts when that has changed.
//
// The file is a journal. A header, magic and boot id, then records:
//
//	0 CRC-32C   4   of what follows the length
//	4 length    2   of what follows
//	6 the note, see [progressNote]
//
// A record that was cut short ends it. The last record of a log counts.
type progressFile struct {
	fs     FS
	path   string
	bootID string

	mu   sync.Mutex
	file File
	size int64
	buf  []byte
}

const (
	progressMagic   = "BNPROG01"
	progressMaxSize = 64 << 20
	progressGrown   = 4 << 20 // from here on the file is rewritten when it holds mostly old notes
)

// progressNote is what is noted of one log.
type progressNote struct {
	partition    protocol.TopicPartition
	topicID      protocol.UUID
	logEndOffset int64
	base         int64 // of the active segment; -1 if nothing above the recovery point may be trusted
	size         int64 // of the active segment
	noProducers  bool  // no producer was known
	epochs       []EpochEntry
}

// The number of leader epochs that a note holds, the newest ones. More are only ever
// unsynced if leadership changes faster than logs are flushed; then older ones are
// found in the batches.
const progressEpochs = 8

var progressTable = crc32.MakeTable(crc32.Castagnoli)

func newProgressFile(fsys FS, dir string) *progressFile {
	return &progressFile{fs: fsys, path: filepath.Join(dir, progressName)}
}

func (n *progressNote) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(len(n.partition.Topic)))
	dst = append(dst, n.partition.Topic...)
	dst = binary.AppendVarint(dst, int64(n.partition.Partition))
	dst = append(dst, n.topicID[:]...)
	dst = binary.AppendVarint(dst, n.logEndOffset)
	dst = binary.AppendVarint(dst, n.base)
	dst = binary.AppendVarint(dst, n.size)
	flags := byte(0)
	if n.noProducers {
		flags = 1
	}
	dst = append(dst, flags, byte(len(n.epochs)))
	for _, e := range n.epochs {
		dst = binary.AppendVarint(dst, int64(e.Epoch))
		dst = binary.AppendVarint(dst, e.StartOffset)
	}
	body := dst[start+6:]
	binary.BigEndian.PutUint32(dst[start:], crc32.Checksum(body, progressTable))
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(body)))
	return dst
}

// binaryReader reads the varints of our own files; bad is set when they end too early.
type binaryReader struct {
	b   []byte
	bad bool
}

func (r *binaryReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *binaryReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *binaryReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *binaryReader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *binaryReader) uuid() (u protocol.UUID) {
	copy(u[:], r.bytes(16))
	return u
}

func parseProgressNote(b []byte) (n progressNote, ok bool) {
	r := binaryReader{b: b}
	n.partition.Topic = string(r.bytes(r.uvarint()))
	partition := r.varint()
	n.topicID = r.uuid()
	n.logEndOffset, n.base, n.size = r.varint(), r.varint(), r.varint()
	n.noProducers = r.byte()&1 != 0
	for range r.byte() {
		e := EpochEntry{Epoch: int32(r.varint()), StartOffset: r.varint()}
		if r.bad {
			break
		}
		n.epochs = append(n.epochs, e)
	}
	n.partition.Partition = int32(partition)
	return n, !r.bad && partition >= 0 && partition <= math.MaxInt32
}

// read returns the newest note of each log, or nothing if they are of another boot.
func (p *progressFile) read() (map[protocol.TopicPartition]progressNote, error) {
	b, err := readFile(p.fs, p.path, progressMaxSize)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	header := progressMagic + p.bootID + "\n"
	if p.bootID == "" || len(b) < len(header) || string(b[:len(header)]) != header {
		return nil, nil
	}
	notes := make(map[protocol.TopicPartition]progressNote)
	for b = b[len(header):]; len(b) >= 6; {
		length := int(binary.BigEndian.Uint16(b[4:]))
		if len(b) < 6+length || crc32.Checksum(b[6:6+length], progressTable) != binary.BigEndian.Uint32(b) {
			break
		}
		if n, ok := parseProgressNote(b[6 : 6+length]); ok {
			notes[n.partition] = n
		}
		b = b[6+length:]
	}
	return notes, nil
}

// note adds what is to be noted of the logs now. The first call begins the file anew.
// Logs that are being truncated are left out, and returned in skipped.
func (p *progressFile) note(logs []*Log) (skipped []*Log, err error) {
	if p.bootID == "" || len(logs) == 0 {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		if err := p.rewriteLocked(nil); err != nil {
			return nil, err
		}
	}
	p.buf = p.buf[:0]
	for _, l := range logs {
		if l.truncating.Load() {
			skipped = append(skipped, l)
			continue
		}
		n := l.progressNote()
		p.buf = n.append(p.buf)
	}
	return skipped, p.appendLocked()
}

func (p *progressFile) appendLocked() error {
	if _, err := p.file.WriteAt(p.buf, p.size); err != nil {
		return err
	}
	p.size += int64(len(p.buf))
	return nil
}

// rewrite replaces the file by one that holds these logs only.
func (p *progressFile) rewrite(logs iter.Seq[*Log]) error {
	if p.bootID == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buf = p.buf[:0]
	for l := range logs {
		if l.truncating.Load() {
			continue // that it must not be trusted goes without saying
		}
		n := l.progressNote()
		p.buf = n.append(p.buf)
	}
	return p.rewriteLocked(p.buf)
}

func (p *progressFile) rewriteLocked(records []byte) error {
	b := append([]byte(progressMagic+p.bootID+"\n"), records...)
	f, err := p.fs.OpenFile(p.path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = p.fs.Rename(p.path+".tmp", p.path)
	}
	if err != nil {
		f.Close()
		return err
	}
	if p.file != nil {
		p.file.Close()
	}
	p.file, p.size = f, int64(len(b))
	return nil
}

// grown says that it is time for a rewrite.
func (p *progressFile) grown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size > progressGrown
}

// forget makes the next start check everything of the log above the recovery point. It
// is called with the log's truncating set.
func (p *progressFile) forget(l *Log) error {
	if p.bootID == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		if err := p.rewriteLocked(nil); err != nil {
			return err
		}
	}
	n := progressNote{partition: l.partition, topicID: l.TopicID(), base: -1}
	p.buf = n.append(p.buf[:0])
	return p.appendLocked()
}

// close removes the file: after a clean shutdown nobody needs it.
func (p *progressFile) close(remove bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
	if remove {
		return removeIfExists(p.fs, p.path)
	}
	return nil
}

// progressNote is what is to be noted of the log now. Its epochs may be shared.
func (l *Log) progressNote() progressNote {
	segments, end, size := l.end()
	n := progressNote{
		partition: l.partition, topicID: l.TopicID(), logEndOffset: end,
		base: segments.active().baseOffset, size: size, noProducers: !l.producersSeen.Load(),
	}
	if c := l.epochs.Load(); c != nil {
		entries := c.Entries()
		n.epochs = entries[max(0, len(entries)-progressEpochs):]
	}
	return n
}
