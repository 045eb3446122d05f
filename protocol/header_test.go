package protocol_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func TestRequestHeaderIsWhatKmsgWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, client := range []string{"", "kgo"} {
		formatter := kmsg.NewRequestFormatter(kmsg.FormatterClientID(client))
		for _, api := range schema.All() {
			for version := api.Min; version <= api.Max; version++ {
				req := kmsg.RequestForKey(api.Key)
				req.SetVersion(version)
				correlationID := int32(r.Uint32())
				frame := formatter.AppendRequest(nil, req, correlationID)[4:]
				h, err := protocol.ParseRequestHeader(frame)
				if err != nil || h.Key != api.Key || h.Version != version || h.CorrelationID != correlationID {
					t.Fatalf("%s v%d: %+v, %v", api.Name, version, h, err)
				}
				if api.Key == protocol.KeyControlledShutdown && version == 0 {
					continue // kmsg forgets the body
				}
				if string(h.ClientID) != client || !bytes.Equal(frame[h.BodyPos:], req.AppendTo(nil)) {
					t.Fatalf("%s v%d: client %q, body %x", api.Name, version, h.ClientID, frame[h.BodyPos:])
				}
				if again := protocol.AppendRequestHeader(nil, &h); !bytes.Equal(again, frame[:h.BodyPos]) && client != "" {
					t.Fatalf("%s v%d: %x is written as %x", api.Name, version, frame[:h.BodyPos], again)
				}
			}
		}
	}
}

func TestParseRequestHeader(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frame  string
		client string
		body   int
		err    error
	}{
		{"v1 of a null client", "0003 0001 00000007 ffff", "", 10, nil},
		{"v1", "0003 0001 00000007 0001 63 00", "c", 11, nil},
		{"v2 keeps the long client id", "0003 0009 00000007 0001 63 00", "c", 12, nil},
		{"v2 with unknown tags", "0003 0009 00000007 0001 63 02 05 01 aa 06 00", "c", 17, nil},
		{"v0", "0007 0000 00000007", "", 8, nil},
		{"ApiVersions from the future", "0012 0063 00000007 0001 63 00", "c", 12, nil},
		{"an unknown key", "0060 0000 00000007 0001 63", "", 0, protocol.ErrUnknownAPI},
		{"a negative key", "ffff 0000 00000007 0001 63", "", 0, protocol.ErrUnknownAPI},
		{"nothing", "", "", 0, protocol.ErrTruncated},
		{"a client id cut short", "0003 0001 00000007 0005 63", "", 0, protocol.ErrTruncated},
		{"a bomb of tags", "0003 0009 00000007 0001 63 ffffffff0f", "", 0, protocol.ErrTruncated},
		{"a tag cut short", "0003 0009 00000007 0001 63 01 00 05 00", "", 0, protocol.ErrTruncated},
		{"a tag size of 2^32-1", "0003 0009 00000007 0001 63 01 00 ffffffff0f", "", 0, protocol.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := protocol.ParseRequestHeader(unhex(t, tt.frame))
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err == nil && (string(h.ClientID) != tt.client || h.BodyPos != tt.body || h.CorrelationID != 7) {
				t.Fatalf("got %+v", h)
			}
		})
	}
}

func TestAppendResponseHeader(t *testing.T) {
	for _, tt := range []struct {
		key, version int16
		want         string
	}{
		{protocol.KeyFetch, 11, "00000007"},
		{protocol.KeyFetch, 12, "0000000700"},
		{protocol.KeyAPIVersions, 3, "00000007"},
		{protocol.KeySASLHandshake, 1, "00000007"},
	} {
		if got := protocol.AppendResponseHeader(nil, tt.key, tt.version, 7); !bytes.Equal(got, unhex(t, tt.want)) {
			t.Errorf("key %d v%d: %x, want %s", tt.key, tt.version, got, tt.want)
		}
	}
}

func TestParseRequestHeaderAllocatesNothing(t *testing.T) {
	frame := unhex(t, "0003 0009 00000007 0001 63 02 05 01 aa 06 00")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := protocol.ParseRequestHeader(frame); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzParseRequestHeader(f *testing.F) {
	f.Add(unhex(f, "0003 0009 00000007 0001 63 02 05 01 aa 06 00"))
	f.Add(unhex(f, "0007 0000 00000007"))
	f.Fuzz(func(t *testing.T, frame []byte) {
		defer fuzzcost.Bound(t, len(frame), 64)()
		h, err := protocol.ParseRequestHeader(frame)
		if err != nil {
			return
		}
		again, err := protocol.ParseRequestHeader(protocol.AppendRequestHeader(nil, &h))
		if err != nil || h.BodyPos > len(frame) || again.Key != h.Key || again.Version != h.Version ||
			again.CorrelationID != h.CorrelationID || !bytes.Equal(again.ClientID, h.ClientID) {
			t.Fatalf("%+v came back as %+v, %v", h, again, err)
		}
	})
}
