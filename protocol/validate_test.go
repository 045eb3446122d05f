package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// clientSettings are those of a topic with defaults and a Produce v9.
func clientSettings() ValidateSettings {
	return ValidateSettings{
		Partition:            TopicPartition{"t", 3},
		RequestVersion:       9,
		TargetCodec:          CodecProducer,
		TimestampBeforeMaxMs: math.MaxInt64,
		TimestampAfterMaxMs:  math.MaxInt64,
		MaxMessageBytes:      1 << 20,
		NowMs:                captureTime + 1000,
		FirstOffset:          500,
		LeaderEpoch:          7,
	}
}

// TestChecksComeInKafkasOrder breaks several rules at once; the first in order answers.
func TestChecksComeInKafkasOrder(t *testing.T) {
	set := func(b []byte, pos int, v uint32) []byte {
		binary.BigEndian.PutUint32(b[pos:], v)
		return b
	}
	good := func() []byte { return testBatch(t, CodecNone, 3, 50) }
	legacy := AppendMessage(nil, 1, 0, 5, nil, []byte("v"))
	for _, tt := range []struct {
		name    string
		records []byte
		change  func(*ValidateSettings)
		want    ErrorCode
	}{
		{"nothing", nil, nil, ErrInvalidRecord},
		{"nothing, v2", nil, func(s *ValidateSettings) { s.RequestVersion = 2 }, None},
		{"half a batch", good()[:80], nil, ErrInvalidRecord},
		{"half a batch, v0", good()[:80], func(s *ValidateSettings) { s.RequestVersion = 0 }, None},
		{"size of a message that cannot be", set(good(), 8, 3), nil, ErrCorruptMessage},
		{"size of a batch that cannot be", set(good(), 8, 40), nil, ErrCorruptMessage},
		{"negative size", set(good(), 8, 1<<31), nil, ErrCorruptMessage},
		{"magic 3", append(good()[:16:16], append([]byte{3}, good()[17:]...)...), nil, ErrCorruptMessage},
		{"magic -1", append(good()[:16:16], append([]byte{0xff}, good()[17:]...)...), nil, ErrCorruptMessage},
		{"magic 1 in v9", legacy, nil, ErrInvalidRecord},
		{"magic 1 in v2", legacy, func(s *ValidateSettings) { s.RequestVersion = 2 }, None},
		{"two batches in v9", append(good(), good()...), nil, ErrInvalidRecord},
		{"two batches in v2", append(good(), good()...), func(s *ValidateSettings) { s.RequestVersion = 2 }, ErrInvalidRecord},
		{"a batch and half of one", append(good(), good()[:70]...), nil, None},
		{"a batch and 5 bytes", append(good(), 1, 2, 3, 4, 5), nil, None},
		{"zstd in v6", testBatch(t, CodecZstd, 3, 50), func(s *ValidateSettings) { s.RequestVersion = 6 }, ErrUnsupportedCompressionType},
		{"zstd in v7", testBatch(t, CodecZstd, 3, 50), func(s *ValidateSettings) { s.RequestVersion = 7 }, None},
		{"base offset 1 before size", set(good(), 4, 1), func(s *ValidateSettings) { s.MaxMessageBytes = 10 }, ErrInvalidRecord},
		{"size before CRC", set(good(), 17, 0), func(s *ValidateSettings) { s.MaxMessageBytes = 10 }, ErrMessageTooLarge},
		{"CRC before codec", set(good(), 21, 5<<16), nil, ErrCorruptMessage},
		{"codec 5", resealed(set(good(), 21, 5<<16)), nil, ErrUnknownServerError},
		{"codec before count", resealed(set(set(good(), 57, 9), 21, 7<<16)), nil, ErrUnknownServerError},
		{"count", resealed(set(good(), 57, 9)), nil, ErrInvalidRecord},
		{"not what its codec says", resealed(set(good(), 21, 1<<16)), nil, ErrInvalidRecord},
		{"legacy CRC", set(bytes.Clone(legacy), 12, 0), func(s *ValidateSettings) { s.RequestVersion = 0 }, ErrCorruptMessage},
	} {
		s := clientSettings()
		if tt.change != nil {
			tt.change(&s)
		}
		var v Validator
		r, err := v.Validate(tt.records, s)
		if got := codeOf(err); got != tt.want && tt.name != "not what its codec says" {
			t.Errorf("%s: %v (%v), want %v", tt.name, got, err, tt.want)
		}
		if err == nil && len(r.Batches) == 0 && r.LastOffset != -1 {
			t.Errorf("%s: nothing to append, yet %+v", tt.name, r)
		}
	}
}

