package broker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// dirOf is the data directory that the current replica of a topic's partition 0 is in.
func dirOf(t *testing.T, b *brokertest.Broker, topic string, dirs ...string) string {
	t.Helper()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.SetVersion(4)
	resp := dial(t, b).call(req).(*kmsg.DescribeLogDirsResponse)
	for _, d := range resp.Dirs {
		for _, dt := range d.Topics {
			for _, p := range dt.Partitions {
				if dt.Topic == topic && !p.IsFuture {
					return d.Dir
				}
			}
		}
	}
	t.Fatalf("%s is in none of %v: %+v", topic, dirs, resp)
	return ""
}

func moveTo(t *testing.T, b *brokertest.Broker, topic, dir string) {
	t.Helper()
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	req.SetVersion(2)
	d := kmsg.NewAlterReplicaLogDirsRequestDir()
	d.Dir = dir
	dt := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	dt.Topic, dt.Partitions = topic, []int32{0}
	d.Topics = append(d.Topics, dt)
	req.Dirs = append(req.Dirs, d)
	resp := dial(t, b).call(req).(*kmsg.AlterReplicaLogDirsResponse)
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("error %d", code)
	}
}

// twoDirs starts a broker with two data directories and a topic "moving" of some records, one
// batch each, of 1 KB. It returns the directory that it is in and the other.
func twoDirs(t *testing.T, records int, options ...string) (b *brokertest.Broker, adm *kadm.Client, from, to string) {
	t.Helper()
	first, second := t.TempDir(), t.TempDir()
	b = brokertest.Start(t, append([]string{"log.dirs=" + first + "," + second}, options...)...)
	adm = adminOf(t, b)
	if _, err := adm.CreateTopic(context.Background(), 1, 1, nil, "moving"); err != nil {
		t.Fatal(err)
	}
	produceKB(t, b, "old", records, 1)
	if from = dirOf(t, b, "moving", first, second); from == first {
		return b, adm, first, second
	}
	return b, adm, second, first
}

