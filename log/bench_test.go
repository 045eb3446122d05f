package log

import (
	"fmt"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

// benchConfig keeps benchmarks from filling the disk.
func benchConfig() *Config {
	return configWith(func(c *Config) {
		c.SegmentSize = 64 << 20
		c.RetentionSize = 128 << 20
		c.FileDeleteDelay = 0
		c.MaxMessageSize = 8 << 20
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []struct {
		name            string
		records, record int
	}{{"records=1", 1, 100}, {"batch=16KiB", 150, 100}, {"batch=1MiB", 1000, 1000}} {
		b.Run(size.name, func(b *testing.B) {
			m := testManager(b, b.TempDir(), nil)
			l := testLog(b, m, benchConfig())
			batch := testBatch(b, size.records, size.record, 1000)
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				protocol.SetBatchOffset(batch, 0, -1) // as a producer sends it
				if _, err := l.Append(batch, AppendOptions{RequestVersion: 9}); err != nil {
					b.Fatal(err)
				}
				if n += len(batch); n > 256<<20 {
					b.StopTimer()
					l.RaiseHighWatermark(l.LogEndOffset())
					l.DeleteOldSegments()
					m.RunDeletions()
					n = 0
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, maxBytes := range []int{1, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("max=%dKiB", maxBytes>>10), func(b *testing.B) {
			m := testManager(b, b.TempDir(), nil)
			l := testLog(b, m, benchConfig())
			batch := testBatch(b, 150, 100, 1000)
			for range 2000 {
				protocol.SetBatchOffset(batch, 0, -1)
				mustAppend(b, l, batch)
			}
			b.ReportAllocs()
			offset := int64(0)
			for b.Loop() {
				data, err := l.Read(offset, maxBytes, UpToHighWatermark, true)
				if err != nil {
					b.Fatal(err)
				}
				data.Region.Release()
				if offset = data.NextOffset; offset >= l.LogEndOffset() {
					offset = 0
				}
			}
		})
	}
}
