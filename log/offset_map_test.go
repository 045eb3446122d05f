package log

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The first of the test vectors that the authors of SipHash publish for 128 bits: key
// 00 01 … 0f, inputs of 0, 1, 2 … bytes 00 01 ….
func TestKeyHashIsSipHash(t *testing.T) {
	var seed [16]byte
	for i := range seed {
		seed[i] = byte(i)
	}
	hasher := newKeyHasher(seed)
	for input, want := range map[string]string{
		"":     "a3817f04ba25a8e66df67214c7550293",
		"00":   "da87c1d86b99af44347659119b22fc45",
		"0001": "8177228da4a45dc7fca38bdef60affe4",
	} {
		b, _ := hex.DecodeString(input)
		h := hasher.sum(b)
		var got [16]byte
		for i := range 8 {
			got[i], got[8+i] = byte(h.lo>>(8*i)), byte(h.hi>>(8*i))
		}
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("%q: %x, want %s", input, got, want)
		}
	}
}

func TestOffsetMapFollowsModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	m := newOffsetMap(1<<20, 0.9, [16]byte{byte(seed)})
	model := make(map[string]int64)
	for offset := range int64(100_000) {
		key := fmt.Sprint(random.IntN(60_000))
		if !m.put([]byte(key), offset) {
			// A part may be full a little before the whole is.
			if len(model) < m.maxKeys*9/10 {
				t.Fatalf("full at %d of %d keys", len(model), m.maxKeys)
			}
			break
		}
		model[key] = offset
		if m.latestOffset != offset {
			t.Fatalf("latest is %d after %d", m.latestOffset, offset)
		}
	}
	if m.keyCount != len(model) {
		t.Errorf("%d keys, want %d", m.keyCount, len(model))
	}
	for i := range 60_000 {
		key := fmt.Sprint(i)
		want, ok := model[key]
		if !ok {
			want = -1
		}
		if got := m.get([]byte(key)); got != want {
			t.Fatalf("key %s at %d, want %d", key, got, want)
		}
	}
}

func (m *offsetMap) size() (bytes int64) {
	for i := range m.parts {
		bytes += int64(len(m.parts[i].slots)) * offsetMapSlotSize
	}
	return bytes
}

func TestOffsetMapIsAsLargeAsItsKeysButNoLargerThanAllowed(t *testing.T) {
	const limit = 4 << 20
	m := newOffsetMap(limit, 0.9, [16]byte{})
	if m.size() != 0 {
		t.Errorf("empty map of %d bytes", m.size())
	}
	n := int64(0)
	for m.put(fmt.Append(nil, n), n) {
		n++
		if n == 1000 && m.size() > 1000*offsetMapSlotSize*4 {
			t.Errorf("1000 keys take %d bytes", m.size())
		}
	}
	if m.size() > limit {
		t.Errorf("%d bytes, more than %d", m.size(), limit)
	}
	if least := int64(limit) / offsetMapSlotSize * 85 / 100; n < least {
		t.Errorf("full with %d keys, at least %d should fit", n, least)
	}
	for i := range n {
		if got := m.get(fmt.Append(nil, i)); got != i {
			t.Fatalf("key %d at %d", i, got)
		}
	}
}

func TestTinyOffsetMap(t *testing.T) {
	m := newOffsetMap(1, 0.9, [16]byte{})
	if !m.put([]byte("a"), 5) || m.get([]byte("a")) != 5 || m.get([]byte("b")) != -1 {
		t.Error("not even one key fits")
	}
	for i := range int64(10_000) {
		m.put(fmt.Append(nil, i), i)
	}
}

func BenchmarkOffsetMap(b *testing.B) {
	m := newOffsetMap(128<<20, 0.9, [16]byte{})
	var keys [1 << 16][]byte
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "user-%d-key", i)
	}
	offset := int64(0)
	b.Run("put", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.put(keys[offset&(1<<16-1)], offset)
			offset++
		}
	})
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			m.get(keys[i&(1<<16-1)])
			i++
		}
	})
}
