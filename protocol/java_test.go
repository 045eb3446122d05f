package protocol

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// capturedLines calls fn with the fields of every captured line of a kind
// (testdata/java39/README.md).
func capturedLines(t testing.TB, kind string, fn func(fields []string)) {
	f, err := os.Open("testdata/java39/capture.txt.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 16<<20)
	count := 0
	for lines.Scan() {
		if fields := strings.Split(lines.Text(), "\t"); fields[0] == kind {
			fn(fields[1:])
			count++
		}
	}
	if lines.Err() != nil || count == 0 {
		t.Fatalf("%d lines of %s, %v", count, kind, lines.Err())
	}
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func atoi(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

var codecByName = map[string]Codec{"none": CodecNone, "gzip": CodecGzip, "snappy": CodecSnappy, "lz4": CodecLZ4,
	"zstd": CodecZstd, "producer": CodecProducer}

const captureTime = 1_700_000_000_000

// capturedRecord is record i of a captured batch, by the rule in Capture.java.
func capturedRecord(i int, magic int8, times int) Record {
	r := Record{Magic: magic, Timestamp: captureTime + int64(i)*10 - int64(i%3)*25, Sequence: -1}
	if i%5 != 4 {
		r.Key = []byte(fmt.Sprintf("key-%d", i))
	}
	if i%7 != 6 {
		r.Value = []byte(strings.Repeat(fmt.Sprintf("value of record %d ", i), times*(i%3+1)))
	}
	if i%4 == 3 && magic == 2 {
		r.Headers = []Header{{[]byte(fmt.Sprintf("h%d", i)), []byte{byte(i), 0}}, {[]byte("n"), nil}}
	}
	if magic == 0 {
		r.Timestamp = -1
	}
	return r
}

// wholeSet reads all records of several batches or messages.
func wholeSet(t testing.TB, b []byte) (headers []RecordBatch, records []Record) {
	for len(b) > 0 {
		h, err := ParseBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckCRC(b[:h.Size()]); err != nil {
			t.Fatal(err)
		}
		rs, err := ReadRecords(b)
		if err != nil {
			t.Fatalf("%+v: %v", h, err)
		}
		headers = append(headers, h)
		records = append(records, rs...)
		b = b[h.Size():]
	}
	return headers, records
}

// bare is r without what depends on how it was stored.
func bare(r Record) Record {
	r.SizeBytes, r.Attributes = 0, 0
	return r
}

func TestBatchesOfJavaAreRead(t *testing.T) {
	capturedLines(t, "batch", func(f []string) {
		magic, base, count, times := int8(atoi(f[0])), atoi(f[3]), int(atoi(f[4])), int(atoi(f[5]))
		name := strings.Join(f[:6], " ")
		headers, records := wholeSet(t, unhex(t, f[6]))
		if len(records) != count {
			t.Fatalf("%s: %d records", name, len(records))
		}
		for _, h := range headers {
			if h.Magic != magic || h.Codec() != codecByName[f[1]] {
				t.Errorf("%s: header %+v", name, h)
			}
		}
		for i, r := range records {
			want := capturedRecord(i, magic, times)
			want.Offset = base + int64(i)
			if f[2] == "LogAppendTime" {
				want.Timestamp = captureTime + 5
			}
			if !reflect.DeepEqual(bare(r), want) {
				t.Fatalf("%s: record %d is %+v, want %+v", name, i, r, want)
			}
		}
	})
}

// TestUncompressedBatchesAreBuiltAsJavaDoes is about bytes.
func TestUncompressedBatchesAreBuiltAsJavaDoes(t *testing.T) {
	capturedLines(t, "batch", func(f []string) {
		if f[1] != "none" {
			return
		}
		magic, base, count := int8(atoi(f[0])), atoi(f[3]), int(atoi(f[4]))
		var records []Record
		var got []byte
		attributes := byte(0)
		opts := BatchOptions{BaseOffset: base, LeaderEpoch: -1, LogAppendTimeMs: captureTime + 5}
		if f[2] == "LogAppendTime" {
			opts.TimestampType = LogAppendTime
			attributes = attrTimestampType
		}
		for i := range count {
			r := capturedRecord(i, magic, 1)
			records = append(records, r)
			if magic < 2 {
				if f[2] == "LogAppendTime" {
					r.Timestamp = captureTime + 5
				}
				got = appendMessage(got, magic, attributes, base+int64(i), r.Timestamp, r.Key, r.Value)
			}
		}
		if magic == 2 {
			var err error
			if got, err = AppendBatch(nil, opts, records...); err != nil {
				t.Fatal(err)
			}
		}
		if want := unhex(t, f[6]); !bytes.Equal(got, want) {
			t.Errorf("magic %d %s:\n%x, want\n%x", magic, f[2], got, want)
		}
	})
}

func TestDownConversionIsJavas(t *testing.T) {
	capturedLines(t, "down", func(f []string) {
		name := strings.Join(f[:5], " ")
		to := int8(atoi(f[3]))
		got, err := DownConvert([]byte("kept"), unhex(t, f[5]), to, atoi(f[4]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := unhex(t, f[6])
		got = got[4:]
		if f[1] == "none" {
			if !bytes.Equal(got, want) {
				t.Errorf("%s:\n%x, want\n%x", name, got, want)
			}
			return
		}
		gotHeaders, gotRecords := wholeSet(t, got)
		wantHeaders, wantRecords := wholeSet(t, want)
		if !reflect.DeepEqual(gotRecords, wantRecords) {
			t.Errorf("%s: %+v, want %+v", name, gotRecords, wantRecords)
		}
		for i := range wantHeaders {
			gotHeaders[i].Length, gotHeaders[i].CRC = wantHeaders[i].Length, wantHeaders[i].CRC
		}
		if !reflect.DeepEqual(gotHeaders, wantHeaders) {
			t.Errorf("%s: %+v, want %+v", name, gotHeaders, wantHeaders)
		}
	})
}

func TestEndMarkersAreJavas(t *testing.T) {
	capturedLines(t, "marker", func(f []string) {
		marker := EndTxnMarker{Commit: f[0] == "COMMIT", CoordinatorEpoch: 9}
		want := unhex(t, f[1])
		if got := AppendEndTxnBatch(nil, 4711, 3, captureTime, marker); !bytes.Equal(got, want) {
			t.Errorf("%s:\n%x, want\n%x", f[0], got, want)
		}
		h, records := wholeSet(t, want)
		if !h[0].IsControl() || !h[0].IsTransactional() {
			t.Errorf("header %+v", h[0])
		}
		if got, err := ParseEndTxnMarker(records[0].Key, records[0].Value); err != nil || got != marker {
			t.Errorf("%s: %+v, %v", f[0], got, err)
		}
	})
}

func TestTransactionalBatchOfJavaIsRead(t *testing.T) {
	capturedLines(t, "transactional", func(f []string) {
		want := unhex(t, f[0])
		got, err := AppendBatch(nil, BatchOptions{BaseOffset: 1000, LeaderEpoch: 5, Transactional: true,
			Producer: &Producer{ID: 4711, Epoch: 3, BaseSequence: math.MaxInt32 - 1}},
			Record{Timestamp: captureTime, Key: []byte("a"), Value: []byte("1")},
			Record{Timestamp: captureTime + 1, Key: []byte("b")},
			Record{Timestamp: captureTime + 2, Value: []byte{}})
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%x, want\n%x, %v", got, want, err)
		}
		h, records := wholeSet(t, want)
		var sequences []int32
		for _, r := range records {
			sequences = append(sequences, r.Sequence)
		}
		if !reflect.DeepEqual(sequences, []int32{math.MaxInt32 - 1, math.MaxInt32, 0}) || h[0].LastSequence() != 0 {
			t.Errorf("sequences %v, last %d", sequences, h[0].LastSequence())
		}
	})
}

func codeOf(err error) ErrorCode {
	if err == nil {
		return None
	}
	var code ErrorCode
	if !errors.As(err, &code) {
		return -999
	}
	return code
}

func TestRequestsAreRefusedAsJavaDoes(t *testing.T) {
	capturedLines(t, "request", func(f []string) {
		version := int16(atoi(f[1]))
		var err error
		if version >= 3 {
			err = CheckProduceShape(unhex(t, f[2]), version)
		}
		got := []string{"ok"}
		if err != nil {
			var e *Error
			errors.As(err, &e)
			got = []string{fmt.Sprint(int16(e.Code)), e.Message}
		}
		if f[0] == "magic3" && version < 3 {
			return // seen by the batch check later
		}
		if want := f[3:]; f[0] == "magic3" && want[0] == got[0] {
			return // our own words
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s v%d: %v, want %v", f[0], version, got, want)
		}
	})
}

// TestValidationIsJavas holds 1590 combinations of input and settings to what the
// LogValidator did with them.
func TestValidationIsJavas(t *testing.T) {
	var v Validator
	capturedLines(t, "validate", func(f []string) {
		name := strings.Join(f[:7], " ")
		s := ValidateSettings{
			Partition:            TopicPartition{"t", 3},
			RequestVersion:       2, // later ones refuse some inputs before the LogValidator sees them
			TargetCodec:          codecByName[f[1]],
			TimestampBeforeMaxMs: atoi(f[4]),
			TimestampAfterMaxMs:  atoi(f[5]),
			CompactedTopic:       f[3] == "true",
			NowMs:                captureTime + 50,
			FirstOffset:          1234,
			LeaderEpoch:          8,
		}
		if f[2] == "LogAppendTime" {
			s.TimestampType = LogAppendTime
		}
		if f[6] == "COORDINATOR" {
			s.Origin = OriginCoordinator
		}
		input, outcome := unhex(t, f[7]), f[8:]
		if s.Origin == OriginCoordinator && codecByName[f[0][strings.LastIndex(f[0], "-")+1:]] != CodecNone {
			return // Apache's coordinators, and ours, write control batches uncompressed; it loses the bit if not
		}
		if outcome[0] == "refused" && strings.Contains(outcome[3], "key is skipped in PartialDefaultRecord") {
			// Apache means to rewrite a compressed batch whose offset deltas have gaps, but
			// fails over the keys that it did not read. We rewrite it.
			r, err := v.Validate(input, s)
			if err != nil || !r.Rewritten || r.Header.LastOffsetDelta != 1 {
				t.Errorf("%s: %+v, %v", name, r, err)
			}
			return
		}
		r, err := v.Validate(input, s)
		if outcome[0] == "refused" {
			if got := strconv.Itoa(int(codeOf(err))); got != outcome[1] {
				t.Errorf("%s: code %s (%v), want %s (%s)", name, got, err, outcome[1], outcome[3])
				return
			}
			var indexes []string
			var bad *InvalidRecordsError
			if errors.As(err, &bad) {
				for _, one := range bad.Records {
					indexes = append(indexes, fmt.Sprint(one.BatchIndex))
				}
			}
			if got := strings.Join(indexes, ","); got != outcome[2] {
				t.Errorf("%s: bad records %s, want %s", name, got, outcome[2])
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v, want %v", name, err, outcome[:3])
			return
		}
		want := unhex(t, outcome[3])
		if got := fmt.Sprint(r.MaxTimestamp); got != outcome[1] {
			t.Errorf("%s: max timestamp %s, want %s", name, got, outcome[1])
		}
		if got := fmt.Sprint(r.Rewritten); got != outcome[2] {
			t.Errorf("%s: rewritten %s, want %s", name, got, outcome[2])
		}
		compareBatches(t, name, r.Batches, want)
		if r.FirstOffset != 1234 || r.LastOffset != r.Header.LastOffset() || r.Header.LeaderEpoch != 8 {
			t.Errorf("%s: %+v", name, r)
		}
	})
}

// compareBatches wants got to be want, byte for byte unless compressors came between.
func compareBatches(t *testing.T, name string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	gotHeaders, gotRecords := wholeSet(t, got)
	wantHeaders, wantRecords := wholeSet(t, want)
	if wantHeaders[0].Codec() == CodecNone || len(gotHeaders) != 1 || len(wantHeaders) != 1 {
		t.Errorf("%s:\n%x, want\n%x", name, got, want)
		return
	}
	gotHeaders[0].Length, gotHeaders[0].CRC = wantHeaders[0].Length, wantHeaders[0].CRC
	if !reflect.DeepEqual(gotHeaders, wantHeaders) || !reflect.DeepEqual(gotRecords, wantRecords) {
		t.Errorf("%s:\n%+v %+v, want\n%+v %+v", name, gotHeaders, gotRecords, wantHeaders, wantRecords)
	}
}

var javaOut = flag.String("java.out", "", "write batches for Java to read to this file")

// TestForJava writes batches of all codecs for Capture.java's read mode.
func TestForJava(t *testing.T) {
	if *javaOut == "" {
		t.Skip("no -java.out")
	}
	var out bytes.Buffer
	write := func(name string, b []byte) { fmt.Fprintf(&out, "%s\t%x\n", name, b) }
	for codec := CodecNone; codec <= CodecZstd; codec++ {
		for _, times := range []int{1, 400} {
			for _, level := range []int{0, 1, 9} {
				var records []Record
				for i := range 12 {
					records = append(records, capturedRecord(i, 2, times))
				}
				b, err := AppendBatch(nil, BatchOptions{BaseOffset: 42, Codec: codec, Level: level}, records...)
				if err != nil {
					t.Fatal(err)
				}
				name := fmt.Sprintf("codec=%d times=%d", codec, times)
				write(name+" magic=2", b)
				for magic := int8(0); magic < 2 && codec != CodecZstd; magic++ {
					old, err := DownConvert(nil, b, magic, 0)
					if err != nil {
						t.Fatal(err)
					}
					write(fmt.Sprintf("%s magic=%d", name, magic), old)
				}
			}
		}
	}
	write("empty", AppendEmptyBatch(nil, &RecordBatch{BaseOffset: 9, LastOffsetDelta: 3, MaxTimestamp: 77, ProducerID: 3, ProducerEpoch: 1, BaseSequence: 5}))
	if err := os.WriteFile(*javaOut, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
