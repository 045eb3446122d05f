package broker

import (
	"runtime"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
)

// Any client that had logged in could send metrics that decompressed without end. A frame of
// 40 KB that stands for 1.2 GB, in a window of 16 MiB, costs what one push may hold.
func TestCVE_2026_111073_ABombOfMetricsCostsWhatAPushMay(t *testing.T) {
	bomb := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x70}
	const blocks = 10_000
	for i := range blocks { // each a byte and 128 KiB of it
		header := uint32(128<<10)<<3 | 1<<1
		if i == blocks-1 {
			header |= 1
		}
		bomb = append(bomb, byte(header), byte(header>>8), byte(header>>16), 'x')
	}
	w := newTelemetryWorld(t)
	a := clientAttributes{connection: 1}
	for round := range 3 {
		s, err := w.get(protocol.UUID{}, a)
		if err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(time.Hour)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = w.push(telemetryPush{clientInstanceID: s.clientInstanceID, subscriptionID: s.id, codec: compress.Zstd, metrics: bomb}, a)
		runtime.ReadMemStats(&after)
		wantCode(t, "a bomb", err, protocol.ErrTelemetryTooLarge)
		if cost := after.TotalAlloc - before.TotalAlloc; round > 0 && cost > 32<<20 {
			t.Errorf("it cost %d bytes", cost)
		}
	}
}
