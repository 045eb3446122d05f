package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/compress"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// telemetryWorld is a telemetry on a clock of the test.
type telemetryWorld struct {
	*telemetry
	clock time.Time
	got   [][]byte
}

func newTelemetryWorld(t *testing.T) *telemetryWorld {
	t.Helper()
	te, err := newTelemetry(config.Telemetry{MaxBytes: 1000}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &telemetryWorld{telemetry: te, clock: time.UnixMilli(1_700_000_000_000)}
	te.now = func() time.Time { return w.clock }
	te.receiver = w
	return w
}

func (w *telemetryWorld) receive(_ protocol.UUID, _ clientAttributes, _ bool, metrics []byte) error {
	w.got = append(w.got, bytes.Clone(metrics))
	return nil
}
func (w *telemetryWorld) close() {}

func (w *telemetryWorld) subscribe(name string, s config.ClientSubscription) {
	w.subscriptions[name] = s
	w.version++
}

func wantCode(t *testing.T, what string, err error, want protocol.ErrorCode) {
	t.Helper()
	if got := codeOf(err); got != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestTelemetryRefusesWhatApacheRefuses(t *testing.T) {
	w := newTelemetryWorld(t)
	w.subscribe("all", config.ClientSubscription{Metrics: []string{"*"}, IntervalMs: 1000})
	a := clientAttributes{connection: 1, clientID: "c"}
	s, err := w.get(protocol.UUID{}, a)
	if err != nil || s.clientInstanceID.IsZero() || s.interval != time.Second || !slices.Equal(s.metrics, []string{"*"}) {
		t.Fatalf("%+v %v", s, err)
	}
	id := s.clientInstanceID
	push := telemetryPush{clientInstanceID: id, subscriptionID: s.id, metrics: []byte("x")}
	_, err = w.get(id, a)
	wantCode(t, "a get before the interval is over", err, protocol.ErrThrottlingQuotaExceeded)
	w.clock = w.clock.Add(10 * time.Millisecond)
	wantCode(t, "the first push may come early", w.push(push, a), protocol.None)
	wantCode(t, "the second may not", w.push(push, a), protocol.ErrThrottlingQuotaExceeded)

	w.clock = w.clock.Add(time.Second)
	wrong := push
	wrong.subscriptionID++
	wantCode(t, "another subscription id", w.push(wrong, a), protocol.ErrUnknownSubscriptionID)
	if _, err := w.get(id, a); err != nil {
		t.Errorf("a get right after an unknown subscription: %v", err)
	}
	w.clock = w.clock.Add(time.Second)
	wrong = push
	wrong.codec = 5
	wantCode(t, "an unknown codec", w.push(wrong, a), protocol.ErrUnsupportedCompressionType)
	w.clock = w.clock.Add(time.Second)
	wrong = push
	wrong.metrics = make([]byte, 1001)
	wantCode(t, "too large", w.push(wrong, a), protocol.ErrTelemetryTooLarge)
	w.clock = w.clock.Add(time.Second)
	wrong.codec, wrong.metrics = compress.Zstd, []byte("not zstd")
	wantCode(t, "not what the codec says", w.push(wrong, a), protocol.ErrInvalidRecord)
	for _, id := range []protocol.UUID{{}, {15: 1}} {
		wrong.clientInstanceID = id
		wantCode(t, "a reserved client instance id", w.push(wrong, a), protocol.ErrInvalidRequest)
	}
	last := push
	last.terminating = true
	wantCode(t, "a terminating push, before the interval is over", w.push(last, a), protocol.None)
	w.clock = w.clock.Add(time.Second)
	wantCode(t, "a push after it", w.push(push, a), protocol.ErrInvalidRequest)
	if len(w.got) != 2 {
		t.Errorf("%d payloads", len(w.got))
	}
}

func TestTelemetryDecompressesEveryCodecAndNoBomb(t *testing.T) {
	w := newTelemetryWorld(t)
	a := clientAttributes{connection: 1}
	send := func(codec int8, plain []byte) error {
		s, err := w.get(protocol.UUID{}, a)
		if err != nil {
			t.Fatal(err)
		}
		small, err := compress.AppendCompress(nil, codec, compress.DefaultLevel, plain)
		if err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(time.Millisecond)
		return w.push(telemetryPush{clientInstanceID: s.clientInstanceID, subscriptionID: s.id, codec: codec, metrics: small}, a)
	}
	for codec := compress.None; codec <= compress.Zstd; codec++ {
		if err := send(codec, bytes.Repeat([]byte{byte(codec)}, 1000)); err != nil {
			t.Errorf("codec %d: %v", codec, err)
		}
		if got := w.got[len(w.got)-1]; len(got) != 1000 || got[999] != byte(codec) {
			t.Errorf("codec %d: %d bytes arrived", codec, len(got))
		}
		if codec != compress.None {
			wantCode(t, "a bomb", send(codec, make([]byte, 10_000)), protocol.ErrTelemetryTooLarge)
		}
	}
}

func TestTelemetryMatchesClientsWithSubscriptions(t *testing.T) {
	w := newTelemetryWorld(t)
	match := func(list ...string) map[string]*regexp.Regexp {
		m, err := config.ParseClientMatch(list)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	w.subscribe("java", config.ClientSubscription{Metrics: []string{"a.", "b."}, IntervalMs: 5000, Match: match("client_software_name=apache-.*", "client_source_address=10[.].*")})
	w.subscribe("slow", config.ClientSubscription{Metrics: []string{"b.", "c."}, IntervalMs: 3_600_000})
	s, _ := w.get(protocol.UUID{1}, clientAttributes{softwareName: "apache-kafka-java", address: "10.0.0.1"})
	if s.interval != 5*time.Second || strings.Join(s.metrics, " ") != "c. b. a." {
		t.Errorf("%+v", s)
	}
	s, _ = w.get(protocol.UUID{2}, clientAttributes{softwareName: "apache-kafka-java", address: "11.0.0.1"})
	if s.interval != defaultPushInterval || strings.Join(s.metrics, " ") != "c. b." {
		t.Errorf("%+v", s)
	}
	// A changed subscription is served at once, under another id.
	before := s.id
	w.clock = w.clock.Add(time.Second)
	w.subscribe("slow", config.ClientSubscription{Metrics: []string{"d."}, IntervalMs: 1000})
	s, err := w.get(protocol.UUID{2}, clientAttributes{})
	if err != nil || s.id == before || strings.Join(s.metrics, " ") != "d." {
		t.Errorf("%+v %v", s, err)
	}
}

// The orders are those of Java's HashSet, the ids computed with Apache 4.3's own Crc32C and Uuid.
func TestSubscriptionIDIsApaches(t *testing.T) {
	id := protocol.UUID{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x90, 0xa0, 0xb0, 0xc0, 0xd0, 0xe0, 0xf0, 0x11}
	for _, tt := range []struct {
		metrics  []string
		interval time.Duration
		order    string
		want     int32
	}{
		{[]string{}, 300000 * time.Millisecond, "", -1870455037},
		{[]string{"*"}, 1000 * time.Millisecond, "*", 1993340516},
		{[]string{"org.apache.kafka.producer.", "org.apache.kafka.consumer.", "org.apache.kafka.admin.", "é😀", "org.apache.kafka.producer."}, 5000 * time.Millisecond, "org.apache.kafka.producer., org.apache.kafka.consumer., é😀, org.apache.kafka.admin.", -1184821062},
		{[]string{"m0", "m37", "m74", "m111", "m148", "m185", "m222", "m259", "m296", "m333", "m370", "m407", "m444", "m481"}, 100 * time.Millisecond, "m0, m74, m370, m37, m296, m481, m185, m333, m444, m111, m222, m148, m259, m407", -1609633271},
	} {
		got := javaSetOrder(tt.metrics)
		if strings.Join(got, ", ") != tt.order {
			t.Errorf("%q in order %q, want %q", tt.metrics, got, tt.order)
		}
		if n := subscriptionID(got, tt.interval, id); n != tt.want {
			t.Errorf("%q: %d, want %d", tt.metrics, n, tt.want)
		}
	}
}

func TestTelemetryRemembersABoundedNumberOfClients(t *testing.T) {
	w := newTelemetryWorld(t)
	for i := range maxClientInstances + 100 {
		var id protocol.UUID
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		w.get(id, clientAttributes{connection: uint64(i)})
	}
	if len(w.instances) != maxClientInstances || w.recent.Len() != maxClientInstances {
		t.Errorf("%d and %d clients", len(w.instances), w.recent.Len())
	}
	for i := range maxClientInstances + 100 {
		w.forget(uint64(i))
	}
	if len(w.instances) != 0 || len(w.byConn) != 0 || w.recent.Len() != 0 {
		t.Errorf("%d clients and %d connections are left", len(w.instances), len(w.byConn))
	}
}

func TestTelemetryForgetsSilentClients(t *testing.T) {
	w := newTelemetryWorld(t)
	a := clientAttributes{connection: 1}
	s, _ := w.get(protocol.UUID{}, a)
	w.push(telemetryPush{clientInstanceID: s.clientInstanceID, subscriptionID: s.id, terminating: true}, a)
	push := telemetryPush{clientInstanceID: s.clientInstanceID, subscriptionID: s.id}
	w.clock = w.clock.Add(3*defaultPushInterval - time.Second)
	wantCode(t, "remembered", w.push(push, a), protocol.ErrInvalidRequest)
	w.clock = w.clock.Add(3 * defaultPushInterval)
	wantCode(t, "forgotten", w.push(push, a), protocol.None)
}

func TestTelemetryFileHoldsWholeMessages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metrics")
	for range 2 { // an existing file is continued
		r, err := openTelemetryReceiver(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{1, 200, 100_000} {
			if err := r.receive(protocol.UUID{}, clientAttributes{}, false, bytes.Repeat([]byte{byte(size)}, size)); err != nil {
				t.Fatal(err)
			}
		}
		r.close()
	}
	all, _ := os.ReadFile(path)
	var sizes []int
	for len(all) > 0 {
		size, n := binary.Uvarint(all)
		if n <= 0 || int(size) > len(all)-n {
			t.Fatalf("the file breaks off after %v", sizes)
		}
		sizes = append(sizes, int(size))
		all = all[n+int(size):]
	}
	if !slices.Equal(sizes, []int{1, 200, 100_000, 1, 200, 100_000}) {
		t.Error(sizes)
	}
	if _, err := openTelemetryReceiver(filepath.Join(path, "below"), nil); err == nil {
		t.Error("a file below a file could be opened")
	}
}

func FuzzWalkMetricNames(f *testing.F) {
	f.Add([]byte{0x0a, 7, 0x12, 5, 0x12, 3, 0x0a, 1, 'm'})
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, wire []byte) {
		defer fuzzcost.Bound(t, len(wire), 64)()
		size := 0
		walkMetricNames(wire, func(name []byte) { size += len(name) })
		if size > len(wire) {
			t.Fatalf("%d bytes of names in %d", size, len(wire))
		}
	})
}

func TestWalkMetricNames(t *testing.T) {
	var names []string
	err := walkMetricNames([]byte{0x0a, 12, 0x12, 10, 0x12, 3, 0x0a, 1, 'm', 0x12, 3, 0x0a, 1, 'n'}, func(name []byte) { names = append(names, string(name)) })
	if err != nil || strings.Join(names, " ") != "m n" {
		t.Error(names, err)
	}
	if err := walkMetricNames([]byte{0x0a, 100}, nil); !errors.Is(err, errNotOTLP) {
		t.Error(err)
	}
}
