package compress

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"
)

// claimsWindow is a frame of a window that is stored in its sixth byte, with blocks that
// each stand for a run of one byte.
func claimsWindow(exponent byte, runs ...int) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, (exponent - 10) << 3}
	for i, n := range runs {
		header := uint32(n<<3 | 1<<1)
		if i == len(runs)-1 {
			header |= 1
		}
		out = append(out, byte(header), byte(header>>8), byte(header>>16), 'x')
	}
	return out
}

// Java's level 22 claims a window of 128 MiB for a batch of ten bytes, so a claim is no
// reason to refuse it, and none to believe it.
func TestAClaimedWindowIsNotAllocated(t *testing.T) {
	for exponent := byte(20); exponent <= 27; exponent++ {
		data := claimsWindow(exponent, 3, 4, 3)
		if len(data) > 20 {
			t.Fatalf("the frame has %d bytes", len(data))
		}
		want := []byte("xxxxxxxxxx")
		if got, err := Decompress(Zstd, data, 100<<20); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("window 2^%d: %q, %v", exponent, got, err)
		}
		runtime.GC() // and with it what the pools hold
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := Decompress(Zstd, data, 100<<20)
		runtime.ReadMemStats(&after)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("window 2^%d: %q, %v", exponent, got, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 1<<20 {
			t.Errorf("window 2^%d: cost %d bytes", exponent, cost)
		}
	}
	if _, err := Decompress(Zstd, claimsWindow(28, 3), 100<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a window that Apache does not read either: %v", err)
	}
}

// What really comes out of a large window lies in memory whole: a few kilobytes make a
// hundred megabytes of it. However many clients send such batches, few are at it at a time.
func TestFewFramesOfLargeWindowsAreInMemoryAtATime(t *testing.T) {
	runs := make([]int, 80) // 10 MiB
	for i := range runs {
		runs[i] = 128 << 10
	}
	data := claimsWindow(27, runs...)
	open := func() (*Reader, error) {
		r, err := NewReader(Zstd, data, 100<<20)
		if err != nil {
			return nil, err
		}
		_, err = r.Read(make([]byte, 1))
		return r, err
	}
	first := make([]*Reader, cap(zstdTurns))
	for i := range first {
		var err error
		if first[i], err = open(); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	closed := false
	for range 4 {
		wg.Go(func() {
			r, err := open()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			mu.Lock()
			if !closed {
				t.Error("one more is in memory")
			}
			mu.Unlock()
			if n, err := io.Copy(io.Discard, r); n != 10<<20-1 || err != nil {
				t.Errorf("%d more bytes, %v", n, err)
			}
		})
	}
	if small, err := Decompress(Zstd, claimsWindow(27, 10), 100); err != nil || len(small) != 10 {
		t.Errorf("a small batch has to wait, or fails: %v", err)
	}
	mu.Lock()
	closed = true
	mu.Unlock()
	for _, r := range first {
		r.Close()
	}
	wg.Wait()
	if len(zstdTurns) != 0 {
		t.Error("a turn was not given back")
	}
	// A frame that turns out to be too large, or cut short, gives its turn back too.
	if _, err := Decompress(Zstd, data, 9<<20); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := Decompress(Zstd, data[:len(data)-2], 100<<20); err == nil {
		t.Error("a frame that is cut short was read")
	}
	if len(zstdTurns) != 0 {
		t.Error("a turn was not given back")
	}
}
