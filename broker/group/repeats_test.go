package group

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/broker/repeats"
	"github.com/barnabas-broker/barnabas/protocol"
)

// What is named for a few bytes can be large in the answer, each time.
func TestNamingAgainAndAgainDoesNotMakeTheAnswerLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testCoordinator(t, newMemoryStorage(1), Config{})
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Version, req.Group, req.Generation = 5, "g", -1
		topic := kmsg.NewOffsetCommitRequestTopic()
		topic.Topic = "orders"
		for p := range int32(2) {
			metadata := strings.Repeat("m", 4000)
			topic.Partitions = append(topic.Partitions, kmsg.OffsetCommitRequestTopicPartition{Partition: p, Offset: 7, Metadata: &metadata})
		}
		req.Topics = append(req.Topics, topic)
		committed := &slot[kmsg.OffsetCommitResponse]{t: t}
		c.OffsetCommit(testContext, req, anyTopic, committed.set)
		wantCode(t, "commit", commitCode(t, committed), protocol.None)

		const times = 2000 // some 8 MB
		most := repeats.Max + 20_000
		var partitions []int32
		for range times {
			partitions = append(partitions, 0)
		}
		partitions = append(partitions, 1, 2, 1)
		var whole, named []kmsg.OffsetFetchRequestGroup
		for range times {
			whole = append(whole, kmsg.OffsetFetchRequestGroup{Group: "g"})
			named = append(named, kmsg.OffsetFetchRequestGroup{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{
				{Topic: "orders", Partitions: []int32{0, 3}}, {Topic: "orders", Partitions: []int32{0}}}})
		}
		for what, req := range map[string]*kmsg.OffsetFetchRequest{
			"partitions": {Version: 5, Group: "g", Topics: []kmsg.OffsetFetchRequestTopic{{Topic: "orders", Partitions: partitions}}},
			"groups":     {Version: 8, Groups: whole},
			"both":       {Version: 8, Groups: named},
		} {
			s := &slot[kmsg.OffsetFetchResponse]{t: t}
			c.OffsetFetch(testContext, req, nil, anyTopic, s.set)
			resp, size := s.get(), 0
			for _, topic := range resp.Topics {
				if len(topic.Partitions) != len(partitions) {
					t.Fatalf("%s: %d partitions", what, len(topic.Partitions))
				}
				for i, p := range topic.Partitions {
					code := protocol.None
					if i >= times-1 && i != times && i != times+1 {
						code = protocol.ErrInvalidRequest
					}
					if i < 10 || i >= times-1 {
						wantCode(t, what, protocol.ErrorCode(p.ErrorCode), code)
					}
					if (p.ErrorCode != 0 || p.Partition == 2) != (p.Offset == -1) {
						t.Errorf("partition %d: %+v", i, p)
					}
					size += len(*p.Metadata)
				}
			}
			for i, g := range resp.Groups {
				refused := g.ErrorCode != 0
				for _, topic := range g.Topics {
					for _, p := range topic.Partitions {
						refused = refused || p.ErrorCode != 0
						size += len(*p.Metadata)
					}
				}
				if i < 10 && refused || i == times-1 && !refused {
					t.Errorf("%s: group %d refused: %v", what, i, refused)
				}
			}
			if size > most || size < repeats.Max/2 {
				t.Errorf("%s: an answer of %d bytes", what, size)
			}
		}

		join(t, c, 3, "h", "", func(req *kmsg.JoinGroupRequest) { req.Protocols[0].Metadata = make([]byte, 4000) }).get()
		s := &slot[kmsg.DescribeGroupsResponse]{t: t}
		c.DescribeGroups(testContext, &kmsg.DescribeGroupsRequest{Groups: []string{"h"}}, nil, nil, s.set)
		member := s.get().Groups[0].Members[0].MemberID
		syncGroup(t, c, "h", member, 1, map[string]string{member: strings.Repeat("a", 4000)}).get()
		s = &slot[kmsg.DescribeGroupsResponse]{t: t}
		c.DescribeGroups(testContext, &kmsg.DescribeGroupsRequest{Groups: append(slices.Repeat([]string{"h"}, times), "g", "h")}, nil, nil, s.set)
		resp := s.get()
		if size := len(resp.AppendTo(nil)); size > most+times*20 || size < repeats.Max/2 {
			t.Errorf("an answer of %d bytes", size)
		}
		for i, want := range map[int]protocol.ErrorCode{0: 0, 9: 0, times: 0, times - 1: protocol.ErrInvalidRequest, times + 1: protocol.ErrInvalidRequest} {
			wantCode(t, "describe", protocol.ErrorCode(resp.Groups[i].ErrorCode), want)
		}
	})
}