func TestUndecodableCompressionIsTheServersError(t *testing.T) {
	for _, codec := range allCodecs()[1:] {
		b := testBatch(t, codec, 3, 50)
		for i := BatchOverhead; i < len(b); i++ {
			b[i] ^= 0x5a
		}
		var v Validator
		if _, err := v.Validate(resealed(b), clientSettings()); codeOf(err) != ErrUnknownServerError {
			t.Errorf("%s: %v", codecName(codec), err)
		}
	}
}

func TestBombsAreRefused(t *testing.T) {
	value := make([]byte, 10<<20)
	for _, codec := range allCodecs()[1:] {
		b, err := AppendBatch(nil, BatchOptions{Codec: codec}, Record{Value: value})
		if err != nil {
			t.Fatal(err)
		}
		s := clientSettings()
		s.MaxMessageBytes = 0
		v := Validator{MaxDecompressedBytes: 1 << 20}
		if _, err := v.Validate(b, s); codeOf(err) != ErrMessageTooLarge {
			t.Errorf("%s in place: %v", codecName(codec), err)
		}
		s.TargetCodec = CodecNone
		if _, err := v.Validate(b, s); codeOf(err) != ErrMessageTooLarge {
			t.Errorf("%s rewritten: %v", codecName(codec), err)
		}
		if old, err := DownConvert(nil, b, 1, 0); err == nil {
			s.RequestVersion = 2
			if _, err := v.Validate(old, s); codeOf(err) != ErrMessageTooLarge {
				t.Errorf("%s in magic 1: %v", codecName(codec), err)
			}
		}
		if cap(v.buf.window) > maxKeptWindow || cap(v.out) > maxKeptWindow || cap(v.builder.scratch) > maxKeptWindow {
			t.Errorf("%s: the validator keeps %d, %d and %d bytes", codecName(codec), cap(v.buf.window), cap(v.out), cap(v.builder.scratch))
		}
	}
}

