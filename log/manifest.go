package log

import (
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"path/filepath"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

// manifestName is a file of ours in a data directory; Apache Kafka does not look at it.
const manifestName = ".barnabas-manifest"

// The manifest holds what a start needs to know of the logs in a data directory, so that
// it need not open thousands of files: it is written by a clean shutdown and believed by
// the next start only, if nobody was there in between. That is told by the clean shutdown
// marker, which Apache Kafka removes at its start and writes without our token at its
// stop, and for each log by the modification time of its directory.
//
//	magic, token (16 bytes), records, CRC-32C of all before
const (
	manifestMagic   = "BNMANI01"
	manifestMaxSize = 1 << 30
)

// cleanShutdown is the content of .kafka_cleanshutdown: JSON, in which Apache Kafka skips
// what it does not know.
type cleanShutdown struct {
	Version     int    `json:"version"`
	BrokerEpoch int64  `json:"brokerEpoch"`
	Manifest    string `json:"barnabasManifest,omitempty"`
}

// manifestRecord is what a manifest tells of one log, which is under its own name.
type manifestRecord struct {
	partition     protocol.TopicPartition
	topicID       protocol.UUID
	modifiedNs    int64 // of the log's directory
	logStart      int64
	logEnd        int64
	highWatermark int64
	firstUnstable int64
	producers     bool // some were known
	epochs        []EpochEntry
	segments      []manifestSegment
}

type manifestSegment struct {
	baseOffset         int64
	size               int64
	maxTimestamp       int64 // or timestampUnknown
	maxTimestampOffset int64
	txnIndex           bool
}

func (r *manifestRecord) append(dst []byte, previousTopic string) []byte {
	if r.partition.Topic == previousTopic {
		dst = binary.AppendUvarint(dst, 0)
	} else {
		dst = binary.AppendUvarint(dst, uint64(len(r.partition.Topic)))
		dst = append(dst, r.partition.Topic...)
	}
	dst = binary.AppendUvarint(dst, uint64(r.partition.Partition))
	dst = append(dst, r.topicID[:]...)
	for _, v := range []int64{r.modifiedNs, r.logStart, r.logEnd, r.highWatermark, r.firstUnstable} {
		dst = binary.AppendVarint(dst, v)
	}
	dst = appendBool(dst, r.producers)
	dst = binary.AppendUvarint(dst, uint64(len(r.epochs)))
	for _, e := range r.epochs {
		dst = binary.AppendVarint(dst, int64(e.Epoch))
		dst = binary.AppendVarint(dst, e.StartOffset)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.segments)))
	for _, s := range r.segments {
		for _, v := range []int64{s.baseOffset, s.size, s.maxTimestamp, s.maxTimestampOffset} {
			dst = binary.AppendVarint(dst, v)
		}
		dst = appendBool(dst, s.txnIndex)
	}
	return dst
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// read parses a record. Its slices are reused by the next call.
func (r *manifestRecord) read(b *binaryReader, previousTopic string) bool {
	r.partition.Topic = previousTopic
	if n := b.uvarint(); n > 0 {
		r.partition.Topic = string(b.bytes(n))
	}
	partition := b.uvarint()
	if partition > 1<<31-1 {
		return false
	}
	r.partition.Partition = int32(partition)
	r.topicID = b.uuid()
	for _, v := range []*int64{&r.modifiedNs, &r.logStart, &r.logEnd, &r.highWatermark, &r.firstUnstable} {
		*v = b.varint()
	}
	r.producers = b.byte() != 0
	r.epochs = r.epochs[:0]
	for n := b.uvarint(); n > 0 && !b.bad; n-- {
		r.epochs = append(r.epochs, EpochEntry{Epoch: int32(b.varint()), StartOffset: b.varint()})
	}
	r.segments = r.segments[:0]
	for n := b.uvarint(); n > 0 && !b.bad; n-- {
		s := manifestSegment{baseOffset: b.varint(), size: b.varint(), maxTimestamp: b.varint(), maxTimestampOffset: b.varint()}
		s.txnIndex = b.byte() != 0
		r.segments = append(r.segments, s)
	}
	return !b.bad && r.sane()
}

// sane refuses what no log can be like.
func (r *manifestRecord) sane() bool {
	last := int64(-1)
	for _, s := range r.segments {
		if s.baseOffset <= last || s.size < 0 {
			return false
		}
		last = s.baseOffset
	}
	return len(r.segments) > 0 && r.segments[0].baseOffset <= r.logStart && r.logStart <= r.logEnd &&
		r.highWatermark <= r.logEnd && last <= r.logEnd && r.partition.Topic != ""
}

