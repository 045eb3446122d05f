package broker_test

import (
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
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