func TestUncompressedOffsetGapsAreClosed(t *testing.T) {
	var w BatchBuilder
	w.Reset(nil, BatchOptions{})
	for _, offset := range []int64{0, 5, 6} {
		if err := w.AppendAt(offset, captureTime, []byte("k"), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	b, _ := w.Finish()
	binary.BigEndian.PutUint32(b[batchLastDeltaPos:], 2)
	var v Validator
	r, err := v.Validate(resealed(b), clientSettings())
	if err != nil || !r.Rewritten || r.LastOffset != 502 {
		t.Fatalf("%+v, %v", r, err)
	}
	_, records := wholeSet(t, r.Batches)
	for i, rec := range records {
		if rec.Offset != 500+int64(i) {
			t.Errorf("record %d at %d", i, rec.Offset)
		}
	}
}

func TestAllBadRecordsAreCountedButNotAllNamed(t *testing.T) {
	var records []Record
	for range 3000 {
		records = append(records, Record{Timestamp: captureTime})
	}
	for _, codec := range allCodecs() {
		b, _ := AppendBatch(nil, BatchOptions{Codec: codec}, records...)
		s := clientSettings()
		s.CompactedTopic = true
		var v Validator
		_, err := v.Validate(b, s)
		var bad *InvalidRecordsError
		if !errors.As(err, &bad) || len(bad.Records) != maxRecordErrors || bad.Records[999].BatchIndex != 999 {
			t.Fatalf("%v", err)
		}
		want := "One or more records have been rejected due to 3000 record errors in total, and only showing the first three errors at most: " +
			"[RecordError(batchIndex=0, message='Compacted topic cannot accept message without key in topic partition t-3'), "
		if codeOf(err) != ErrInvalidRecord || !strings.HasPrefix(bad.Err.Message, want) {
			t.Errorf("%s", bad.Err.Message)
		}
		// A later call must not remember.
		if _, err := v.Validate(testBatch(t, codec, 1, 1), s); err != nil {
			t.Error(err)
		}
	}
}

func TestSkippedRecordsStillMeetTheHeadersRules(t *testing.T) {
	v := Validator{SkipRecords: true}
	s := clientSettings()
	b := testBatch(t, CodecGzip, 3, 50)
	for i := BatchOverhead; i < len(b); i++ {
		b[i] = 0 // no gzip at all
	}
	r, err := v.Validate(resealed(bytes.Clone(b)), s)
	if err != nil || r.RecordCount != 3 || r.MaxTimestamp != captureTime+2 || r.LastOffset != 502 {
		t.Errorf("%+v, %v", r, err)
	}
	s.TimestampBeforeMaxMs = 10
	if _, err := v.Validate(resealed(bytes.Clone(b)), s); codeOf(err) != ErrInvalidTimestamp {
		t.Error(err)
	}
	s = clientSettings()
	s.CompactedTopic = true
	if _, err := v.Validate(resealed(bytes.Clone(b)), s); codeOf(err) != ErrUnknownServerError {
		t.Error(err)
	}
}

func TestReplicatedBatchesKeepTheirOffsets(t *testing.T) {
	var set []byte
	for i, magic := range []int8{0, 1, 2, 2} {
		base := int64(100 + 10*i)
		if magic < 2 {
			set = AppendMessage(set, magic, base, captureTime, nil, []byte("v"))
			continue
		}
		var err error
		set, err = AppendBatch(set, BatchOptions{BaseOffset: base, LeaderEpoch: 3, Codec: CodecLZ4}, Record{Timestamp: captureTime + int64(10-i)}, Record{})
		if err != nil {
			t.Fatal(err)
		}
	}
	whole := len(set)
	set = append(set, set[:20]...)
	s := ValidateSettings{Origin: OriginReplica}
	var v Validator
	r, err := v.Validate(set, s)
	if err != nil || len(r.Batches) != whole || r.FirstOffset != 100 || r.LastOffset != 131 || r.RecordCount != 6 ||
		r.MaxTimestamp != captureTime+8 || r.ShallowOffsetOfMaxTimestamp != 121 || r.Header.BaseOffset != 130 {
		t.Errorf("%+v, %v", r, err)
	}
	set[whole-1] ^= 1
	if _, err := v.Validate(set, s); codeOf(err) != ErrCorruptMessage {
		t.Error(err)
	}
	set[whole-1] ^= 1
	if _, err := v.Validate(append(set[:whole:whole], set[:whole]...), s); err == nil {
		t.Error("offsets that go back were taken")
	}
}

func TestAssignMovesAValidatedBatch(t *testing.T) {
	var v Validator
	r, err := v.Validate(testBatch(t, CodecSnappy, 4, 10), clientSettings())
	if err != nil {
		t.Fatal(err)
	}
	r.Assign(9000, 12)
	h, records := wholeSet(t, r.Batches)
	if h[0].LeaderEpoch != 12 || records[3].Offset != 9003 || r.LastOffset != 9003 || r.ShallowOffsetOfMaxTimestamp != 9003 {
		t.Errorf("%+v %+v", h, r)
	}
	new(ValidateResult).Assign(1, 2) // nothing to move
}

func TestInPlaceValidationAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	for _, codec := range allCodecs() {
		for _, typ := range []TimestampType{CreateTime, LogAppendTime} {
			original := testBatch(t, codec, 100, 200)
			b := bytes.Clone(original)
			var v Validator
			s := clientSettings()
			s.TimestampType = typ
			if n := testing.AllocsPerRun(50, func() {
				copy(b, original)
				r, err := v.Validate(b, s)
				if err != nil || r.Rewritten || &r.Batches[0] != &b[0] {
					t.Fatalf("%+v, %v", r, err)
				}
			}); n >= 1 {
				t.Errorf("%s: %v allocations a batch", codecName(codec), n)
			}
		}
	}
}

func TestRewritingReusesItsMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget at random under the race detector")
	}
	b := testBatch(t, CodecGzip, 100, 200)
	var v Validator
	s := clientSettings()
	s.TargetCodec = CodecZstd
	if n := testing.AllocsPerRun(50, func() {
		if r, err := v.Validate(b, s); err != nil || !r.Rewritten {
			t.Fatalf("%+v, %v", r, err)
		}
	}); n >= 1 {
		t.Errorf("%v allocations a batch", n)
	}
}