// writeManifest writes the manifest of a data directory.
func writeManifest(fsys FS, dir string, token protocol.UUID, records []byte) error {
	b := append([]byte(manifestMagic), token[:]...)
	b = append(b, records...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, progressTable))
	return writeWholeFile(fsys, filepath.Join(dir, manifestName), b, true)
}

// readManifest returns the records of the manifest that the marker's token names, or nil.
func readManifest(fsys FS, dir, token string) []byte {
	const head = len(manifestMagic) + 16
	b, err := readFile(fsys, filepath.Join(dir, manifestName), manifestMaxSize)
	if err != nil || len(b) < head+4 || string(b[:len(manifestMagic)]) != manifestMagic {
		return nil
	}
	var id protocol.UUID
	copy(id[:], b[len(manifestMagic):])
	body := b[:len(b)-4]
	if id.String() != token || crc32.Checksum(body, progressTable) != binary.BigEndian.Uint32(b[len(body):]) {
		return nil
	}
	return body[head:]
}

// readCleanShutdown looks for the marker of a clean shutdown. Apache Kafka before 3.7
// leaves it empty.
func readCleanShutdown(fsys FS, dir string) (found bool, token string, err error) {
	b, err := readFile(fsys, filepath.Join(dir, cleanShutdownName), 1<<20)
	if isNotExist(err) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	var c cleanShutdown
	if json.Unmarshal(b, &c) != nil {
		return true, "", nil
	}
	return true, c.Manifest, nil
}

func writeCleanShutdown(fsys FS, dir string, token protocol.UUID) error {
	b, err := json.Marshal(cleanShutdown{BrokerEpoch: -1, Manifest: token.String()})
	if err != nil {
		return err
	}
	if err := writeWholeFile(fsys, filepath.Join(dir, cleanShutdownName), b, true); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}

// logFromManifest makes a log as the manifest describes it, without opening a file.
func (m *Manager) logFromManifest(d *dataDir, r *manifestRecord, nowMs int64) *Log {
	l := m.newLog(r.partition, d.home)
	l.storeTopicID(r.topicID)
	segments := make(segmentList, len(r.segments))
	for i, rs := range r.segments {
		s := newSegment(rs.baseOffset, nowMs)
		s.jitter = m.jitter(l.config.Load())
		s.size.Store(rs.size)
		s.maxTimestamp.Store(rs.maxTimestamp)
		s.maxTimestampOffset = rs.maxTimestampOffset
		if rs.txnIndex {
			s.txnIndex.Store(OpenTransactionIndex(m.opts.FS, s.path(l.Dir(), TxnIndexSuffix)))
		}
		segments[i] = s
	}
	l.segments.Store(&segments)
	l.logStartOffset.Store(r.logStart)
	l.logEndOffset.Store(r.logEnd)
	l.highWatermark.Store(min(max(r.highWatermark, r.logStart), r.logEnd))
	l.firstUnstable.Store(r.firstUnstable)
	l.recoveryPoint.Store(r.logEnd)
	l.durableOffset.Store(r.logEnd)
	l.producersSeen.Store(r.producers)
	l.lastFlushMs.Store(nowMs)
	c := &LeaderEpochCache{}
	c.set(slices.Clone(r.epochs))
	c.flushed = c.entries.Load()
	l.epochs.Store(c)
	return l
}

// manifestRecord describes a closed log.
func (l *Log) manifestRecord(modifiedNs int64) manifestRecord {
	r := manifestRecord{
		partition: l.partition, topicID: l.TopicID(), modifiedNs: modifiedNs,
		logStart: l.logStartOffset.Load(), logEnd: l.logEndOffset.Load(), highWatermark: l.highWatermark.Load(),
		firstUnstable: l.firstUnstable.Load(), producers: l.producersSeen.Load(),
	}
	if c := l.epochs.Load(); c != nil {
		r.epochs = c.Entries()
	}
	for _, s := range *l.segments.Load() {
		r.segments = append(r.segments, manifestSegment{
			baseOffset: s.baseOffset, size: s.size.Load(), maxTimestamp: s.maxTimestamp.Load(),
			maxTimestampOffset: s.maxTimestampOffset, txnIndex: s.txnIndex.Load() != nil,
		})
	}
	return r
}
