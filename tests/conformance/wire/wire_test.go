package wire_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Every request and response of kmsg in every version, with fields of its defaults, comes
// back the same bytes after a way through a tree.
func TestTreesKeepEveryByteOfKmsg(t *testing.T) {
	for _, api := range schema.All() {
		req := kmsg.RequestForKey(api.Key)
		if req == nil || api.Max < api.Min {
			continue
		}
		for v := api.Min; v <= min(api.Max, req.MaxVersion()); v++ {
			req.SetVersion(v)
			body := req.AppendTo(nil)
			tree, err := wire.DecodeRequest(&api, v, body)
			if err != nil {
				t.Errorf("%s v%d: %v", api.Name, v, err)
				continue
			}
			if again := wire.AppendRequest(nil, &api, v, tree); !bytes.Equal(again, body) {
				t.Errorf("%s v%d: %x became %x", api.Name, v, body, again)
			}
			resp := req.ResponseKind()
			resp.SetVersion(v)
			body = resp.AppendTo(nil)
			tree, err = wire.DecodeResponse(&api, v, body)
			if err != nil {
				t.Errorf("%s v%d response: %v", api.Name, v, err)
				continue
			}
			if again := wire.AppendResponse(nil, &api, v, tree); !bytes.Equal(again, body) {
				t.Errorf("%s v%d response: %x became %x", api.Name, v, body, again)
			}
		}
	}
}

// Trees made at random read back from their bytes, and from their text, as they were.
func TestRandomTreesComeBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, api := range schema.All() {
		for v := api.Min; v <= api.Max; v++ {
			for range 20 {
				tree := randomStruct(random, api.Request.Fields, v)
				body := wire.AppendRequest(nil, &api, v, tree)
				back, err := wire.DecodeRequest(&api, v, body)
				if err != nil {
					t.Fatalf("%s v%d: %v", api.Name, v, err)
				}
				again := wire.AppendRequest(nil, &api, v, back)
				if !bytes.Equal(again, body) {
					t.Fatalf("%s v%d: %s became %s", api.Name, v, wire.Text(tree), wire.Text(back))
				}
				parsed, err := wire.Parse(wire.Text(back))
				if err != nil {
					t.Fatalf("%s v%d: %v: %s", api.Name, v, err, wire.Text(back))
				}
				if wire.Text(parsed) != wire.Text(back) {
					t.Fatalf("%s v%d: %s became %s", api.Name, v, wire.Text(back), wire.Text(parsed))
				}
			}
		}
	}
}

func randomStruct(r *rand.Rand, fields []schema.Field, version int16) *wire.Struct {
	s := &wire.Struct{}
	for i := range fields {
		f := &fields[i]
		if !f.Versions.Contain(version) || f.Tagged.Contain(version) && r.IntN(2) == 0 {
			continue
		}
		nullable := f.Nullable.Contain(version)
		if nullable && r.IntN(3) == 0 && (f.Array || f.Kind >= schema.String) {
			s.Set(f.Name, nil)
			continue
		}
		if f.Array {
			list := wire.List{}
			for range r.IntN(3) {
				list = append(list, randomValue(r, f, version))
			}
			s.Set(f.Name, list)
			continue
		}
		s.Set(f.Name, randomValue(r, f, version))
	}
	return s
}

func randomValue(r *rand.Rand, f *schema.Field, version int16) any {
	switch f.Kind {
	case schema.Bool:
		return r.IntN(2) == 0
	case schema.Float64:
		return r.Float64()
	case schema.UUID:
		return wire.UUID{byte(r.Uint32()), 1}
	case schema.String:
		return []string{"", "a", "quote \" and ], }"}[r.IntN(3)]
	case schema.Bytes:
		return wire.Bytes{0, byte(r.Uint32())}
	case schema.Records:
		return wire.Records{1, 2, 3}
	case schema.Struct:
		return randomStruct(r, f.Fields, version)
	}
	return int64(r.IntN(100))
}
