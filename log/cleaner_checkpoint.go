package log

import (
	"github.com/barnabas-broker/barnabas/protocol"
)

// updateCheckpoints changes the first dirty offsets of a data directory and writes the
// file if change says that anything did.
func (c *Cleaner) updateCheckpoints(dir string, change func(offsets map[protocol.TopicPartition]int64) bool) error {
	c.mu.Lock()
	d := c.dirs[dir]
	c.mu.Unlock()
	if d == nil {
		return nil
	}
	d.writing.Lock()
	defer d.writing.Unlock()
	c.mu.Lock()
	changed := change(d.offsets)
	var entries []PartitionOffset
	if changed {
		entries = make([]PartitionOffset, 0, len(d.offsets))
		for tp, offset := range d.offsets {
			entries = append(entries, PartitionOffset{tp, offset})
		}
	}
	c.mu.Unlock()
	if !changed {
		return nil
	}
	return d.file.Write(entries)
}

func (c *Cleaner) setCheckpoint(dir string, tp protocol.TopicPartition, offset int64) error {
	return c.updateCheckpoints(dir, func(offsets map[protocol.TopicPartition]int64) bool {
		offsets[tp] = offset
		return true
	})
}

// setCheckpointUnlessStopped is for the end of a pass. One that was asked to stop leaves
// the checkpoint as it was, as in Apache: the next pass does no harm to what is clean.
func (c *Cleaner) setCheckpointUnlessStopped(dir string, tp protocol.TopicPartition, offset int64) error {
	return c.updateCheckpoints(dir, func(offsets map[protocol.TopicPartition]int64) bool {
		if c.partitions[tp].stop {
			return false
		}
		offsets[tp] = offset
		return true
	})
}

// Checkpoint is the first offset of a partition that has not been compacted, if it was
// compacted at all.
func (c *Cleaner) Checkpoint(dir string, tp protocol.TopicPartition) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d := c.dirs[dir]; d != nil {
		offset, ok := d.offsets[tp]
		return offset, ok
	}
	return 0, false
}

// TruncateCheckpoint lowers the partition's checkpoint to offset if it is above, as must
// be done when the log is truncated.
func (c *Cleaner) TruncateCheckpoint(dir string, tp protocol.TopicPartition, offset int64) error {
	return c.updateCheckpoints(dir, func(offsets map[protocol.TopicPartition]int64) bool {
		if offsets[tp] <= offset {
			return false
		}
		offsets[tp] = offset
		return true
	})
}

// RemoveCheckpoint forgets a partition that is deleted.
func (c *Cleaner) RemoveCheckpoint(dir string, tp protocol.TopicPartition) error {
	return c.updateCheckpoints(dir, func(offsets map[protocol.TopicPartition]int64) bool {
		delete(c.uncleanable, tp)
		_, there := offsets[tp]
		delete(offsets, tp)
		return there
	})
}

// MoveCheckpoint takes a partition's checkpoint to another data directory.
func (c *Cleaner) MoveCheckpoint(tp protocol.TopicPartition, fromDir, toDir string) error {
	offset, ok := c.Checkpoint(fromDir, tp)
	if !ok {
		return nil
	}
	if err := c.setCheckpoint(toDir, tp, offset); err != nil {
		return err
	}
	return c.updateCheckpoints(fromDir, func(offsets map[protocol.TopicPartition]int64) bool {
		delete(offsets, tp)
		return true
	})
}

// DropDir stops using a data directory that has failed.
func (c *Cleaner) DropDir(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.dirs, dir)
}
