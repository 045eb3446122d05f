package fuzzcost

import "testing"

// recorder is a testing.TB that only notes whether it failed.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }

var sink []byte

func TestBoundSeesWhatIsAllocated(t *testing.T) {
	for _, c := range []struct {
		bytes  int
		failed bool
	}{{1 << 20, false}, {32 << 20, true}} {
		r := &recorder{}
		end := Bound(r, 10, 64)
		sink = make([]byte, c.bytes)
		end()
		if r.failed != c.failed {
			t.Errorf("%d bytes allocated: failed %v, want %v", c.bytes, r.failed, c.failed)
		}
	}
}
