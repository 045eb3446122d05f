package log

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func epochs(pairs ...int64) (entries []EpochEntry) {
	for i := 0; i < len(pairs); i += 2 {
		entries = append(entries, EpochEntry{int32(pairs[i]), pairs[i+1]})
	}
	return entries
}

func cacheOf(t *testing.T, pairs ...int64) *LeaderEpochCache {
	t.Helper()
	c := &LeaderEpochCache{}
	for _, e := range epochs(pairs...) {
		if _, err := c.Assign(e.Epoch, e.StartOffset); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func TestEpochsAscend(t *testing.T) {
	for _, tt := range []struct {
		name         string
		assign, want []int64
	}{
		{"in order", []int64{0, 0, 2, 10, 5, 20}, []int64{0, 0, 2, 10, 5, 20}},
		{"repeated", []int64{1, 5, 1, 5, 1, 9}, []int64{1, 5}},
		{"begins earlier", []int64{1, 5, 1, 3}, []int64{1, 3}},
		{"an epoch without records", []int64{1, 5, 2, 5}, []int64{2, 5}},
		{"an older epoch", []int64{1, 0, 3, 10, 5, 20, 4, 15}, []int64{1, 0, 3, 10, 4, 15}},
		{"an older epoch at a later offset", []int64{1, 0, 5, 20, 2, 30}, []int64{1, 0, 2, 30}},
	} {
		if got := cacheOf(t, tt.assign...).Entries(); !slices.Equal(got, epochs(tt.want...)) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if _, err := cacheOf(t).Assign(-1, 0); err == nil {
		t.Error("epoch -1 was taken")
	}
}

func TestEndOffsetForEpoch(t *testing.T) {
	c := cacheOf(t, 2, 10, 3, 20, 7, 30)
	for _, tt := range []struct {
		asked, epoch int32
		end          int64
	}{
		{-1, -1, -1}, {0, 0, 10}, {1, 1, 10}, {2, 2, 20}, {3, 3, 30}, {4, 3, 30}, {6, 3, 30}, {7, 7, 99}, {8, -1, -1}, {math.MaxInt32, -1, -1},
	} {
		if epoch, end := c.EndOffsetFor(tt.asked, 99); epoch != tt.epoch || end != tt.end {
			t.Errorf("epoch %d: %d ended at %d, want %d at %d", tt.asked, epoch, end, tt.epoch, tt.end)
		}
	}
	if epoch, end := cacheOf(t).EndOffsetFor(0, 99); epoch != -1 || end != -1 {
		t.Errorf("empty: %d ended at %d", epoch, end)
	}
	for offset, want := range map[int64]int32{0: -1, 9: -1, 10: 2, 19: 2, 20: 3, 30: 7, 1000: 7} {
		if got := c.EpochForOffset(offset); got != want {
			t.Errorf("offset %d: epoch %d, want %d", offset, got, want)
		}
	}
}

func TestEpochsAreTruncated(t *testing.T) {
	for _, tt := range []struct {
		end  int64
		want []int64
	}{{-1, []int64{2, 10, 3, 20, 7, 30}}, {31, []int64{2, 10, 3, 20, 7, 30}}, {30, []int64{2, 10, 3, 20}}, {11, []int64{2, 10}}, {0, nil}} {
		c := cacheOf(t, 2, 10, 3, 20, 7, 30)
		changed := c.TruncateFromEnd(tt.end)
		if got := c.Entries(); !slices.Equal(got, epochs(tt.want...)) || changed != (len(tt.want) < 6) {
			t.Errorf("to %d: %v, %v", tt.end, got, changed)
		}
	}
	for _, tt := range []struct {
		start int64
		want  []int64
	}{{5, []int64{2, 10, 3, 20, 7, 30}}, {10, []int64{2, 10, 3, 20, 7, 30}}, {15, []int64{2, 15, 3, 20, 7, 30}}, {20, []int64{3, 20, 7, 30}}, {99, []int64{7, 99}}} {
		c := cacheOf(t, 2, 10, 3, 20, 7, 30)
		changed := c.TruncateFromStart(tt.start)
		if got := c.Entries(); !slices.Equal(got, epochs(tt.want...)) || changed != (tt.start > 10) {
			t.Errorf("from %d: %v, %v", tt.start, got, changed)
		}
	}
}

func TestEpochFileIsWrittenOnlyWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, LeaderEpochCheckpointName)
	c, err := OpenLeaderEpochCache(OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(OS{}, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty cache was written: %v", err)
	}
	c.Assign(0, 0)
	c.Assign(4, 17)
	if err := c.Flush(OS{}, dir); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "0\n2\n0 0\n4 17\n" {
		t.Errorf("file is %q", b)
	}
	os.Remove(path)
	if err := c.Flush(OS{}, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("written again though nothing changed")
	}
	c.Clear()
	if err := c.Flush(OS{}, dir); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(path); string(b) != "0\n0\n" {
		t.Errorf("file is %q", b)
	}
}

func TestCheckpointFileRoundTrip(t *testing.T) {
	c := NewCheckpointFile(OS{}, filepath.Join(t.TempDir(), RecoveryPointCheckpointName))
	if got, err := c.Read(); err != nil || len(got) != 0 {
		t.Fatalf("a missing file: %v, %v", got, err)
	}
	want := map[protocol.TopicPartition]int64{{Topic: "b", Partition: 1}: 5, {Topic: "a", Partition: 10}: math.MaxInt64, {Topic: "a", Partition: 2}: 0}
	var entries []PartitionOffset
	for tp, offset := range want {
		entries = append(entries, PartitionOffset{tp, offset})
	}
	if err := c.Write(entries); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(c.path); string(b) != "0\n3\na 2 0\na 10 9223372036854775807\nb 1 5\n" {
		t.Errorf("file is %q", b)
	}
	if got, err := c.Read(); err != nil || !maps.Equal(got, want) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestCheckpointErrorsNameTheLine(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"", ""}, {"0\n", ""}, {"0", ""}, {"0\n0\n", ""}, {"0\n1\nt 0 5\n", ""}, {"0\n1\nt 0 5", ""}, {"0\r\n1\r\nt 0 5\r\n", ""},
		{"0\n1\nt\t0   5\n", ""},
		{"\n", `line 1: "" is not a version`},
		{"x\n0\n", `line 1: "x" is not a version`},
		{"1\n0\n", "line 1: version 1 is unknown"},
		{"0\n-1\n", `line 2: "-1" is not a number of entries`},
		{"0\n2\nt 0 5\n", "1 entries instead of 2"},
		{"0\n0\nt 0 5\n", "1 entries instead of 0"},
		{"0\n1\nt 0\n", `line 3: "t 0" does not have 3 fields`},
		{"0\n1\nt 0 5 6\n", `line 3: "t 0 5 6" does not have 3 fields`},
		{"0\n1\nt 0 5 6 7 8 9\n", `does not have 3 fields`},
		{"0\n1\n\n", `line 3: "" does not have 3 fields`},
		{"0\n1\nt x 5\n", `line 3: "t x 5": "x" is not a partition`},
		{"0\n1\nt 0 9223372036854775808\n", `is not an offset`},
		{"0\n1\n\x00\x00\x00\x00", "does not have 3 fields"},
	} {
		_, err := ParseOffsetCheckpoint([]byte(tt.file))
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrCorruptCheckpoint)) {
			t.Errorf("%q: %v, want %q", tt.file, err, tt.want)
		}
	}
}

func TestTransactionIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "00000000000000000000.txnindex")
	x := OpenTransactionIndex(OS{}, path)
	if all, err := x.All(); err != nil || len(all) != 0 {
		t.Fatalf("without a file: %v, %v", all, err)
	}
	if err := errors.Join(x.TruncateTo(0), x.Reset(), x.Flush(), x.SanityCheck(0)); err != nil {
		t.Fatalf("without a file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("a file was made for nothing")
	}
	var txns []AbortedTxn
	for i := range int64(200) { // more than one buffer
		txns = append(txns, AbortedTxn{ProducerID: i, FirstOffset: 10 * i, LastOffset: 10*i + 15, LastStableOffset: 10*i + 10})
		if err := x.Append(txns[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Append(txns[0]); err == nil {
		t.Error("a marker below the last one was taken")
	}
	again := OpenTransactionIndex(OS{}, path)
	if all, err := again.All(); err != nil || !slices.Equal(all, txns) {
		t.Fatalf("read %v, %v", all, err)
	}
	if err := again.Append(txns[3]); err == nil {
		t.Error("a marker below the last one was taken after reopening")
	}
	for _, tt := range []struct {
		from, to int64
		want     []AbortedTxn
		done     bool
	}{
		{0, 1, txns[:1], true},
		{16, 31, txns[1:4], true},
		{15, 30, txns[:3], true},
		{1990, 3000, txns[198:], false},
		{3000, 4000, nil, false},
	} {
		got, done, err := x.CollectAbortedTxns(nil, tt.from, tt.to)
		if err != nil || done != tt.done || !slices.Equal(got, tt.want) {
			t.Errorf("%d to %d: %v, %v, %v", tt.from, tt.to, got, done, err)
		}
	}
	if err := x.SanityCheck(15); err != nil {
		t.Error(err)
	}
	if err := x.SanityCheck(16); !errors.Is(err, ErrCorruptTxnIndex) {
		t.Errorf("transaction before the segment: %v", err)
	}
	if err := x.TruncateTo(55); err != nil {
		t.Fatal(err)
	}
	if err := x.Append(txns[4]); err != nil {
		t.Error(err)
	}
	if all, err := x.All(); err != nil || !slices.Equal(all, txns[:5]) {
		t.Errorf("truncated and appended: %v, %v", all, err)
	}
	// A cut-off entry is overwritten by the next one.
	b, _ := os.ReadFile(path)
	os.WriteFile(path, b[:len(b)-1], 0o644)
	x = OpenTransactionIndex(OS{}, path)
	if err := x.Append(txns[7]); err != nil {
		t.Fatal(err)
	}
	if all, err := x.All(); err != nil || !slices.Equal(all, append(txns[:4:4], txns[7])) {
		t.Errorf("after a cut: %v, %v", all, err)
	}
	os.WriteFile(path, append([]byte{0, 1}, make([]byte, 32)...), 0o644)
	if _, err := x.All(); !errors.Is(err, ErrCorruptTxnIndex) {
		t.Errorf("version 1: %v", err)
	}
}

func TestMetaPropertiesErrors(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"", ""}, {"version=0\n", ""}, {"broker.id=5", ""}, {"version = 1\nnode.id : 3\ncluster.id   x", ""},
		{"version=1\nnode.id=1\n", "cluster.id is missing"},
		{"version=1\ncluster.id=x\n", "node.id is missing"},
		{"version=2\n", `version "2" is unknown`},
		{"version=0\nbroker.id=one\n", `broker.id "one" is not a number`},
		{"version=0\ndirectory.id=one\n", "directory.id"},
		{"cluster.id=\\u12", "escape"},
	} {
		_, err := ParseMetaProperties([]byte(tt.file))
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrMetaProperties)) {
			t.Errorf("%q: %v, want %q", tt.file, err, tt.want)
		}
	}
}