func TestARefusedRewriteKeepsNoMemory(t *testing.T) {
	value := make([]byte, maxKeptWindow)
	good, err := AppendBatch(nil, BatchOptions{Codec: CodecGzip}, Record{Timestamp: captureTime, Value: value},
		Record{Timestamp: captureTime, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	h, err := ParseRecordBatch(good)
	if err != nil {
		t.Fatal(err)
	}
	h.RecordCount++ // the third is missed when two are built
	h.LastOffsetDelta++
	h.putHeader(good)
	var set []byte
	for range 2 {
		set = AppendMessage(set, 1, 0, captureTime, []byte("k"), value)
	}
	set = AppendMessage(set, 0, 0, captureTime, nil, nil) // of another magic
	s := clientSettings()
	s.TargetCodec, s.MaxMessageBytes = CodecNone, 0
	old := s
	old.RequestVersion = 2
	for _, tt := range []struct {
		name    string
		records []byte
		s       ValidateSettings
	}{{"rewrite", good, s}, {"convert", set, old}} {
		var v Validator
		if r, err := v.Validate(tt.records, tt.s); err == nil {
			t.Errorf("%s: %+v was taken", tt.name, r)
		}
		if kept := cap(v.builder.dst) + cap(v.builder.scratch) + cap(v.out) + cap(v.buf.window); kept > 2*maxKeptWindow {
			t.Errorf("%s: %d bytes are kept", tt.name, kept)
		}
	}
}

func TestConvertToMagic2NumbersAllRecords(t *testing.T) {
	var set []byte
	for i := range 3 {
		set = AppendMessage(set, 1, int64(i), captureTime+int64(i), []byte("k"), []byte("v"))
	}
	inner, err := DownConvert(nil, testBatch(t, CodecSnappy, 5, 10), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	set = append(append(set, inner...), 1, 2, 3)
	b, info, err := ConvertToMagic2(set, BatchOptions{BaseOffset: 70, Codec: CodecLZ4})
	if err != nil || info.RecordCount != 8 {
		t.Fatalf("%+v, %v", info, err)
	}
	h, records := wholeSet(t, b)
	if len(records) != 8 || records[7].Offset != 77 || h[0].Codec() != CodecLZ4 {
		t.Errorf("%+v %+v", h, records)
	}
}

func TestDownConversionStopsBeforeZstd(t *testing.T) {
	zstd, plain := testBatch(t, CodecZstd, 2, 10), testBatch(t, CodecNone, 2, 10)
	if _, err := DownConvert(nil, zstd, 0, 0); codeOf(err) != ErrUnsupportedCompressionType {
		t.Error(err)
	}
	out, err := DownConvert(nil, append(bytes.Clone(plain), zstd...), 0, 0)
	if _, records := wholeSet(t, out); err != nil || len(records) != 2 {
		t.Errorf("%d records, %v", len(records), err)
	}
	marker := AppendEndTxnBatch(nil, 1, 1, 5, EndTxnMarker{Commit: true})
	if out, err := DownConvert(nil, marker, 0, 0); len(out) != 0 || err != nil {
		t.Errorf("a control batch became %x, %v", out, err)
	}
}

func TestMagic1WrapperOffsets(t *testing.T) {
	// Inner offsets 0, 1, 4 and the wrapper at 100: a compacted set of 96, 97, 100.
	var inner []byte
	for _, offset := range []int64{0, 1, 4} {
		inner = AppendMessage(inner, 1, offset, captureTime, nil, []byte("v"))
	}
	for _, tt := range []struct {
		wrapper int64
		want    []int64
	}{{100, []int64{96, 97, 100}}, {0, []int64{0, 1, 4}}, {3, nil}} {
		value := string(inner)
		b := AppendMessage(nil, 1, tt.wrapper, captureTime, nil, compressTo(t, nil, CodecGzip, value))
		b[messageAttrPos] = byte(CodecGzip)
		finishMessage(b)
		records, err := ReadRecords(b)
		var got []int64
		for _, r := range records {
			got = append(got, r.Offset)
		}
		if !reflect.DeepEqual(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("wrapper at %d: %v, %v", tt.wrapper, got, err)
		}
	}
}

func TestHostileWrappersAreRefused(t *testing.T) {
	wrap := func(magic int8, codec Codec, value []byte) []byte {
		b := AppendMessage(nil, magic, 0, captureTime, nil, value)
		b[messageAttrPos] = byte(codec)
		finishMessage(b)
		return b
	}
	gz := func(set []byte) []byte { return compressTo(t, nil, CodecGzip, string(set)) }
	plain := AppendMessage(nil, 1, 0, captureTime, []byte("k"), []byte("v"))
	broken := bytes.Clone(plain)
	broken[len(broken)-1] ^= 1
	short := bytes.Clone(plain)
	binary.BigEndian.PutUint32(short[batchLengthPos:], 3)
	for _, tt := range []struct {
		name string
		set  []byte
		want ErrorCode
	}{
		{"null value", wrap(1, CodecGzip, nil), ErrInvalidRecord},
		{"empty set", wrap(1, CodecGzip, gz(nil)), ErrInvalidRecord},
		{"half a message inside", wrap(1, CodecGzip, gz(plain[:20])), ErrInvalidRecord},
		{"zstd", wrap(1, CodecZstd, compressTo(t, nil, CodecZstd, string(plain))), ErrInvalidRecord},
		{"codec 6", wrap(1, 6, []byte("x")), ErrUnknownServerError},
		{"compressed inside compressed", wrap(1, CodecGzip, gz(wrap(1, CodecGzip, gz(plain)))), ErrInvalidRecord},
		{"other magic inside", wrap(0, CodecGzip, gz(plain)), ErrInvalidRecord},
		{"inner CRC", wrap(1, CodecGzip, gz(broken)), ErrCorruptMessage},
		{"inner size", wrap(1, CodecGzip, gz(short)), ErrCorruptMessage},
		{"no gzip", wrap(1, CodecGzip, []byte("no gzip")), ErrUnknownServerError},
	} {
		s := clientSettings()
		s.RequestVersion = 1
		var v Validator
		if _, err := v.Validate(tt.set, s); codeOf(err) != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// FuzzValidate gives the validator a batch or set with its first CRC made right. What it
// takes must be one good batch whose records read, at the offsets asked for; and must be
// taken again, as it is.
func FuzzValidate(f *testing.F) {
	capturedLines(f, "validate", func(fields []string) {
		f.Add(unhex(f, fields[7]), int8(2), byte(0))
	})
	f.Fuzz(func(t *testing.T, b []byte, target int8, flags byte) {
		defer fuzzcost.Bound(t, len(b), 4096)()
		b = bytes.Clone(b)
		if h, _, err := nextBatch(b); err == nil && h.Magic == 2 {
			binary.BigEndian.PutUint32(b[batchCRCPos:], BatchCRC(b[:h.Size()]))
		} else if err == nil {
			finishMessage(b[:h.Size()])
		}
		s := clientSettings()
		s.TargetCodec = Codec(target%6+6)%6 - 1
		s.CompactedTopic = flags&1 != 0
		s.TimestampType = TimestampType(flags >> 1 & 1)
		if flags&4 != 0 {
			s.RequestVersion = 2
		}
		if flags&8 != 0 {
			s.TimestampAfterMaxMs, s.TimestampBeforeMaxMs = 1000, 1<<50
		}
		v := Validator{MaxDecompressedBytes: 1 << 20}
		first, _, _ := nextBatch(b)
		r, err := v.Validate(b, s)
		if err != nil {
			if codeOf(err) == -999 {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if len(r.Batches) == 0 {
			return
		}
		if err := CheckBatchCRC(r.Batches); err != nil {
			t.Fatal(err)
		}
		records, err := ReadRecords(r.Batches)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(records)) != r.RecordCount || r.Header.Size() != len(r.Batches) {
			t.Fatalf("%d records, %+v", len(records), r)
		}
		for i, rec := range records {
			if rec.Offset != s.FirstOffset+int64(i) {
				t.Fatalf("record %d at %d", i, rec.Offset)
			}
		}
		again := bytes.Clone(r.Batches)
		s.Origin = OriginCoordinator
		s.TargetCodec = CodecProducer
		s.TimestampType = r.Header.TimestampType()
		if first.TimestampType() == LogAppendTime || s.TimestampType == LogAppendTime {
			// A false claim of LogAppendTime has been erased, but, as in Apache, its time
			// stays the batch's maximum; and our own must not be claimed again.
			return
		}
		second, err := v.Validate(again, s)
		if err != nil || second.Rewritten || !bytes.Equal(second.Batches, r.Batches) {
			t.Fatalf("%+v came back as %+v, %v", r.Header, second.Header, err)
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	for _, codec := range allCodecs() {
		original := testBatch(b, codec, 160, 100)
		batch := bytes.Clone(original)
		for _, typ := range []string{"CreateTime", "LogAppendTime"} {
			s := clientSettings()
			if typ == "LogAppendTime" {
				s.TimestampType = LogAppendTime
			}
			b.Run(fmt.Sprintf("codec=%s/type=%s", codecName(codec), typ), func(b *testing.B) {
				var v Validator
				b.ReportAllocs()
				b.SetBytes(int64(len(batch)))
				for b.Loop() {
					copy(batch, original)
					if _, err := v.Validate(batch, s); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	original := testBatch(b, CodecGzip, 160, 100)
	b.Run("recompress=gzip-lz4", func(b *testing.B) {
		var v Validator
		s := clientSettings()
		s.TargetCodec = CodecLZ4
		b.ReportAllocs()
		b.SetBytes(int64(len(original)))
		for b.Loop() {
			if _, err := v.Validate(original, s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
