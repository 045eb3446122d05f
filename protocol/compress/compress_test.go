package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// inputs are shapes of data: nothing, little, text, noise, long runs, and more than any
// block or in-memory limit.
func inputs() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var text bytes.Buffer
	for i := 0; text.Len() < 3<<20; i++ {
		fmt.Fprintf(&text, `{"user":%d,"action":"click","at":%d}`, random.IntN(1000), 1_700_000_000+i)
	}
	return map[string][]byte{
		"empty": {},
		"one":   {7},
		"small": []byte("a message of no great length"),
		"text":  text.Bytes()[:100_000],
		"noise": noise,
		"zeros": make([]byte, 5<<20),
		"large": text.Bytes(),
	}
}

var codecs = []int8{None, Gzip, Snappy, LZ4, LZ4Legacy, Zstd}

func TestWhatIsWrittenIsRead(t *testing.T) {
	levels := map[int8][]int{
		None: {0}, Snappy: {0}, LZ4Legacy: {0, 1},
		Gzip: {0, -1, 1, 6, 9},
		LZ4:  {0, 1, 5, 9, 12, 17},
		Zstd: {0, -131072, -5, 1, 3, 7, 10, 22},
	}
	for shape, data := range inputs() {
		for _, codec := range codecs {
			for _, level := range levels[codec] {
				compressed, err := AppendCompress([]byte("kept"), codec, level, data)
				if err != nil {
					t.Fatalf("%s %s level %d: %v", shape, name(codec), level, err)
				}
				if string(compressed[:4]) != "kept" {
					t.Fatalf("%s %s level %d: what was in dst is gone", shape, name(codec), level)
				}
				got, err := Decompress(codec, compressed[4:], len(data))
				if codec == Zstd && len(data) == 0 {
					continue // an empty frame, or none at all
				}
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s %s level %d: %d bytes came back as %d, %v", shape, name(codec), level, len(data), len(got), err)
				}
			}
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	for shape, data := range inputs() {
		if len(data) == 0 {
			continue
		}
		for _, codec := range codecs {
			compressed, err := AppendCompress(nil, codec, 0, data)
			if err != nil {
				t.Fatal(err)
			}
			for _, max := range []int{0, 1, len(data) / 2, len(data) - 1} {
				if max >= len(data) {
					continue
				}
				got, err := Decompress(codec, compressed, max)
				if !errors.Is(err, ErrTooLarge) || len(got) > max {
					t.Errorf("%s %s: %d bytes bounded to %d: got %d, %v", shape, name(codec), len(data), max, len(got), err)
				}
			}
		}
	}
}

func TestLevelsOutsideKafkasAreRefused(t *testing.T) {
	for codec, levels := range map[int8][]int{Gzip: {-2, 10}, LZ4: {-1, 18}, Zstd: {23, -131073}} {
		for _, level := range levels {
			if _, err := AppendCompress(nil, codec, level, []byte("x")); err == nil {
				t.Errorf("%s took level %d", name(codec), level)
			}
		}
	}
}

func TestUnknownCodecsAreRefused(t *testing.T) {
	for _, codec := range []int8{-1, 5, 6, 7, 127} {
		if _, err := Decompress(codec, []byte("x"), 10); !errors.Is(err, ErrCodec) {
			t.Errorf("codec %d: %v", codec, err)
		}
		if _, err := AppendCompress(nil, codec, 0, []byte("x")); !errors.Is(err, ErrCodec) {
			t.Errorf("codec %d: %v", codec, err)
		}
	}
}

func TestTruncationIsAnError(t *testing.T) {
	data := inputs()["text"]
	for _, codec := range codecs[1:] {
		compressed, _ := AppendCompress(nil, codec, 0, data)
		for _, cut := range []int{0, 1, 5, 20, len(compressed) / 2, len(compressed) - 1} {
			if codec == Snappy && cut == 0 {
				continue
			}
			got, err := Decompress(codec, compressed[:cut], 1<<20)
			if err == nil {
				t.Errorf("%s cut to %d of %d gave %d bytes and no error", name(codec), cut, len(compressed), len(got))
			}
		}
	}
}

func TestOnlyMagic0ToleratesTheBrokenHeaderChecksum(t *testing.T) {
	data := []byte("the header checksum of magic 0 covers the frame's magic number")
	right, _ := AppendCompress(nil, LZ4, 0, data)
	wrong, _ := AppendCompress(nil, LZ4Legacy, 0, data)
	if right[6] == wrong[6] || !bytes.Equal(right[7:], wrong[7:]) {
		t.Fatalf("frames % x and % x should differ in the header checksum alone", right[:8], wrong[:8])
	}
	if _, err := Decompress(LZ4, wrong, 1000); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the broken checksum was taken: %v", err)
	}
	for _, frame := range [][]byte{right, wrong} {
		if got, err := Decompress(LZ4Legacy, frame, 1000); err != nil || !bytes.Equal(got, data) {
			t.Errorf("magic 0 refused a frame: %v", err)
		}
	}
}

