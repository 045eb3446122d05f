package schema

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Seven bytes that keep kmsg 1.15 busy for most of a minute.
func TestApiVersionsBomb(t *testing.T) {
	_, err := Check(18, 3, unhex(t, "01 01 ffffffff0f"), Limits{})
	if !errors.Is(err, ErrCount) {
		t.Fatalf("got %v, want %v", err, ErrCount)
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, tt := range []struct {
		name    string
		key     int16
		version int16
		body    string
		want    error
	}{
		{"an unknown key", 93, 0, "", ErrVersion},
		{"a negative key", -1, 0, "", ErrVersion},
		{"a version too new", 18, 5, "01 01 00", ErrVersion},
		{"a version that only 3.9 has, unstable", 78, 0, "", ErrVersion},
		{"an empty body", 12, 0, "", ErrTruncated},
		{"a string beyond the end", 12, 0, "0005 67", ErrTruncated},
		{"a null group", 12, 0, "ffff 00000003 00016d", ErrNull},
		{"a null compact group", 12, 4, "00 00000003 026d 00 00", ErrNull},
		{"an array beyond the end", 3, 1, "00000003 0001", ErrCount},
		{"an array of fixed size elements beyond the end", 21, 0, "00000001 000174 00000001 00000000", ErrTruncated},
		{"a null array", 32, 1, "ffffffff 00", ErrNull},
		{"a long varint", 12, 4, "ffffffffff0f", ErrVarint},
		{"a varint of 33 bits", 12, 4, "ffffffff1f", ErrVarint},
		{"a string of 2^31-1", 12, 4, "ffffffff0f", ErrLength},
		{"a compact string longer than a short", 12, 4, "818002", ErrLength},
		{"a tag count beyond the end", 18, 3, "01 01 02 00", ErrCount},
		{"a tag size beyond the end", 18, 3, "01 01 01 05 07", ErrTag},
		{"a known tag longer than its content", 1, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 01 00 02 01 00", ErrTag},
		{"a known tag shorter than its content", 1, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 01 00 01 02 61", ErrTruncated},
		{"a tagged field before its version", 1, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 01 01 0d 00000001 0000000000000002 00", ErrTagVersion},
		{"a cursor marked with -2", 75, 0, "01 00000001 fe 00", ErrLength},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Check(tt.key, tt.version, unhex(t, tt.body), Limits{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v, want %v", e, err, tt.want)
			}
		})
	}
}

func TestCheckAccepts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		key      int16
		version  int16
		body     string
		trailing int
	}{
		{"a heartbeat", 12, 0, "000167 00000003 00016d", 0},
		{"trailing bytes, as Apache does", 3, 1, "00000000 aabb", 2},
		{"a null array where it means all", 3, 1, "ffffffff", 0},
		{"any negative length as null", 3, 1, "fffffffe", 0},
		{"a body of which a version reads nothing", 18, 0, "", 0},
		{"unknown tags, unordered and twice", 18, 3, "01 01 03 05 01 00 04 00 05 00", 0},
		{"a known tag twice", 1, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 02 00 01 01 00 02 02 61", 0},
		{"a null cursor", 75, 0, "01 00000001 ff 00", 0},
		{"a cursor", 75, 0, "01 00000001 01 02 61 00000000 00 00", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Check(tt.key, tt.version, unhex(t, tt.body), Limits{})
			if err != nil || e.TrailingBytes != tt.trailing {
				t.Fatalf("got %+v, %v, want %d trailing bytes", e, err, tt.trailing)
			}
		})
	}
}

func TestCheckStopsAtTheMemoryLimit(t *testing.T) {
	body := unhex(t, "00000400"+strings.Repeat("0000", 1024)) // Metadata for 1024 topics named ""
	e, err := Check(3, 1, body, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Check(3, 1, body, Limits{MemoryBytes: e.MemoryBytes}); err != nil {
		t.Fatalf("the estimate itself is too little: %v", err)
	}
	if _, err := Check(3, 1, body, Limits{MemoryBytes: e.MemoryBytes - 1}); !errors.Is(err, ErrMemory) {
		t.Fatalf("got %v, want %v", err, ErrMemory)
	}
}

// Check's cost is linear only because every element of an array takes at least a byte: an
// array of elements that take none could be walked again and again without moving on.
func TestEveryArrayElementTakesAByte(t *testing.T) {
	for _, api := range All() {
		for v := api.Min; v <= api.Max; v++ {
			for _, m := range []*Message{&api.Request, &api.Response} {
				var walk func(path string, fields []Field) int
				walk = func(path string, fields []Field) int {
					size := 0
					if v >= m.Flexible {
						size = 1
					}
					for _, f := range fields {
						if !f.Versions.Contain(v) {
							continue
						}
						inner := 1
						if f.Kind == Struct {
							inner = walk(path+"."+f.Name, f.Fields)
						}
						if f.Array && inner == 0 {
							t.Errorf("%s.%s v%d: an element may take no byte", path, f.Name, v)
						}
						if !f.Tagged.Contain(v) {
							if f.Array {
								inner = 1
							}
							size += inner
						}
					}
					return size
				}
				walk(m.Name, m.Fields)
			}
		}
	}
}

func TestNoTagIsGivenTwice(t *testing.T) {
	var walk func(path string, fields []Field)
	walk = func(path string, fields []Field) {
		names := map[uint8]string{}
		for _, f := range fields {
			if f.Tagged.End > 0 {
				if other, ok := names[f.Tag]; ok {
					t.Errorf("%s: %s and %s have tag %d", path, other, f.Name, f.Tag)
				}
				names[f.Tag] = f.Name
			}
			walk(path+"."+f.Name, f.Fields)
		}
	}
	for _, api := range All() {
		walk(api.Request.Name, api.Request.Fields)
		walk(api.Response.Name, api.Response.Fields)
	}
}

func TestTableIsSane(t *testing.T) {
	for i, api := range All() {
		if int(api.Key) != i || api.Name == "" || api.Max < api.Min || api.Min < 0 {
			t.Errorf("row %d: key %d, %q, v%d-v%d", i, api.Key, api.Name, api.Min, api.Max)
		}
		if Lookup(api.Key).Name != api.Name {
			t.Errorf("%s is not found by its key", api.Name)
		}
	}
	for _, key := range []int16{-1, int16(len(All())), 32767, -32768} {
		if Lookup(key) != nil {
			t.Errorf("key %d is found", key)
		}
	}
}

func TestHeaderVersions(t *testing.T) {
	for _, tt := range []struct{ key, version, request, response int16 }{
		{7, 0, 0, 0}, {7, 1, 1, 0}, {7, 3, 2, 1},
		{18, 0, 1, 0}, {18, 3, 2, 0}, {18, 99, 2, 0}, {18, -1, 1, 0},
		{17, 1, 1, 0}, {17, 99, 1, 0}, {47, 0, 1, 0},
		{1, 11, 1, 0}, {1, 12, 2, 1}, {45, 0, 2, 1},
	} {
		api := Lookup(tt.key)
		if got := api.RequestHeaderVersion(tt.version); got != tt.request {
			t.Errorf("%s v%d: request header v%d, want v%d", api.Name, tt.version, got, tt.request)
		}
		if got := api.ResponseHeaderVersion(tt.version); got != tt.response {
			t.Errorf("%s v%d: response header v%d, want v%d", api.Name, tt.version, got, tt.response)
		}
	}
}

func TestCheckAllocatesNothing(t *testing.T) {
	body := unhex(t, "00000400"+strings.Repeat("0000", 1024))
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Check(3, 1, body, Limits{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	body := make([]byte, 4+1024*12)
	body[2] = 4
	for i := range 1024 {
		copy(body[4+12*i:], "\x00\x0aabcdefghij")
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(3, 1, body, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