func TestJavaProperties(t *testing.T) {
	got, err := parseJavaProperties([]byte("# c\n! c\\\n  a = b c \nk\\ e\\:y=v\\\n   w\\\\\n\nempty\nu=\\u00e9\\t\nx:y=z\r\nl=1\rm=2\ntwice=1\ntwice=2\nend\\"))
	want := map[string]string{"a": "b c ", "k e:y": "vw\\", "empty": "", "u": "é\t", "x": "y=z", "l": "1", "m": "2", "twice": "2", "end": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPartitionMetadataErrors(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg", ""},
		{"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg\n", ""},
		{"version: 3\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg\nmore: 1\n", ""},
		{"", "has no version"},
		{"version: 0", "has no topic id"},
		{"version: -1\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg", "is unknown"},
		{"version:0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg", "has no version"},
		{"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA", "zero"},
		{"version: 0\ntopic_id: A", "line 2"},
	} {
		_, err := ParsePartitionMetadata([]byte(tt.file))
		if (err == nil) != (tt.want == "") || err != nil && (!strings.Contains(err.Error(), tt.want) || !errors.Is(err, ErrPartitionMetadata)) {
			t.Errorf("%q: %v, want %q", tt.file, err, tt.want)
		}
	}
	dir := t.TempDir()
	if _, err := ReadPartitionMetadata(OS{}, dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	id := mustUUID(t, "AAAAAAAAAAAAAAAAAAAAKg")
	if err := WritePartitionMetadata(OS{}, dir, id); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadPartitionMetadata(OS{}, dir); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzOffsetCheckpoint(f *testing.F) {
	f.Add([]byte("0\n2\nt 0 5\na.b 7 -1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		entries, err := ParseOffsetCheckpoint(b)
		if err != nil {
			return
		}
		again, err := ParseOffsetCheckpoint(AppendOffsetCheckpoint(nil, entries))
		if err != nil || !slices.Equal(entries, again) {
			t.Fatalf("%v came back as %v, %v", entries, again, err)
		}
	})
}

func FuzzEpochCheckpoint(f *testing.F) {
	f.Add([]byte("0\n2\n0 0\n3 17\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		entries, err := parseEpochs(b)
		if err != nil {
			return
		}
		again, err := parseEpochs(appendEpochs(nil, entries))
		if err != nil || !slices.Equal(entries, again) {
			t.Fatalf("%v came back as %v, %v", entries, again, err)
		}
		c := &LeaderEpochCache{}
		for _, e := range entries {
			c.assign(e)
		}
		last := EpochEntry{-1, -1}
		for _, e := range c.Entries() {
			if e.Epoch <= last.Epoch || e.StartOffset <= last.StartOffset {
				t.Fatalf("%v does not ascend", c.Entries())
			}
			last = e
		}
	})
}

func FuzzTxnIndex(f *testing.F) {
	f.Add(appendAbortedTxn(nil, AbortedTxn{1, 2, 3, 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		txns, err := ParseTxnIndex(b)
		if err != nil {
			return
		}
		var again []byte
		for _, txn := range txns {
			again = appendAbortedTxn(again, txn)
		}
		reread, err := ParseTxnIndex(again)
		if err != nil || !slices.Equal(txns, reread) {
			t.Fatalf("%v came back as %v, %v", txns, reread, err)
		}
	})
}

func FuzzMetaProperties(f *testing.F) {
	f.Add([]byte("#\n#Mon Nov 23 04:07:46 UTC 2026\nnode.id=7\ndirectory.id=JTGg2i9kTU-RxKQ0x8E6Gw\nversion=1\ncluster.id=\\ odd\\: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		p, err := ParseMetaProperties(b)
		if err != nil || p.NodeID < 0 || p.NodeID == 0 || strings.ContainsRune(p.ClusterID, '\uFFFD') || !isUTF8(p.ClusterID) {
			return
		}
		again, err := ParseMetaProperties(AppendMetaProperties(nil, p, time.Unix(0, 0).UTC()))
		if err != nil || again != p {
			t.Fatalf("%+v came back as %+v, %v", p, again, err)
		}
	})
}

func isUTF8(s string) bool { return bytes.Equal([]byte(s), bytes.ToValidUTF8([]byte(s), nil)) }

func FuzzPartitionMetadata(f *testing.F) {
	f.Add([]byte("version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAKg"))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		id, err := ParsePartitionMetadata(b)
		if err != nil {
			return
		}
		if again, err := ParsePartitionMetadata(AppendPartitionMetadata(nil, id)); err != nil || again != id {
			t.Fatalf("%v came back as %v, %v", id, again, err)
		}
	})
}