func TestRawAndStrungSnappyIsRead(t *testing.T) {
	data := inputs()["text"]
	framed, _ := AppendCompress(nil, Snappy, 0, data[:1000])
	raw := framed[len(xerialHeader)+4:] // a single block
	if got, err := Decompress(Snappy, raw, 1000); err != nil || !bytes.Equal(got, data[:1000]) {
		t.Errorf("raw snappy: %v", err)
	}
	strung, _ := AppendCompress(framed, Snappy, 0, data[1000:50_000])
	if got, err := Decompress(Snappy, strung, 1<<20); err != nil || !bytes.Equal(got, data[:50_000]) {
		t.Errorf("two streams after each other: %v", err)
	}
}

func TestGzipMembersAndWhatFollowsThem(t *testing.T) {
	two, _ := AppendCompress(nil, Gzip, 0, []byte("one, "))
	two, _ = AppendCompress(two, Gzip, 9, []byte("two"))
	for _, tail := range []string{"", "\x00", "no gzip here, but quite long"} {
		got, err := Decompress(Gzip, append(two[:len(two):len(two)], tail...), 100)
		if err != nil || string(got) != "one, two" {
			t.Errorf("with tail %q: %q, %v", tail, got, err)
		}
	}
}

func TestReaderGivesTheSameInAnyPieces(t *testing.T) {
	data := inputs()["large"]
	for _, codec := range codecs {
		compressed, _ := AppendCompress(nil, codec, 0, data)
		for _, size := range []int{1000, 65_537} {
			r, err := NewReader(codec, compressed, len(data))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for piece := make([]byte, size); ; {
				n, err := r.Read(piece)
				got = append(got, piece[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", name(codec), err)
				}
			}
			r.Close()
			if !bytes.Equal(got, data) {
				t.Errorf("%s in pieces of %d differs", name(codec), size)
			}
		}
	}
}

// TestZstdOfAnyWindowIsRead covers the three ways a frame may go: whole, as a stream, and
// whole again if its window is too large for one. The frames do not tell their size, as
// Java's do not.
func TestZstdOfAnyWindowIsRead(t *testing.T) {
	large := bytes.Repeat(inputs()["large"], 3)
	for _, window := range []int{2 << 20, 8 << 20, 128 << 20} {
		for _, size := range []int{1000, len(large)} {
			data := large[:size]
			var compressed bytes.Buffer
			w, err := zstd.NewWriter(&compressed, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1),
				zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; at < size; at += 100_000 {
				w.Write(data[at:min(at+100_000, size)])
				if at == 0 {
					w.Flush() // from here on the size cannot be told
				}
			}
			w.Close()
			got, err := Decompress(Zstd, compressed.Bytes(), size)
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("window %d, %d bytes came back as %d, %v", window, size, len(got), err)
			}
			if got, err := Decompress(Zstd, compressed.Bytes(), size-1); !errors.Is(err, ErrTooLarge) || len(got) >= size {
				t.Errorf("window %d, %d bytes in one less: %d, %v", window, size, len(got), err)
			}
		}
	}
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	data := inputs()["text"]
	for _, codec := range codecs {
		compressed, _ := AppendCompress(nil, codec, 0, data)
		dst := make([]byte, 0, 2*len(data))
		if n := testing.AllocsPerRun(20, func() {
			if _, err := AppendDecompress(dst, codec, compressed, len(data)); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("decompressing %s allocates %v times", name(codec), n)
		}
		if n := testing.AllocsPerRun(20, func() {
			if _, err := AppendCompress(dst, codec, 0, data); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("compressing %s allocates %v times", name(codec), n)
		}
	}
}

func TestXXH32(t *testing.T) {
	for in, want := range map[string]uint32{
		"":    0x02cc5d05,
		"a":   0x550d7456,
		"abc": 0x32d153ff,
		"Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := xxh32([]byte(in)); got != want {
			t.Errorf("xxh32(%q) = %#x, want %#x", in, got, want)
		}
	}
}

// FuzzDecompress holds every codec to its bound, and to saying the same in whole and in
// pieces.
func FuzzDecompress(f *testing.F) {
	for _, data := range inputs() {
		if len(data) > 500 {
			data = data[:500]
		}
		for _, codec := range codecs {
			compressed, _ := AppendCompress(nil, codec, 0, data)
			f.Add(codec, compressed)
		}
	}
	f.Fuzz(func(t *testing.T, codec int8, src []byte) {
		defer fuzzcost.Bound(t, len(src), 4096)()
		const max = 1 << 17
		whole, err := Decompress(codec, src, max)
		if len(whole) > max {
			t.Fatalf("%d bytes came out of %d", len(whole), max)
		}
		if err != nil {
			return
		}
		again, err := AppendCompress(nil, codec, 0, whole)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decompress(codec, again, len(whole))
		if len(whole) > 0 && (err != nil || !bytes.Equal(back, whole)) {
			t.Fatalf("%d bytes came back as %d, %v", len(whole), len(back), err)
		}
	})
}

func BenchmarkDecompress(b *testing.B) {
	data := inputs()["text"][:64<<10]
	for _, codec := range codecs[1:] {
		compressed, _ := AppendCompress(nil, codec, 0, data)
		dst := make([]byte, 0, 2*len(data))
		b.Run("codec="+name(codec), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := AppendDecompress(dst, codec, compressed, len(data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompress(b *testing.B) {
	data := inputs()["text"][:64<<10]
	for _, codec := range codecs[1:] {
		dst := make([]byte, 0, 2*len(data))
		b.Run("codec="+name(codec), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := AppendCompress(dst, codec, 0, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
