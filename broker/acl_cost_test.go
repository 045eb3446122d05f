package broker_test

import (
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkProduceWithACLs is what ten thousand ACLs add to a one-record Produce request: two
// brokers in one process, one without an authorizer, served in turns that are short, so that
// whatever else the machine does meets both. It tells processor time a request and, in
// nanoseconds, the median of what a turn with ACLs took longer than the one before it, with
// bounds that have it with 95 % certainty. Run it with -benchtime 400x: so many turns.
func BenchmarkProduceWithACLs(b *testing.B) {
	for _, pipeline := range []int{1, 5} {
		b.Run(fmt.Sprintf("pipeline=%d", pipeline), func(b *testing.B) {
			open := func(options ...string) *broker.Broker {
				br, err := startWith(b, discardingFS{log.OS{}}, func(s metadata.Store) metadata.Store { return s }, options...)
				if err != nil {
					b.Fatal(err)
				}
				return br
			}
			without, with := open(), open(authorizerOption, "allow.everyone.if.no.acl.found=true")
			for _, br := range []*broker.Broker{without, with} {
				conn, err := net.Dial("tcp", br.Addresses()["PLAINTEXT"])
				if err != nil {
					b.Fatal(err)
				}
				createByMetadata(b, conn, "bench")
				if br == with {
					tenThousandACLs(b, conn)
				}
				conn.Close()
			}
			const requests = 5000
			frame := produceFrame(b, "bench", 1, 100)
			var frames []byte
			for range pipeline {
				frames = append(frames, frame...)
			}
			turn := func(br *broker.Broker) float64 {
				source := &requestSource{left: requests, frames: frames, frame: len(frame)}
				before := processorTime(b)
				br.ServeConn(source)
				took := processorTime(b) - before
				if source.answers != requests {
					b.Fatalf("%d answers to %d requests", source.answers, requests)
				}
				return took / requests
			}
			turn(without)
			turn(with)
			var alone, more []float64
			for i := range b.N {
				var x, y float64
				if i%2 == 0 {
					x, y = turn(without), turn(with)
				} else {
					y, x = turn(with), turn(without)
				}
				alone, more = append(alone, x), append(more, y-x)
			}
			slices.Sort(alone)
			slices.Sort(more)
			off := int(math.Ceil(0.98 * math.Sqrt(float64(len(more)))))
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(alone[len(alone)/2], "ns/request")
			b.ReportMetric(more[len(more)/2], "ns-more")
			b.ReportMetric(more[max(len(more)/2-off, 0)], "ns-more-at-least")
			b.ReportMetric(more[min(len(more)/2+off, len(more)-1)], "ns-more-at-most")
		})
	}
}

// processorTime is that of the process so far, in nanoseconds.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano() + u.Stime.Nano())
}

// tenThousandACLs are of twenty principals, half of them prefixed, and one lets ANONYMOUS write.
func tenThousandACLs(b *testing.B, conn net.Conn) {
	add := func(acls ...kmsg.CreateACLsRequestCreation) {
		req := kmsg.NewPtrCreateACLsRequest()
		req.SetVersion(1)
		req.Creations = acls
		if _, err := conn.Write(requestFrame(req)); err != nil {
			b.Fatal(err)
		}
		answer := make([]byte, 4)
		if _, err := io.ReadFull(conn, answer); err != nil {
			b.Fatal(err)
		}
		answer = make([]byte, int(answer[0])<<24|int(answer[1])<<16|int(answer[2])<<8|int(answer[3]))
		if _, err := io.ReadFull(conn, answer); err != nil {
			b.Fatal(err)
		}
		resp := kmsg.NewPtrCreateACLsResponse()
		resp.SetVersion(1)
		if err := resp.ReadFrom(answer[4:]); err != nil {
			b.Fatal(err)
		}
		for _, r := range resp.Results {
			if r.ErrorCode != 0 {
				b.Fatalf("%+v", r)
			}
		}
	}
	acl := func(principal, topic string, pattern kmsg.ACLResourcePatternType) kmsg.CreateACLsRequestCreation {
		c := kmsg.NewCreateACLsRequestCreation()
		c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceTypeTopic, topic, pattern
		c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+principal, "*", kmsg.ACLOperationWrite, kmsg.ACLPermissionTypeAllow
		return c
	}
	// The load's own first: once there are others, who has none is refused.
	cluster := acl("ANONYMOUS", "kafka-cluster", kmsg.ACLResourcePatternTypeLiteral)
	cluster.ResourceType, cluster.Operation = kmsg.ACLResourceTypeCluster, kmsg.ACLOperationAll
	add(cluster, acl("ANONYMOUS", "bench", kmsg.ACLResourcePatternTypeLiteral))
	for i := 0; i < 10_000; i += 500 {
		var all []kmsg.CreateACLsRequestCreation
		for j := i; j < i+500; j += 2 {
			who := fmt.Sprintf("service-%04d", i/500)
			all = append(all, acl(who, fmt.Sprintf("company.team-%03d.orders-%05d", j%200, j), kmsg.ACLResourcePatternTypeLiteral),
				acl(who, fmt.Sprintf("company.team-%03d.stream-%05d", j%200, j), kmsg.ACLResourcePatternTypePrefixed))
		}
		add(all...)
	}
}
