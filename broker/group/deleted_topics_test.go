package group

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// A commit looks at its topics before it comes to the group; the topic may be deleted in
// between, and made anew.
func TestCommitThatADeletionOvertakesIsRefused(t *testing.T) {
	for _, tt := range []struct {
		version       int16
		transactional bool
		want          protocol.ErrorCode
	}{
		{0, false, protocol.ErrUnknownTopicOrPartition}, {5, false, protocol.ErrUnknownTopicOrPartition},
		{10, false, protocol.ErrUnknownTopicID}, {3, true, protocol.ErrUnknownTopicOrPartition}, {6, true, protocol.ErrUnknownTopicID},
	} {
		t.Run(fmt.Sprint("v", tt.version, " ", tt.transactional), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage := newMemoryStorage(1)
				c := testCoordinator(t, storage, Config{})
				overtaken := func(name string, id protocol.UUID) Topic {
					topic := anyTopic(name, id)
					if topic.Name == "orders" {
						c.TopicsDeleted([]Topic{topic})
					}
					return topic
				}
				var codes []int16
				if tt.transactional {
					req := kmsg.NewPtrTxnOffsetCommitRequest()
					req.Version, req.Group, req.TransactionalID, req.ProducerID = tt.version, "g", "t", 5
					for _, name := range []string{"orders", "kept"} {
						topic := kmsg.TxnOffsetCommitRequestTopic{Topic: name, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{{Offset: 7}}}
						copy(topic.TopicID[:], name)
						req.Topics = append(req.Topics, topic)
					}
					s := &slot[kmsg.TxnOffsetCommitResponse]{t: t}
					c.TxnOffsetCommit(testContext, req, overtaken, s.set)
					for _, topic := range s.get().Topics {
						codes = append(codes, topic.Partitions[0].ErrorCode)
					}
					c.TransactionCompleted(0, 5, true)
				} else {
					req := kmsg.NewPtrOffsetCommitRequest()
					req.Version, req.Group, req.Generation = tt.version, "g", -1
					for _, name := range []string{"orders", "kept"} {
						topic := kmsg.OffsetCommitRequestTopic{Topic: name, Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 7}}}
						copy(topic.TopicID[:], name)
						req.Topics = append(req.Topics, topic)
					}
					s := &slot[kmsg.OffsetCommitResponse]{t: t}
					c.OffsetCommit(testContext, req, overtaken, s.set)
					for _, topic := range s.get().Topics {
						codes = append(codes, topic.Partitions[0].ErrorCode)
					}
				}
				if codes[0] != int16(tt.want) || codes[1] != 0 {
					t.Errorf("codes %v, want %d and 0", codes, tt.want)
				}
				version := int16(5)
				if tt.version == 0 {
					version = 0
				}
				if o, _, _ := fetch(t, c, version, "g", "orders", 0, false); o != -1 {
					t.Error("offset of the deleted topic:", o)
				}
				if o, _, _ := fetch(t, c, version, "g", "kept", 0, false); o != 7 {
					t.Error("offset of the other topic:", o)
				}
			})
		})
	}
}

// A topic that was deleted and made anew while the partition was being read.
func TestDeletionWhileLoadingComesBeforeCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(1)
		c := testCoordinator(t, storage, Config{})
		commit(t, c, 5, "g", "", -1, "orders", 5).get()
		c.Close()
		storage.loadGate = make(chan struct{})
		c = New(Options{Storage: storage})
		defer c.Close()
		c.BecomeLeader(0, 1)
		c.TopicsDeleted([]Topic{{Name: "orders", ID: protocol.UUID{1}}})
		close(storage.loadGate)
		if err := c.WaitLoaded(t.Context()); err != nil {
			t.Fatal(err)
		}
		if o, _, code := fetch(t, c, 5, "g", "orders", 0, true); o != -1 || code != 0 {
			t.Error(o, code)
		}
	})
}

func TestDeletedTopicsAreBounded(t *testing.T) {
	var d deletedTopics
	id := func(i int) (id protocol.UUID) { binary.BigEndian.PutUint32(id[:], uint32(i)); return id }
	for i := range deletedTopicsMax + 10 {
		d.add(id(i + 1))
		d.add(id(i + 1))
	}
	if len(d.ids) != deletedTopicsMax || len(d.order) != deletedTopicsMax {
		t.Error(len(d.ids), len(d.order))
	}
	offsets := []partitionOffset{{topicID: id(10)}, {topicID: id(11)}, {topicID: id(deletedTopicsMax + 10)}, {}}
	d.refuse(offsets, protocol.ErrUnknownTopicOrPartition)
	for i, want := range []protocol.ErrorCode{0, 3, 3, 0} {
		if offsets[i].code != want {
			t.Errorf("offset %d: %v, want %v", i, offsets[i].code, want)
		}
	}
}
