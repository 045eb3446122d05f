package compress

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
)

// The length that a snappy block or an Xerial chunk declares was allocated before anything
// of it had been read (34455, 34453, 34454 and 43642 are the same library).
func TestCVE_2023_34455_CVE_2023_34453_CVE_2023_34454_CVE_2023_43642_DeclaredLengthsAreNotAllocated(t *testing.T) {
	const max = 1 << 20
	xerial := append([]byte("\x82SNAPPY\x00"), 0, 0, 0, 1, 0, 0, 0, 1)
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x0f} // a block of 4 GiB less one
	chunk := func(size uint32, content ...byte) []byte {
		return append(binary.BigEndian.AppendUint32(append([]byte(nil), xerial...), size), content...)
	}
	for name, data := range map[string][]byte{
		"raw block of 4 GiB":              huge,
		"raw block of 1 GiB with a byte":  {0x80, 0x80, 0x80, 0x80, 4, 0},
		"length of 64 bits":               {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"chunk of 2 GiB":                  chunk(0x7fffffff, 1, 2, 3),
		"chunk of 4 GiB":                  chunk(0xffffffff, 1, 2, 3),
		"chunk that is a block of 4 GiB":  chunk(uint32(len(huge)), huge...),
		"chunk that goes beyond the data": chunk(100, 1, 2, 3),
		"half a chunk's length":           append(append([]byte(nil), xerial...), 0, 0),
	} {
		boundedBy(t, name, Snappy, data, max)
	}
}

// The same for the other codecs: windows, content sizes, and bombs.
func TestDecompressionBombsCostWhatTheyMay(t *testing.T) {
	const max = 1 << 20
	for shape, frame := range map[string]struct {
		codec int8
		data  []byte
	}{
		"zstd, content size 2^62":  {Zstd, append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, binary.LittleEndian.AppendUint64(nil, 1<<62)...)},
		"zstd, window of 2 GiB":    {Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0}},
		"zstd, 10,000 runs":        {Zstd, zstdRuns(0x58, 10_000)},
		"zstd, the same by 16 MiB": {Zstd, zstdRuns(0x70, 10_000)},
		"lz4, content size 2^62":   {LZ4, append([]byte{0x04, 0x22, 0x4d, 0x18, 0x68, 0x70}, binary.LittleEndian.AppendUint64(nil, 1<<62)...)},
		"lz4, block of 2 GiB":      {LZ4, []byte{0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73, 0xff, 0xff, 0xff, 0x7f}},
		"gzip, name without end":   {Gzip, append([]byte{0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3}, make100('a')...)},
	} {
		boundedBy(t, shape, frame.codec, frame.data, max)
	}
	zeros := make([]byte, 64<<20)
	for _, codec := range codecs {
		if codec == None {
			continue
		}
		data, err := AppendCompress(nil, codec, 0, zeros)
		if err != nil {
			t.Fatal(err)
		}
		boundedBy(t, "64 MiB of zeros by "+name(codec), codec, data, max)
	}
}

// boundedBy decompresses, which must fail and cost little more than it may give.
func boundedBy(t *testing.T, name string, codec int8, data []byte, max int) {
	t.Helper()
	Decompress(codec, data, max) // what pools keep is theirs
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err := Decompress(codec, data, max)
	runtime.ReadMemStats(&after)
	if err == nil || len(out) > max {
		t.Errorf("%s: %d bytes, %v", name, len(out), err)
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > uint64(16*max) {
		t.Errorf("%s: cost %d bytes", name, cost)
	}
	if errors.Is(err, ErrCodec) {
		t.Errorf("%s: %v", name, err)
	}
}

// zstdRuns is a frame of n blocks, each a byte and the number of times it stands there, in
// a window of 2 MiB (0x58) or 16 MiB (0x70).
func zstdRuns(window byte, n int) []byte {
	out := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, window}
	const size = 128 << 10
	for i := range n {
		header := uint32(size<<3 | 1<<1)
		if i == n-1 {
			header |= 1
		}
		out = append(out, byte(header), byte(header>>8), byte(header>>16), 'x')
	}
	return out
}

func make100(b byte) []byte {
	out := make([]byte, 100)
	for i := range out {
		out[i] = b
	}
	return out
}

// The lz4 library that librdkafka brings along moved memory by a negative length (2021-3520).
// No block that claims more than it has, or copies from before its beginning, gives anything
// but an error.
func TestCVE_2021_3520_BlocksOfLZ4StayWithinTheirBounds(t *testing.T) {
	const max = 1 << 20
	good, err := AppendCompress(nil, LZ4, 0, make100('x'))
	if err != nil {
		t.Fatal(err)
	}
	header := 7 // magic, flags, block size, checksum
	if n := binary.LittleEndian.Uint32(good[header:]); int(n) >= len(good) {
		t.Fatalf("the header is not %d bytes: %x", header, good)
	}
	frame := func(size uint32, block ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(append([]byte(nil), good[:header]...), size)
		return append(append(b, block...), 0, 0, 0, 0)
	}
	of := func(block ...byte) []byte { return frame(uint32(len(block)), block...) }
	endless := append([]byte{0xf0}, make([]byte, 0)...)
	for range 5000 {
		endless = append(endless, 0xff)
	}
	for name, data := range map[string][]byte{
		"a block of 2 GiB":                   frame(1<<31-1, 'x'),
		"a stored block of 2 GiB":            frame(1<<32-1, 'x'),
		"a block longer than the frame":      frame(100, 'x'),
		"a match before the beginning":       of(0x10, 'x', 2, 0, 0),
		"a match at distance nought":         of(0x14, 'x', 0, 0, 0x50, 1, 2, 3, 4, 5),
		"a match 64 KiB back":                of(0x1f, 'x', 0xff, 0xff, 0xff, 0xff, 0),
		"literals that are not there":        of(0xf0, 0xff, 0xff, 0xff, 0xff, 0),
		"literals of 1 MiB that are not":     of(endless...),
		"a match without an end":             of(append([]byte{0x1f, 'x', 1, 0}, endless[1:]...)...),
		"a match whose distance is cut":      of(0x14, 'x', 1),
		"a token and nothing":                of(0x50),
		"a match of 1 MiB in a block of 64K": of(append(append([]byte{0x1f, 'x', 1, 0}, endless[1:]...), 0, 0x50, 1, 2, 3, 4, 5)...),
	} {
		boundedBy(t, name, LZ4, data, max)
	}
}
