package log

import (
	"math"

	"github.com/barnabas-broker/barnabas/protocol"
)

// logToClean is a log and how much there is to compact in it.
type logToClean struct {
	log                    CleanableLog
	config                 *Config
	partition              protocol.TopicPartition
	firstDirtyOffset       int64
	firstUncleanableOffset int64 // the base offset of a segment
	checkpointInvalid      bool
	cleanBytes             int64
	cleanableBytes         int64
	overdueMs              int64 // by how much max.compaction.lag.ms is exceeded
}

func (l *logToClean) totalBytes() int64 { return l.cleanBytes + l.cleanableBytes }

// ratio is the part of the bytes that is dirty.
func (l *logToClean) ratio() float64 {
	if l.totalBytes() == 0 {
		return 0
	}
	return float64(l.cleanableBytes) / float64(l.totalBytes())
}

func (l *logToClean) isDue() bool {
	return l.overdueMs > 0 && l.cleanableBytes > 0 || l.ratio() > l.config.MinDirtyRatio
}

// assess finds out what may be compacted of a log: from the checkpoint, or the log start
// offset if that is no offset of the log, up to the active segment, the last stable
// offset, or the first segment with a record younger than min.compaction.lag.ms.
func assess(log CleanableLog, checkpoint int64, hasCheckpoint bool, nowMs int64) (*logToClean, error) {
	l := &logToClean{log: log, config: log.Config(), partition: log.Partition()}
	logStartOffset := log.LogStartOffset()
	l.firstDirtyOffset = logStartOffset
	if hasCheckpoint {
		l.firstDirtyOffset = checkpoint
		if checkpoint < logStartOffset || checkpoint > log.LogEndOffset() {
			l.firstDirtyOffset, l.checkpointInvalid = logStartOffset, true
		}
	}
	segments := log.CleanableSegments()
	if len(segments) == 0 {
		return l, nil
	}
	active := segments[len(segments)-1]
	dirty := segmentsIn(segments, l.firstDirtyOffset, active.BaseOffset())

	uncleanable := min(log.LastStableOffset(), active.BaseOffset())
	if lagMs := l.config.MinCompactLag.Milliseconds(); lagMs > 0 {
		for _, s := range dirty {
			largest, err := s.LargestTimestamp()
			if err != nil {
				return nil, err
			}
			if largest > nowMs-lagMs {
				uncleanable = min(uncleanable, s.BaseOffset())
				break
			}
		}
	}
	uncleanable = max(uncleanable, l.firstDirtyOffset)

	// Only whole segments are compacted.
	l.firstUncleanableOffset = active.BaseOffset()
	if rest := segmentsIn(segments, uncleanable, active.BaseOffset()); len(rest) > 0 {
		l.firstUncleanableOffset = rest[0].BaseOffset()
	}
	l.cleanBytes = totalSize(segmentsIn(segments, -1, l.firstDirtyOffset))
	l.cleanableBytes = totalSize(segmentsIn(segments, min(l.firstDirtyOffset, l.firstUncleanableOffset), l.firstUncleanableOffset))

	var err error
	l.overdueMs, err = compactionOverdue(dirty, nowMs-max(l.config.MaxCompactLag.Milliseconds(), 0))
	return l, err
}

// compactionOverdue says by how much the oldest dirty record is older than it may be.
func compactionOverdue(dirty []CleanableSegment, cleanUntilMs int64) (int64, error) {
	if cleanUntilMs <= 0 {
		return 0, nil
	}
	earliest := int64(math.MaxInt64)
	for _, s := range dirty {
		timestamp, err := s.FirstBatchTimestamp()
		if err != nil {
			return 0, err
		}
		if timestamp > 0 {
			earliest = min(earliest, timestamp)
		}
	}
	return max(cleanUntilMs-earliest, 0), nil
}

func totalSize(segments []CleanableSegment) int64 {
	total := int64(0)
	for _, s := range segments {
		total += s.Size()
	}
	return total
}
