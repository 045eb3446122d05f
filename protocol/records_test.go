package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol/compress"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// testBatch builds a batch of count records of about size bytes each.
func testBatch(t testing.TB, codec Codec, count, size int) []byte {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(count)))
	var records []Record
	for i := range count {
		value := make([]byte, size)
		for k := range value {
			value[k] = "abcdefgh"[random.IntN(8)]
		}
		records = append(records, Record{Timestamp: captureTime + int64(i), Key: []byte(fmt.Sprintf("key-%d", i)), Value: value})
	}
	b, err := AppendBatch(nil, BatchOptions{Codec: codec}, records...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func allCodecs() []Codec { return []Codec{CodecNone, CodecGzip, CodecSnappy, CodecLZ4, CodecZstd} }

func codecName(c Codec) string {
	for name, codec := range codecByName {
		if codec == c {
			return name
		}
	}
	return "unknown"
}

func TestBuiltRecordsComeBack(t *testing.T) {
	large := bytes.Repeat([]byte("much larger than a window "), 20_000)
	want := []Record{
		{Offset: 100, Timestamp: 1000, Key: []byte("k"), Value: []byte("v"), Sequence: 7, Magic: 2},
		{Offset: 103, Timestamp: 900, Value: []byte{}, Sequence: 10, Magic: 2},
		{Offset: 104, Timestamp: -1, Key: []byte{}, Sequence: 11, Magic: 2},
		{Offset: 2_000_000_100, Timestamp: 1 << 60, Key: large, Value: large, Sequence: 2_000_000_007, Magic: 2,
			Headers: []Header{{[]byte("h"), nil}, {[]byte{}, large}, {[]byte("h"), []byte("again")}}},
		{Offset: 2_000_000_101, Timestamp: 0, Sequence: 2_000_000_008, Magic: 2},
	}
	for _, codec := range allCodecs() {
		var w BatchBuilder
		w.Reset([]byte("kept"), BatchOptions{BaseOffset: 100, LeaderEpoch: 4, Codec: codec,
			Producer: &Producer{ID: 9, Epoch: 1, BaseSequence: 7}})
		for _, r := range want {
			if err := w.AppendAt(r.Offset, r.Timestamp, r.Key, r.Value, r.Headers); err != nil {
				t.Fatal(err)
			}
		}
		w.SetLastOffset(2_000_000_200)
		size := w.Size()
		b, err := w.Finish()
		if err != nil || string(b[:4]) != "kept" {
			t.Fatalf("%v, %q", err, b[:4])
		}
		b = b[4:]
		if codec == CodecNone && size != len(b) {
			t.Errorf("size was said to be %d and is %d", size, len(b))
		}
		h, got := wholeSet(t, b)
		for i := range got {
			got[i] = bare(got[i])
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: records differ", codecName(codec))
		}
		if h[0].LastOffset() != 2_000_000_200 || h[0].MaxTimestamp != 1<<60 || h[0].LeaderEpoch != 4 {
			t.Errorf("%s: header %+v", codecName(codec), h[0])
		}
	}
}

func TestBuilderRefusesWhatTheFormatCannotHold(t *testing.T) {
	var w BatchBuilder
	w.Reset(nil, BatchOptions{BaseOffset: 10})
	for _, tt := range []struct {
		name              string
		offset, timestamp int64
		want              error
	}{
		{"below the base offset", 9, 0, ErrBuildOffset},
		{"delta above 32 bits", 10 + 1<<31, 0, ErrBuildOffset},
		{"negative timestamp", 10, -2, ErrBuildTimestamp},
		{"good", 10, 5, nil},
		{"same offset again", 10, 5, ErrBuildOffset},
	} {
		if err := w.AppendAt(tt.offset, tt.timestamp, nil, nil, nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	w.Reset([]byte("kept"), BatchOptions{})
	if b, err := w.Finish(); string(b) != "kept" || err != nil {
		t.Errorf("no records gave %q, %v", b, err)
	}
}

func TestEmptyBatchKeepsWhoseItWas(t *testing.T) {
	whole, err := AppendBatch(nil, BatchOptions{BaseOffset: 5, LeaderEpoch: 2, Codec: CodecGzip, Transactional: true,
		Producer: &Producer{ID: 3, Epoch: 1, BaseSequence: 8}, DeleteHorizonMs: 77}, Record{Timestamp: 9}, Record{Timestamp: 4})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseRecordBatch(whole)
	if err != nil {
		t.Fatal(err)
	}
	if horizon, ok := h.DeleteHorizon(); !ok || horizon != 77 {
		t.Errorf("delete horizon %d, %v", horizon, ok)
	}
	b := AppendEmptyBatch(nil, &h)
	headers, records := wholeSet(t, b)
	got := headers[0]
	if len(records) != 0 || got.LastOffset() != 6 || got.LastSequence() != 9 || got.MaxTimestamp != 9 ||
		!got.IsTransactional() || got.Codec() != CodecNone || got.ProducerID != 3 || got.LeaderEpoch != 2 {
		t.Errorf("%+v with %d records", got, len(records))
	}
}

// resealed sets length and CRC of a batch that a test has changed.
func resealed(b []byte) []byte {
	binary.BigEndian.PutUint32(b[batchLengthPos:], uint32(len(b)-BatchLogOverhead))
	binary.BigEndian.PutUint32(b[batchCRCPos:], BatchCRC(b))
	return b
}

func TestMalformedRecordsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		count   uint32
		records string // bytes as they are
	}{
		{"no record at all", 1, ""},
		{"length of zero", 1, "\x00"},
		{"negative length", 1, "\x01"},
		{"length that never ends", 1, "\xff\xff\xff\xff\xff\xff\xff"},
		{"length beyond the batch", 1, "\x10\x00\x00"},
		{"length of 2 GiB", 1, "\xfe\xff\xff\xff\x0f\x00\x00\x00\x00\x00\x00"},
		{"timestamp delta that never ends", 1, "\x14\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"key beyond the record", 1, "\x0c\x00\x00\x00\x7e\x01\x00"},
		{"value beyond the record", 1, "\x0c\x00\x00\x00\x01\x7e\x00"},
		{"no header count", 1, "\x0a\x00\x00\x00\x01\x01"},
		{"negative header count", 1, "\x0c\x00\x00\x00\x01\x01\x01"},
		{"more headers than bytes", 1, "\x10\x00\x00\x00\x01\x01\x7e\x00\x00"},
		{"a null header key", 1, "\x10\x00\x00\x00\x01\x01\x02\x01\x01"},
		{"bytes left in the record", 1, "\x0e\x00\x00\x00\x01\x01\x00\x00"},
		{"bytes left in the batch", 1, "\x0c\x00\x00\x00\x01\x01\x00\x00"},
		{"fewer records than said", 2, "\x0c\x00\x00\x00\x01\x01\x00"},
		{"negative record count", 1 << 31, "\x0c\x00\x00\x00\x01\x01\x00"},
	} {
		for _, codec := range allCodecs() {
			b := testBatch(t, CodecNone, 1, 1)[:BatchOverhead]
			b[batchAttrPos+1] = byte(codec)
			binary.BigEndian.PutUint32(b[batchCountPos:], tt.count)
			b = resealed(compressTo(t, b, codec, tt.records))
			h, err := ParseRecordBatch(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, skim := range []bool{false, true} {
				err := walkAll(b, &h, new(RecordsBuffer), skim, nil)
				if !errors.Is(err, ErrRecord) && !(tt.records == "" && err != nil) {
					t.Errorf("%s, %s, skim %v: %v", tt.name, codecName(codec), skim, err)
				}
			}
		}
	}
}

// walkAll is WalkRecords with the choice of skimming.
func walkAll(b []byte, h *RecordBatch, buf *RecordsBuffer, skim bool, fn func(*Record)) error {
	if err := buf.begin(b, h, skim); err != nil {
		return err
	}
	defer buf.end()
	for {
		more, err := buf.next()
		if err != nil || !more {
			return err
		}
		if fn != nil {
			fn(&buf.record)
		}
	}
}

func TestLargeRecordsAreSkimmedWithinTheWindow(t *testing.T) {
	value := make([]byte, 2<<20)
	for _, codec := range allCodecs()[1:] {
		b, err := AppendBatch(nil, BatchOptions{Codec: codec},
			Record{Timestamp: 5, Key: []byte("small")},
			Record{Timestamp: 6, Key: value, Value: value, Headers: []Header{{value, value}, {[]byte("x"), nil}}},
			Record{Timestamp: 7, Value: value},
			Record{Timestamp: 8, Key: []byte("small")})
		if err != nil {
			t.Fatal(err)
		}
		h, _ := ParseRecordBatch(b)
		var buf RecordsBuffer
		var got []string
		if err := walkAll(b, &h, &buf, true, func(r *Record) {
			got = append(got, fmt.Sprint(r.Offset, r.Timestamp, r.Key != nil))
		}); err != nil {
			t.Fatalf("%s: %v", codecName(codec), err)
		}
		if want := []string{"0 5 true", "1 6 true", "2 7 false", "3 8 true"}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v", codecName(codec), got)
		}
		if len(buf.window) != 64<<10 {
			t.Errorf("%s: the window grew to %d", codecName(codec), len(buf.window))
		}
		buf.MaxDecompressedBytes = 9 << 20
		for _, skim := range []bool{false, true} {
			if err := walkAll(b, &h, &buf, skim, nil); !errors.Is(err, ErrDecompressedSize) {
				t.Errorf("%s, skim %v: 10 MiB within 9: %v", codecName(codec), skim, err)
			}
		}
	}
}

func TestALyingLengthTakesNoMemory(t *testing.T) {
	// A record that claims 90 MiB, of which only a few bytes exist.
	for _, codec := range allCodecs()[1:] {
		b := testBatch(t, CodecNone, 1, 1)[:BatchOverhead]
		b[batchAttrPos+1] = byte(codec)
		record := string(appendVarint(nil, 90<<20)) + strings.Repeat("x", 100)
		b = resealed(compressTo(t, b, codec, record))
		h, _ := ParseRecordBatch(b)
		var buf RecordsBuffer
		for _, skim := range []bool{false, true} {
			if err := walkAll(b, &h, &buf, skim, nil); !errors.Is(err, ErrRecord) {
				t.Errorf("%s: %v", codecName(codec), err)
			}
		}
		if len(buf.window) > 128<<10 {
			t.Errorf("%s: the window grew to %d", codecName(codec), len(buf.window))
		}
	}
}

func TestWalkingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	for _, codec := range allCodecs() {
		b := testBatch(t, codec, 100, 300)
		h, _ := ParseRecordBatch(b)
		var buf RecordsBuffer
		count := 0
		if n := testing.AllocsPerRun(50, func() {
			if err := WalkRecords(b, &h, &buf, func(r *Record) error { count++; return nil }); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("%s: %v allocations a walk", codecName(codec), n)
		}
		if count%100 != 0 {
			t.Errorf("%d records", count)
		}
	}
}

// A header may take two bytes in a batch, and a batch of nothing else compresses to little.
func TestEmptyHeadersTakeNoMoreMemoryThanTheirBytes(t *testing.T) {
	const count = 2 << 20
	record := []byte{0, 0, 2, 1, 1} // offset delta 1: offsets do not go up from 0
	record = append(appendVarint(record, count), make([]byte, 2*count)...)
	record = append(appendVarint(nil, int32(len(record))), record...)
	header := testBatch(t, CodecNone, 1, 1)[:BatchOverhead]
	header[batchAttrPos+1] = byte(CodecGzip)
	b := resealed(compressTo(t, header, CodecGzip, string(record)))
	h, err := ParseRecordBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"walk": func() error { return WalkRecords(b, &h, new(RecordsBuffer), func(*Record) error { return nil }) },
		"rewrite": func() error {
			var v Validator
			r, err := v.Validate(b, clientSettings())
			if err == nil && !r.Rewritten {
				t.Error("the batch was taken as it is")
			}
			return err
		},
		"recompress": func() error {
			var v Validator
			s := clientSettings()
			s.TargetCodec = CodecZstd
			r, err := v.Validate(b, s)
			if err == nil {
				var records []Record
				h := r.Header
				err = WalkRecords(r.Batches, &h, new(RecordsBuffer), func(r *Record) error {
					records = append(records, *r)
					return nil
				})
				if len(records) != 1 || len(records[0].rawHeaders) != len(appendVarint(nil, count))+2*count {
					t.Errorf("%d records came back, or not all headers", len(records))
				}
			}
			return err
		},
		"down-convert": func() error { _, err := DownConvert(nil, b, 1, 0); return err },
		"convert":      func() error { _, _, err := ConvertToMagic2(b, BatchOptions{Codec: CodecLZ4}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			defer fuzzcost.Bound(t, len(record), 12)()
			if err := do(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWalkEndsWithTheCallersError(t *testing.T) {
	b := testBatch(t, CodecZstd, 10, 10)
	h, _ := ParseRecordBatch(b)
	enough, count := errors.New("enough"), 0
	err := WalkRecords(b, &h, nil, func(*Record) error {
		if count++; count == 3 {
			return enough
		}
		return nil
	})
	if err != enough || count != 3 {
		t.Errorf("%v after %d", err, count)
	}
}

func TestControlRecordsThatAreNone(t *testing.T) {
	good := []byte{0, 0, 0, 1}
	for _, tt := range []struct{ key, value []byte }{
		{nil, nil},
		{good[:3], make([]byte, 6)},
		{[]byte{0x80, 0, 0, 1}, make([]byte, 6)},
		{[]byte{0, 0, 0, 2}, make([]byte, 6)},
		{good, make([]byte, 5)},
		{good, []byte{0xff, 0xff, 0, 0, 0, 0}},
	} {
		if m, err := ParseEndTxnMarker(tt.key, tt.value); !errors.Is(err, ErrRecord) {
			t.Errorf("%x %x gave %+v, %v", tt.key, tt.value, m, err)
		}
	}
	if c, err := ParseControlType([]byte{0, 9, 0, 5, 1, 2}); err != nil || c != ControlKRaftVersion || c.String() != "KRAFT_VERSION" {
		t.Errorf("a later key version gave %v, %v", c, err)
	}
}

// FuzzWalkRecords gives the walk any records of any codec. It may refuse them, but
// skimming and reading must agree, and what was read must build and read the same again.
func FuzzWalkRecords(f *testing.F) {
	for _, codec := range allCodecs() {
		f.Add(testBatch(f, codec, 3, 20))
		set := AppendMessage(nil, 1, 7, 8, []byte("k"), []byte("v"))
		f.Add(AppendMessage(set, 0, 7, 8, nil, nil))
	}
	capturedLines(f, "batch", func(fields []string) {
		if b := unhex(f, fields[6]); len(b) < 4000 {
			f.Add(b)
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 4096)()
		h, err := ParseBatch(b)
		if err != nil {
			return
		}
		buf := RecordsBuffer{MaxDecompressedBytes: 1 << 20}
		var read, skimmed []string
		line := func(r *Record) string { return fmt.Sprint(r.Offset, r.Timestamp, r.Sequence, r.Key != nil) }
		var w BatchBuilder
		w.Reset(nil, BatchOptions{})
		var buildErr error
		errRead := walkAll(b, &h, &buf, false, func(r *Record) {
			read = append(read, line(r))
			if err := w.AppendWalked(w.lastOffset+1, r); err != nil {
				buildErr = err
			}
		})
		errSkim := walkAll(b, &h, &buf, true, func(r *Record) { skimmed = append(skimmed, line(r)) })
		if (errRead == nil) != (errSkim == nil) {
			t.Fatalf("read: %v, skimmed: %v", errRead, errSkim)
		}
		if errRead != nil {
			return
		}
		if !reflect.DeepEqual(read, skimmed) {
			t.Fatalf("read %v, skimmed %v", read, skimmed)
		}
		if buildErr != nil || len(read) == 0 {
			return
		}
		again, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if rs, err := ReadRecords(again); err != nil || len(rs) != len(read) {
			t.Fatalf("%d records came back as %d, %v", len(read), len(rs), err)
		}
	})
}

// FuzzDownConvert converts any bytes; what comes out is a message set that reads.
func FuzzDownConvert(f *testing.F) {
	capturedLines(f, "down", func(fields []string) { f.Add(unhex(f, fields[5]), int8(atoi(fields[3])), atoi(fields[4])) })
	f.Fuzz(func(t *testing.T, b []byte, magic int8, from int64) {
		defer fuzzcost.Bound(t, len(b), 4096)()
		magic &= 1
		out, err := DownConvert(nil, b, magic, from)
		if err != nil {
			return
		}
		for len(out) > 0 {
			h, rest, err := nextBatch(out)
			if err != nil || h.Magic > magic {
				t.Fatalf("magic %d: %+v, %v", magic, h, err)
			}
			out = rest
		}
	})
}

func BenchmarkWalkRecords(b *testing.B) {
	for _, codec := range allCodecs() {
		batch := testBatch(b, codec, 1000, 100)
		h, _ := ParseRecordBatch(batch)
		var buf RecordsBuffer
		b.Run("codec="+codecName(codec), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(batch)))
			var n int64
			for b.Loop() {
				if err := WalkRecords(batch, &h, &buf, func(r *Record) error { n += r.Offset; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/record")
		})
	}
}

// compressTo appends records, compressed, to the header in b.
func compressTo(t testing.TB, b []byte, codec Codec, records string) []byte {
	t.Helper()
	b, err := compress.AppendCompress(b[:len(b):len(b)], int8(codec), 0, []byte(records))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
