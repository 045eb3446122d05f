package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// Seven bytes that keep kmsg 1.15 busy for most of a minute, from anybody who can connect.
func TestApiVersionsBomb(t *testing.T) {
	var r protocol.APIVersionsRequest
	if err := r.Decode(3, unhex(t, "01 01 ffffffff0f")); !errors.Is(err, protocol.ErrTruncated) {
		t.Fatalf("got %+v, %v", r, err)
	}
}

func TestAPIVersionsRequestDecode(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version int16
		body    string
		want    protocol.APIVersionsRequest
		err     error
	}{
		{"v0 has nothing", 0, "", protocol.APIVersionsRequest{NodeID: -1}, nil},
		{"v2 ignores what follows", 2, "0102", protocol.APIVersionsRequest{NodeID: -1}, nil},
		{"v3", 3, "02 61 03 312e 00", protocol.APIVersionsRequest{ClientSoftwareName: []byte("a"), ClientSoftwareVersion: []byte("1."), NodeID: -1}, nil},
		{"v3 with a tag and more behind", 3, "02 61 02 31 01 07 01 ff ff", protocol.APIVersionsRequest{ClientSoftwareName: []byte("a"), ClientSoftwareVersion: []byte("1"), NodeID: -1}, nil},
		{"v5", 5, "02 61 02 31 02 63 00000003 00", protocol.APIVersionsRequest{ClientSoftwareName: []byte("a"), ClientSoftwareVersion: []byte("1"), ClusterID: []byte("c"), NodeID: 3}, nil},
		{"v5 of an undemanding client", 5, "02 61 02 31 00 ffffffff 00", protocol.APIVersionsRequest{ClientSoftwareName: []byte("a"), ClientSoftwareVersion: []byte("1"), NodeID: -1}, nil},
		{"v6", 6, "", protocol.APIVersionsRequest{NodeID: -1}, protocol.ErrUnsupportedVersion},
		{"a null name", 3, "00 02 31 00", protocol.APIVersionsRequest{NodeID: -1}, protocol.ErrMalformed},
		{"a name cut short", 3, "05 61", protocol.APIVersionsRequest{NodeID: -1}, protocol.ErrTruncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r protocol.APIVersionsRequest
			err := r.Decode(tt.version, unhex(t, tt.body))
			if !errors.Is(err, tt.err) || !bytes.Equal(r.ClientSoftwareName, tt.want.ClientSoftwareName) || r.NodeID != tt.want.NodeID ||
				!bytes.Equal(r.ClientSoftwareVersion, tt.want.ClientSoftwareVersion) || !bytes.Equal(r.ClusterID, tt.want.ClusterID) {
				t.Fatalf("got %+v, %v, want %+v, %v", r, err, tt.want, tt.err)
			}
		})
	}
}

func TestValidSoftware(t *testing.T) {
	for s, want := range map[string]bool{
		"kgo": true, "apache-kafka-java": true, "3.9.2": true, "a": true, "1--.2": true,
		"": false, "-a": false, "a-": false, ".": false, "a b": false, "ä": false, "a_b": false,
	} {
		if got := protocol.ValidSoftware([]byte(s)); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func TestAPIVersionsResponseIsWhatKmsgWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		for version := int16(0); version <= 4; version++ {
			ours := random[protocol.APIVersionsResponse](r)
			k := kmsg.ApiVersionsResponse{
				Version: version, ErrorCode: int16(ours.ErrorCode), ThrottleMillis: ours.ThrottleMs,
				FinalizedFeaturesEpoch: ours.FinalizedFeaturesEpoch, ZkMigrationReady: ours.ZKMigrationReady,
			}
			for _, a := range ours.APIs {
				k.ApiKeys = append(k.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: a.Key, MinVersion: a.Min, MaxVersion: a.Max})
			}
			for _, f := range ours.SupportedFeatures {
				if version >= 4 || f.Min != 0 {
					k.SupportedFeatures = append(k.SupportedFeatures, kmsg.ApiVersionsResponseSupportedFeature{Name: f.Name, MinVersion: f.Min, MaxVersion: f.Max})
				}
			}
			for _, f := range ours.FinalizedFeatures {
				if f.Max != 0 {
					k.FinalizedFeatures = append(k.FinalizedFeatures, kmsg.ApiVersionsResponseFinalizedFeature{Name: f.Name, MinVersionLevel: f.Min, MaxVersionLevel: f.Max})
				}
			}
			frame := ours.AppendFrame(nil, version, 7)
			want := k.AppendTo(unhex(t, "00000007"))
			if int(binary.BigEndian.Uint32(frame)) != len(frame)-4 || !bytes.Equal(frame[4:], want) {
				t.Fatalf("v%d: %+v\nours %x\nkmsg %x", version, ours, frame[4:], want)
			}
			if trailing, err := schema.CheckResponse(protocol.KeyAPIVersions, version, frame[8:]); trailing != 0 || err != nil {
				t.Fatalf("v%d: %d trailing, %v", version, trailing, err)
			}
		}
	}
}

func TestSASLMessagesAreWhatKmsgWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 100 {
		for version := int16(0); version <= 1; version++ {
			req := random[kmsg.SASLHandshakeRequest](r)
			req.Version = version
			var ours protocol.SASLHandshakeRequest
			if err := ours.Decode(version, req.AppendTo(nil)); err != nil || string(ours.Mechanism) != req.Mechanism {
				t.Fatalf("handshake v%d: %q, %v, want %q", version, ours.Mechanism, err, req.Mechanism)
			}
			resp := random[protocol.SASLHandshakeResponse](r)
			k := kmsg.SASLHandshakeResponse{Version: version, ErrorCode: int16(resp.ErrorCode), SupportedMechanisms: resp.Mechanisms}
			if got, want := resp.AppendFrame(nil, version, 7)[4:], k.AppendTo(unhex(t, "00000007")); !bytes.Equal(got, want) {
				t.Fatalf("handshake v%d: %x, want %x", version, got, want)
			}
		}
		for version := int16(0); version <= 2; version++ {
			req := random[kmsg.SASLAuthenticateRequest](r)
			req.Version = version
			var ours protocol.SASLAuthenticateRequest
			if err := ours.Decode(version, req.AppendTo(nil)); err != nil || !bytes.Equal(ours.AuthBytes, req.SASLAuthBytes) {
				t.Fatalf("authenticate v%d: %x, %v, want %x", version, ours.AuthBytes, err, req.SASLAuthBytes)
			}
			resp := random[protocol.SASLAuthenticateResponse](r)
			k := kmsg.SASLAuthenticateResponse{
				Version: version, ErrorCode: int16(resp.ErrorCode), ErrorMessage: &resp.ErrorMessage,
				SASLAuthBytes: resp.AuthBytes, SessionLifetimeMillis: resp.SessionLifetimeMs,
			}
			want := k.AppendTo(protocol.AppendResponseHeader(nil, protocol.KeySASLAuthenticate, version, 7))
			if got := resp.AppendFrame(nil, version, 7)[4:]; !bytes.Equal(got, want) {
				t.Fatalf("authenticate v%d: %x, want %x", version, got, want)
			}
		}
	}
}

// Whatever may come before authentication: these decoders and Check agree on what they
// take, and the decoders allocate nothing for it.
func FuzzUnauthenticatedDecode(f *testing.F) {
	f.Add(protocol.KeyAPIVersions, int16(3), unhex(f, "02 61 02 31 01 07 01 ff"))
	f.Add(protocol.KeySASLHandshake, int16(1), unhex(f, "0005 504c41494e"))
	f.Add(protocol.KeySASLAuthenticate, int16(2), unhex(f, "04 006100 00"))
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		defer fuzzcost.Bound(t, len(body), 64)()
		var err error
		switch key {
		case protocol.KeyAPIVersions:
			err = new(protocol.APIVersionsRequest).Decode(version, body)
			if version == 5 {
				return // newer than the table
			}
		case protocol.KeySASLHandshake:
			err = new(protocol.SASLHandshakeRequest).Decode(version, body)
		case protocol.KeySASLAuthenticate:
			err = new(protocol.SASLAuthenticateRequest).Decode(version, body)
		default:
			return
		}
		if _, checkErr := schema.Check(key, version, body, schema.Limits{}); (err == nil) != (checkErr == nil) {
			t.Fatalf("Decode says %v, Check %v", err, checkErr)
		}
	})
}

func TestUnauthenticatedDecodeAllocatesNothing(t *testing.T) {
	versions, handshake, authenticate := unhex(t, "02 61 02 31 01 07 01 ff"), unhex(t, "0005 504c41494e"), unhex(t, "04 006100 00")
	var a protocol.APIVersionsRequest
	var h protocol.SASLHandshakeRequest
	var u protocol.SASLAuthenticateRequest
	if n := testing.AllocsPerRun(100, func() {
		if a.Decode(4, versions) != nil || h.Decode(1, handshake) != nil || u.Decode(2, authenticate) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
