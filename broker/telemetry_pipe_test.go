package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
)

func TestAPipeWhoseReaderStallsKeepsNobodyWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	reader, err := os.OpenFile(path, os.O_RDWR, 0) // so that opening it to write waits for nobody
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	r, err := openTelemetryReceiver(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	metrics := bytes.Repeat([]byte{'m'}, 100_000)
	taken := 0
	for {
		err := r.receive(protocol.UUID{}, clientAttributes{}, false, metrics)
		if errors.Is(err, errTelemetryStalled) {
			break
		}
		if taken++; err != nil || taken > 1000 {
			t.Fatal(taken, err)
		}
	}
	if taken < 40 {
		t.Errorf("%d were taken", taken)
	}
	// What was taken comes whole when the reader goes on.
	for i := range taken {
		var head [3]byte // of 100,000
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			t.Fatal(err)
		}
		if size, n := binary.Uvarint(head[:]); size != uint64(len(metrics)) || n != len(head) {
			t.Fatalf("message %d has size %d", i, size)
		}
		got := make([]byte, len(metrics))
		if _, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, metrics) {
			t.Fatal(i, err)
		}
	}
	if err := r.receive(protocol.UUID{}, clientAttributes{}, false, metrics); err != nil {
		t.Error(err)
	}
	r.close() // does not wait for a reader that stalls again
}

// tearing writes half of what it is given, and cannot be cut back for a while.
type tearing struct {
	bytes.Buffer
	failing, stuck bool
}

var errDisk = errors.New("disk")

func (f *tearing) Write(p []byte) (int, error) {
	if f.failing {
		f.Buffer.Write(p[:len(p)/2])
		return len(p) / 2, errDisk
	}
	return f.Buffer.Write(p)
}

func (f *tearing) Truncate(size int64) error {
	if f.stuck {
		return errDisk
	}
	f.Buffer.Truncate(int(size))
	return nil
}

func (f *tearing) Close() error { return nil }

func TestATornTelemetryMessageIsCutOffBeforeTheNext(t *testing.T) {
	f := &tearing{}
	r := &telemetryFile{file: f}
	send := func(s string) error { return r.receive(protocol.UUID{}, clientAttributes{}, false, []byte(s)) }
	steps := []struct {
		failing, stuck bool
		fails          bool
	}{{}, {failing: true, fails: true}, {}, {true, true, true}, {stuck: true, fails: true}, {}}
	for i, step := range steps {
		f.failing, f.stuck = step.failing, step.stuck
		if err := send(string(rune('a'+i)) + "bcd"); (err != nil) != step.fails {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if got := f.String(); got != "\x04abcd\x04cbcd\x04fbcd" {
		t.Errorf("%q", got)
	}
}

func TestAConnectionPushesNoMoreUnderOtherIDs(t *testing.T) {
	w := newTelemetryWorld(t)
	push := func(connection uint64, n int) error {
		a := clientAttributes{connection: connection}
		id := protocol.UUID{14: byte(connection), 15: byte(n), 0: 1}
		s, err := w.get(id, a)
		if err != nil {
			t.Fatal(err)
		}
		return w.push(telemetryPush{clientInstanceID: id, subscriptionID: s.id, metrics: []byte("m"), terminating: n%2 == 0}, a)
	}
	for n := range maxConnPushes {
		wantCode(t, "one of the first", push(1, n), protocol.None)
	}
	wantCode(t, "one too many", push(1, maxConnPushes), protocol.ErrThrottlingQuotaExceeded)
	wantCode(t, "another connection's", push(2, 0), protocol.None)
	w.clock = w.clock.Add(defaultPushInterval)
	wantCode(t, "after the interval", push(1, maxConnPushes+1), protocol.None)
	if len(w.got) != maxConnPushes+2 {
		t.Errorf("%d payloads", len(w.got))
	}
}
