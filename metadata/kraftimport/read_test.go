package kraftimport

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// testdata/3.9.2 was written by Apache Kafka 3.9.2, one node: topics orders (three
// partitions, then five, cleanup.policy=compact, retention.ms=12345), big.topic (200) and gone, which
// was deleted; the brokers' default log.cleaner.threads=2; a SCRAM credential of alice, a
// quota of alice with any client, an ACL; one idempotent producer; a clean stop.
func apacheDirectory(t testing.TB) fstest.MapFS {
	files := fstest.MapFS{}
	root := os.DirFS("testdata/3.9.2")
	names, err := fs.Glob(root, "*")
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	return files
}

func imageOf(t testing.TB, m *Metadata) *metadata.Image {
	t.Helper()
	d := metadata.NewDraft(metadata.EmptyImage())
	for _, r := range m.Records {
		if err := d.Apply(r); err != nil {
			t.Fatal(err)
		}
	}
	image, _ := d.Finish(1)
	return image
}

func encode(m *metadata.Image) (out []byte) {
	for r := range m.Records() {
		out = metadata.AppendRecord(out, r)
	}
	return out
}

func TestApacheDirectoryIsRead(t *testing.T) {
	m, err := Read(apacheDirectory(t))
	if err != nil {
		t.Fatal(err)
	}
	if m.NextOffset != 476 || m.Epoch != 1 {
		t.Errorf("offset %d, epoch %d", m.NextOffset, m.Epoch)
	}
	image := imageOf(t, m)
	orders := image.Topic("orders")
	if image.TopicCount() != 2 || orders == nil || orders.ID.String() != "jxz-ogFpS-m9s2vbxY8ZiA" || len(orders.Partitions) != 5 {
		t.Fatalf("%d topics, orders %+v", image.TopicCount(), orders)
	}
	if len(image.Topic("big.topic").Partitions) != 200 || image.Topic("gone") != nil {
		t.Error("the other topics are wrong")
	}
	directory, err := protocol.ParseUUID("xQT49qIqFfMcnp38KWpo7w")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range orders.Partitions {
		if p.Leader != metadata.NoLeader || p.LeaderEpoch != 1 || p.ISR[0] != 1 || p.Directory(1) != directory {
			t.Errorf("partition %+v", p)
		}
	}
	if c := image.Config(metadata.TopicResource, "orders"); len(c) != 2 || c["cleanup.policy"] != "compact" || c["retention.ms"] != "12345" {
		t.Errorf("configuration of orders: %v", c)
	}
	if c := image.Config(metadata.BrokerResource, ""); c["log.cleaner.threads"] != "2" {
		t.Errorf("default of brokers: %v", c)
	}
	alice := metadata.QuotaEntity{User: metadata.QuotaName{Set: true, Name: "alice"}, ClientID: metadata.QuotaName{Set: true}}
	if image.Quotas(alice)["producer_byte_rate"] != 1024 {
		t.Error("no quota")
	}
	if c := image.ScramCredential("alice", metadata.ScramSHA256); c == nil || c.Iterations != 8192 || len(c.StoredKey) != 32 {
		t.Errorf("credential %+v", c)
	}
	for a := range image.ACLs() {
		if a.ResourceName != "orders" || a.Principal != "User:alice" || a.Operation != 3 || a.Permission != 3 {
			t.Errorf("ACL %+v", a)
		}
	}
	b := image.Broker(1)
	if b == nil || !b.Fenced || b.Endpoints[0].Port != 39792 || image.NextProducerID() != 1000 || image.Feature("metadata.version") != 21 {
		t.Errorf("broker %+v, next producer id %d", b, image.NextProducerID())
	}
}

func TestLogAndCheckpointSayTheSame(t *testing.T) {
	both, err := Read(apacheDirectory(t))
	if err != nil {
		t.Fatal(err)
	}
	dir := apacheDirectory(t)
	for name := range dir {
		if strings.HasSuffix(name, ".checkpoint") {
			delete(dir, name)
		}
	}
	log, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(imageOf(t, both)), encode(imageOf(t, log))) || both.NextOffset != log.NextOffset {
		t.Error("the log alone makes another image")
	}
	dir = apacheDirectory(t)
	delete(dir, "00000000000000000000.log")
	if m, err := Read(dir); err != nil || m.NextOffset != 473 || imageOf(t, m).TopicCount() != 2 {
		t.Errorf("the checkpoint alone: %+v, %v", m, err)
	}
}

func TestTornTailEndsTheLog(t *testing.T) {
	const name = "00000000000000000000.log"
	dir := apacheDirectory(t)
	for file := range dir {
		if file != name {
			delete(dir, file)
		}
	}
	whole := dir[name].Data
	last := int64(0)
	for size := 0; size <= len(whole); size += 97 {
		dir[name] = &fstest.MapFile{Data: whole[:size]}
		m, err := Read(dir)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if m.NextOffset < last {
			t.Fatalf("%d bytes: offset %d after %d", size, m.NextOffset, last)
		}
		last = m.NextOffset
	}
}

func TestWhatIsMissingOrCorruptIsAnError(t *testing.T) {
	if _, err := Read(fstest.MapFS{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("empty directory: %v", err)
	}
	dir := apacheDirectory(t)
	for name, file := range dir {
		if strings.HasSuffix(name, ".checkpoint") {
			file.Data[len(file.Data)/2] ^= 1
		}
	}
	if _, err := Read(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("corrupt checkpoint: %v", err)
	}
	dir = apacheDirectory(t)
	dir["00000000000000000900.log"] = dir["00000000000000000000.log"]
	delete(dir, "00000000000000000000.log")
	if _, err := Read(dir); !errors.Is(err, ErrCorrupt) {
		t.Errorf("gap: %v", err)
	}
}

// Any bytes in a record are refused or taken, with no panic.
func FuzzRecord(f *testing.F) {
	r := &reader{model: newModel()}
	for name, file := range apacheDirectory(f) {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		for b := file.Data; len(b) >= protocol.BatchOverhead; {
			h, err := protocol.ParseRecordBatch(b)
			if err != nil {
				f.Fatal(err)
			}
			size := int(h.Length) + batchLengthEnd
			if !h.IsControl() {
				if err := protocol.WalkRecords(b[:size], &h, &r.buf, func(record *protocol.Record) error {
					f.Add(bytes.Clone(record.Value))
					return nil
				}); err != nil {
					f.Fatal(err)
				}
			}
			b = b[size:]
		}
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		defer fuzzcost.Bound(t, len(value), 64)()
		r := &reader{model: newModel()}
		// A topic for partitions to belong to.
		r.model.topics[protocol.UUID{}] = &topic{name: "t", partitions: map[int32]*partition{0: {Partition: metadata.Partition{Replicas: []int32{1}}}}}
		if r.apply(value) == nil {
			r.model.records()
		}
	})
}