func adminOf(t *testing.T, b *brokertest.Broker) *kadm.Client {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// produceKB appends batches of a record of 1 KB each, or of so many, that begin with a word
// and a number.
func produceKB(t *testing.T, b *brokertest.Broker, word string, batches, perBatch int) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.DefaultProduceTopic("moving"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for i := range batches {
		var records []*kgo.Record
		for range perBatch {
			records = append(records, &kgo.Record{Key: fmt.Append(nil, word, i), Value: make([]byte, 1000)})
		}
		if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func waitForDir(t *testing.T, b *brokertest.Broker, dir string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for dirOf(t, b, "moving") != dir {
		if time.Now().After(deadline) {
			t.Fatal("the replica is still where it was")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func isMoving(t *testing.T, b *brokertest.Broker) bool {
	t.Helper()
	req := kmsg.NewPtrDescribeLogDirsRequest()
	req.SetVersion(4)
	for _, d := range dial(t, b).call(req).(*kmsg.DescribeLogDirsResponse).Dirs {
		for _, dt := range d.Topics {
			for _, p := range dt.Partitions {
				if p.IsFuture {
					return true
				}
			}
		}
	}
	return false
}

// setThrottle sets how many bytes a second moves may copy.
func setThrottle(t *testing.T, adm *kadm.Client, rate int) {
	t.Helper()
	value := fmt.Sprint(rate)
	resp, err := adm.AlterBrokerConfigs(context.Background(), []kadm.AlterConfig{{Op: kadm.SetConfig,
		Name: "replica.alter.log.dirs.io.max.bytes.per.second", Value: &value}})
	if err == nil {
		err = resp[0].Err
	}
	if err != nil {
		t.Fatal(err)
	}
}

// DeleteRecords may make a log begin inside a batch; that moves like any other.
func TestALogThatBeginsInsideABatchMoves(t *testing.T) {
	b, adm, _, to := twoDirs(t, 0)
	produceKB(t, b, "old", 3, 10)
	offsets := kadm.Offsets{}
	offsets.AddOffset("moving", 0, 5, -1)
	if _, err := adm.DeleteRecords(context.Background(), offsets); err != nil {
		t.Fatal(err)
	}
	moveTo(t, b, "moving", to)
	waitForDir(t, b, to)
	if starts, err := adm.ListStartOffsets(context.Background(), "moving"); err != nil || starts["moving"][0].Offset != 5 {
		t.Errorf("the log starts at %+v, %v", starts, err)
	}
	if got := consumeN(t, b, "moving", 25); got != 25 {
		t.Errorf("%d records", got)
	}
}

// What is copied at once must fit a segment, however small those have become.
func TestALogMovesWhoseSegmentsHaveBecomeSmaller(t *testing.T) {
	b, adm, _, to := twoDirs(t, 100)
	size := "20000"
	if _, err := adm.AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "segment.bytes", Value: &size}}, "moving"); err != nil {
		t.Fatal(err)
	}
	moveTo(t, b, "moving", to)
	waitForDir(t, b, to)
	if got := consumeN(t, b, "moving", 100); got != 100 {
		t.Errorf("%d records", got)
	}
}

// Settings that change while a log moves are in force when it has moved.
func TestALogThatMovesTakesChangedSettingsAlong(t *testing.T) {
	b, adm, _, to := twoDirs(t, 10)
	setThrottle(t, adm, 20_000)
	moveTo(t, b, "moving", to)
	size := "500"
	if _, err := adm.AlterTopicConfigs(context.Background(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &size}}, "moving"); err != nil {
		t.Fatal(err)
	}
	waitForDir(t, b, to)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.DefaultProduceTopic("moving"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), kgo.SliceRecord(make([]byte, 1000))).FirstErr(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Errorf("a record larger than the settings allow by now: %v", err)
	}
}

// A move that the end of the process cut short is begun anew.
func TestAMoveGoesOnAfterARestart(t *testing.T) {
	b, adm, _, to := twoDirs(t, 50)
	setThrottle(t, adm, 100)
	moveTo(t, b, "moving", to)
	produceKB(t, b, "old", 10, 1)
	b.Restart()
	if !isMoving(t, b) {
		waitForDir(t, b, to)
	}
	setThrottle(t, adminOf(t, b), 1<<30)
	moveTo(t, b, "moving", to) // what is under way anyway
	b.Restart()
	waitForDir(t, b, to)
	if got := consumeN(t, b, "moving", 60); got != 60 {
		t.Errorf("%d records", got)
	}
}

// The copy of a deleted topic's log goes with it: a topic of the same name has other records.
func TestATopicDeletedWhileItMovesLeavesNoCopy(t *testing.T) {
	b, adm, _, _ := twoDirs(t, 20)
	dirs := b.Broker().Config().Broker().LogDirs
	setThrottle(t, adm, 40_000) // half a second
	for _, dir := range dirs {
		moveTo(t, b, "moving", dir)
	}
	if _, err := adm.DeleteTopic(context.Background(), "moving"); err != nil {
		t.Fatal(err)
	}
	if isMoving(t, b) {
		t.Error("what is copied is still there")
	}
	if _, err := adm.CreateTopic(context.Background(), 1, 1, nil, "moving"); err != nil {
		t.Fatal(err)
	}
	produceKB(t, b, "new", 20, 1)
	time.Sleep(time.Second)
	to := dirs[0]
	if dirOf(t, b, "moving") == to {
		to = dirs[1]
	}
	moveTo(t, b, "moving", to)
	waitForDir(t, b, to)
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.ConsumeTopics("moving"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for n := 0; n < 20; n++ {
		for _, r := range cl.PollRecords(ctx, 1).Records() {
			if string(r.Key) != fmt.Sprint("new", n) {
				t.Fatalf("record %d is %s", n, r.Key)
			}
		}
	}
}

// Of a copy that an earlier process has left, nobody knows what has become of it since.
func TestACopyThatWasDamagedWhileTheBrokerWasDownIsNotTaken(t *testing.T) {
	b, _, from, to := twoDirs(t, 30)
	b.Stop()
	future := filepath.Join(to, "moving-0.0123456789abcdef0123456789abcdef-future")
	if err := os.CopyFS(future, os.DirFS(filepath.Join(from, "moving-0"))); err != nil {
		t.Fatal(err)
	}
	segment := filepath.Join(future, "00000000000000000000.log")
	data, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)/2+500; i++ {
		data[i] ^= 0x55
	}
	if err := os.WriteFile(segment, data, 0o644); err != nil {
		t.Fatal(err)
	}
	b.Restart()
	waitForDir(t, b, to)
	if got := consumeN(t, b, "moving", 30); got != 30 {
		t.Errorf("%d records", got)
	}
}
