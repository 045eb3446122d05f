package broker_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// countingFS counts the bytes that are read from segments into this process.
type countingFS struct {
	log.FS
	read atomic.Int64
}

func (c *countingFS) OpenFile(name string, flag int, perm fs.FileMode) (log.File, error) {
	f, err := c.FS.OpenFile(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &countingFile{f, c}, nil
}

type countingFile struct {
	log.File
	fs *countingFS
}

func (f *countingFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := f.File.ReadAt(p, at)
	f.fs.read.Add(int64(n))
	return n, err
}

// startOn starts a broker whose segments lie in that file system.
func startOn(t testing.TB, fsys log.FS) *broker.Broker {
	t.Helper()
	b, err := startWith(t, fsys, func(s metadata.Store) metadata.Store { return s }, "message.max.bytes=2000000")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startWith starts a broker whose segments lie in that file system, and whose metadata
// store is wrapped.
func startWith(t testing.TB, fsys log.FS, wrap func(metadata.Store) metadata.Store, options ...string) (*broker.Broker, error) {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	c, err := config.Load(config.Options{Overrides: append([]string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + dir}, options...)})
	if err != nil {
		t.Fatal(err)
	}
	logs, err := log.OpenManager(ctx, log.ManagerOptions{Dirs: []string{dir}, NodeID: 1, Config: c.Topic(nil), FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	store, err := raftstore.Open(ctx, raftstore.Options{
		Dir: filepath.Join(dir, raftstore.DirName), NodeID: 1, DirectoryID: logs.Dirs()[0].ID, ClusterID: logs.ClusterID(),
		Controller: controller.Options{DefaultPartitions: 1, DefaultReplicationFactor: 1, Features: broker.SupportedFeatures()},
	})
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Start(ctx, broker.Options{NodeID: 1, HostName: "localhost", Config: c, Logs: logs, Store: wrap(store),
		Logger: slog.New(slog.DiscardHandler), PanicsEnd: true})
	t.Cleanup(func() {
		if err == nil {
			b.Close(ctx)
		}
		logs.Close(ctx)
		store.Close()
	})
	return b, err
}

// What a consumer fetches on a plaintext listener goes from the file to the socket inside
// the kernel: this process reads the segments next to not at all.
func TestFetchedRecordsDoNotEnterTheProcess(t *testing.T) {
	fsys := &countingFS{FS: log.OS{}}
	b := startOn(t, fsys)
	w := dialAddress(t, b.Addresses()["PLAINTEXT"])
	makeTopic(w, "big")
	batch := recordsOf(t, 20_000)
	const batches = 20
	for range batches {
		w.call(produceOf("big", 1, batch))
	}
	before := fsys.read.Load()
	want := int64(len(batch)) * batches
	got := int64(0)
	for offset := int64(0); got < want; offset += 20_000 * (batches / 2) {
		resp := w.call(fetchOf("big", offset, int32(want/2))).(*kmsg.FetchResponse)
		records := resp.Topics[0].Partitions[0].RecordBatches
		for i := 0; i+len(batch) <= len(records); i += len(batch) {
			// From the CRC on, a batch is as it was sent.
			if !bytes.Equal(records[i+17:i+len(batch)], batch[17:]) {
				t.Fatal("other records came back")
			}
		}
		if len(records) == 0 {
			t.Fatal("nothing came back")
		}
		got += int64(len(records))
	}
	if read := fsys.read.Load() - before; read > want/100 {
		t.Errorf("of %d bytes fetched, %d were read into the process", got, read)
	}
	if sent := b.SendfileBytes(); sent < got {
		t.Errorf("of %d bytes fetched, %d went by sendfile", got, sent)
	}
}

// The same, as the kernel saw it.
func TestTheKernelSeesSendfile(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if os.Getenv("BARNABAS_STRACED") != "" {
		t.Skip("already under strace")
	}
	if raceDetector {
		t.Skip("slow under the race detector")
	}
	trace := filepath.Join(t.TempDir(), "trace")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", trace, "-e", "trace=sendfile", os.Args[0], "-test.run=^TestFetchedRecordsDoNotEnterTheProcess$")
	c.Env = append(os.Environ(), "BARNABAS_STRACED=1")
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %v\n%s", err, out)
	}
	all, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	sent := int64(0)
	for line := range strings.Lines(string(all)) {
		if _, result, ok := strings.Cut(line, ") = "); ok && strings.Contains(line, "sendfile") {
			n, _ := strconv.ParseInt(strings.Fields(result)[0], 10, 64)
			sent += max(n, 0)
		}
	}
	if sent < 20*20_000*30 {
		t.Errorf("the kernel saw %d bytes sent by sendfile", sent)
	}
}
