package group

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

var (
	update = flag.Bool("update", false, "rewrite the transcripts in testdata")
	only   = flag.String("transcripts", "*.txt", "play these of testdata")

	// apache is the address of an Apache Kafka broker with topics orders and payments of 3
	// partitions each and group.initial.rebalance.delay.ms=0. The transcripts apache-*.txt are
	// then played against it instead of against us, and must come out the same (or are
	// rewritten from it with -update).
	apache = flag.String("apache", "", "play testdata/apache-*.txt against this broker")
)

// TestTranscripts plays testdata/*.txt: a command, a line of dashes, what came of it.
// Those named apache-* have been played against Apache Kafka 3.9.2 too.
func TestTranscripts(t *testing.T) {
	pattern := *only
	if *apache != "" && pattern == "*.txt" {
		pattern = "apache-*.txt"
	}
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got string
			if *apache != "" {
				got = play(t, string(text), newApacheWorld(t, *apache))
			} else {
				synctest.Test(t, func(t *testing.T) { got = play(t, string(text), newOurWorld(t)) })
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("transcript differs, first at:\n%s", firstDifference(string(text), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			from := max(i-6, 0)
			return "want\n  " + strings.Join(w[from:min(i+3, len(w))], "\n  ") + "\ngot\n  " + strings.Join(g[min(from, len(g)):min(i+3, len(g))], "\n  ")
		}
	}
	return "end"
}

// world is something that answers requests.
type world interface {
	// ask sends a request; the answer comes into the returned box, now or later.
	ask(req kmsg.Request) *answer
	// settle waits until nothing more happens by itself.
	settle(a *answer, patient bool)
	// command runs what is not a request.
	command(name string, args args) (string, error)
	sleep(d time.Duration)
}

type answer struct {
	resp kmsg.Response
	err  error
	done chan struct{}
}

func (a *answer) set(r kmsg.Response) { a.resp = r; close(a.done) }
func (a *answer) ready() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

type args map[string]string

func (a args) int(key string, def int64) int64 {
	if s, ok := a[key]; ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("%s=%s: %v", key, s, err))
		}
		return n
	}
	return def
}

// script is the state of one play.
type script struct {
	world   world
	names   map[string]string // member ids by name
	waiting map[string]*pendingStep
}

type pendingStep struct {
	answer *answer
	as     string
}

func play(t *testing.T, text string, w world) string {
	s := &script{world: w, names: make(map[string]string), waiting: make(map[string]*pendingStep)}
	var out strings.Builder
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		if line == "" || strings.HasPrefix(line, "#") {
			out.WriteString(line)
			if i < len(lines)-1 {
				out.WriteByte('\n')
			}
			continue
		}
		out.WriteString(line + "\n----\n")
		out.WriteString(s.run(t, line))
		for i+1 < len(lines) && lines[i+1] != "" { // skip what was there before
			i++
		}
	}
	return out.String()
}

func (s *script) run(t *testing.T, line string) string {
	fields := strings.Fields(line)
	a := make(args)
	for _, f := range fields[1:] {
		k, v, _ := strings.Cut(f, "=")
		a[k] = v
	}
	name := fields[0]
	switch name {
	case "sleep":
		d, err := time.ParseDuration(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		s.world.sleep(d)
		return s.arrivals()
	case "await":
		p := s.waiting[fields[1]]
		delete(s.waiting, fields[1])
		if p == nil {
			t.Fatalf("%s: nobody waits", line)
		}
		s.world.settle(p.answer, true)
		return s.show(p)
	}
	req := s.request(name, a)
	if req == nil {
		out, err := s.world.command(name, a)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return s.mask(out) + s.arrivals()
	}
	p := &pendingStep{answer: s.world.ask(req), as: a["as"]}
	_, background := a["bg"]
	s.world.settle(p.answer, !background)
	if background && !p.answer.ready() {
		s.waiting[a["bg"]] = p
		return "waits\n"
	}
	return s.show(p) + s.arrivals()
}

// arrivals names the waiting requests that have been answered by now.
func (s *script) arrivals() string {
	var out string
	for _, name := range sortedKeys(s.waiting) {
		p := s.waiting[name]
		s.world.settle(p.answer, false)
		if p.answer.ready() {
			delete(s.waiting, name)
			out += name + ": " + s.show(p)
		}
	}
	return out
}

func (s *script) show(p *pendingStep) string {
	if !p.answer.ready() {
		return "no answer\n"
	}
	if p.answer.err != nil {
		return "error " + p.answer.err.Error() + "\n"
	}
	if r, ok := p.answer.resp.(*kmsg.JoinGroupResponse); ok && p.as != "" && r.MemberID != "" {
		s.names[p.as] = r.MemberID
	}
	return sortIndented(s.mask(showResponse(p.answer.resp)))
}

// sortIndented sorts runs of indented lines, once names stand in them.
func sortIndented(out string) string {
	lines := strings.SplitAfter(out, "\n")
	for i := 0; i < len(lines); i++ {
		j := i
		for j < len(lines) && strings.HasPrefix(lines[j], "  ") {
			j++
		}
		slices.Sort(lines[i:j])
		i = max(i, j-1)
	}
	return strings.Join(lines, "")
}

var memberIDs = regexp.MustCompile(`[\w.]*-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// mask puts names in the place of member ids, which differ from play to play.
func (s *script) mask(out string) string {
	return memberIDs.ReplaceAllStringFunc(out, func(id string) string {
		for _, name := range sortedKeys(s.names) {
			if s.names[name] == id {
				return "<" + name + ">"
			}
		}
		return "<?>"
	})
}

func (s *script) member(a args) string {
	m := a["m"]
	if id, ok := s.names[m]; ok {
		return id
	}
	return m
}

func optional(a args, key string) *string {
	if v, ok := a[key]; ok {
		return &v
	}
	return nil
}

// request makes the request of a command, or nil.
func (s *script) request(name string, a args) kmsg.Request {
	version := int16(a.int("v", 5))
	switch name {
	case "join":
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.MemberID, req.InstanceID = a["g"], s.member(a), optional(a, "i")
		req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = int32(a.int("session", 10_000)), int32(a.int("rebalance", 60_000))
		req.ProtocolType = "consumer"
		if p, ok := a["type"]; ok {
			req.ProtocolType = p
		}
		list := "range:orders"
		if p, ok := a["protocols"]; ok {
			list = p
		}
		for p := range strings.SplitSeq(list, ",") {
			if name, topics, ok := strings.Cut(p, ":"); ok {
				req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: name, Metadata: subscription(strings.Split(topics, "+")...)})
			} else if p != "" {
				req.Protocols = append(req.Protocols, kmsg.JoinGroupRequestProtocol{Name: p, Metadata: []byte("junk")})
			}
		}
		req.Version = version
		return req
	case "sync":
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.InstanceID = a["g"], s.member(a), optional(a, "i")
		req.Generation = int32(a.int("gen", 1))
		req.ProtocolType, req.Protocol = optional(a, "type"), optional(a, "protocol")
		if list := a["assign"]; list != "" {
			for e := range strings.SplitSeq(list, ",") {
				m, v, _ := strings.Cut(e, ":")
				req.GroupAssignment = append(req.GroupAssignment, kmsg.SyncGroupRequestGroupAssignment{MemberID: s.member(args{"m": m}), MemberAssignment: []byte(v)})
			}
		}
		req.Version = version
		return req
	case "heartbeat":
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.InstanceID = a["g"], s.member(a), optional(a, "i")
		req.Generation = int32(a.int("gen", 1))
		req.Version = min(version, 4)
		return req
	case "leave":
		req := kmsg.NewPtrLeaveGroupRequest()
		req.Group, req.MemberID = a["g"], s.member(a)
		if version >= 3 {
			req.MemberID = ""
			for m := range strings.SplitSeq(a["m"], ",") {
				id, instance, static := strings.Cut(m, "/")
				e := kmsg.NewLeaveGroupRequestMember()
				e.MemberID = s.member(args{"m": id})
				if static {
					e.InstanceID = &instance
				}
				req.Members = append(req.Members, e)
			}
		}
		req.Version = version
		return req
	case "commit":
		req := kmsg.NewPtrOffsetCommitRequest()
		req.Group, req.MemberID, req.InstanceID = a["g"], s.member(a), optional(a, "i")
		req.Generation = int32(a.int("gen", -1))
		req.RetentionTimeMillis = a.int("retention", -1)
		for e := range strings.SplitSeq(a["o"], ",") { // topic/partition:offset
			topic, rest, _ := strings.Cut(e, "/")
			var p, o int64
			fmt.Sscanf(rest, "%d:%d", &p, &o)
			rt := kmsg.NewOffsetCommitRequestTopic()
			rt.Topic = topic
			copy(rt.TopicID[:], topic)
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.Timestamp = int32(p), o, a.int("timestamp", -1)
			rp.LeaderEpoch = int32(a.int("epoch", -1))
			metadata := a["metadata"]
			if n := a.int("metadata-length", 0); n > 0 {
				metadata = strings.Repeat("ö", int(n)) // two bytes, one character
			}
			rp.Metadata = &metadata
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
		}
		req.Version = version
		return req
	case "txn-commit":
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.Version = version
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = "tx", a.int("pid", 1), int16(a.int("pepoch", 0))
		req.Group, req.MemberID, req.Generation = a["g"], s.member(a), int32(a.int("gen", -1))
		topic, rest, _ := strings.Cut(a["o"], "/")
		var p, o int64
		fmt.Sscanf(rest, "%d:%d", &p, &o)
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = int32(p), o
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return req
	case "fetch":
		req := kmsg.NewPtrOffsetFetchRequest()
		req.RequireStable = a["stable"] == "true"
		var topics []kmsg.OffsetFetchRequestGroupTopic
		if a["o"] != "" {
			for e := range strings.SplitSeq(a["o"], ",") {
				topic, rest, _ := strings.Cut(e, "/")
				p, _ := strconv.Atoi(rest)
				rt := kmsg.OffsetFetchRequestGroupTopic{Topic: topic, Partitions: []int32{int32(p)}}
				copy(rt.TopicID[:], topic)
				topics = append(topics, rt)
			}
		}
		if version < 8 {
			req.Group = a["g"]
			for _, rt := range topics {
				req.Topics = append(req.Topics, kmsg.OffsetFetchRequestTopic{Topic: rt.Topic, Partitions: rt.Partitions})
			}
		} else {
			for g := range strings.SplitSeq(a["g"], ",") {
				e := kmsg.NewOffsetFetchRequestGroup()
				e.Group, e.Topics = g, topics
				req.Groups = append(req.Groups, e)
			}
		}
		req.Version = version
		return req
	case "delete-offsets":
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = a["g"]
		for e := range strings.SplitSeq(a["o"], ",") {
			topic, rest, _ := strings.Cut(e, "/")
			p, _ := strconv.Atoi(rest)
			req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: int32(p)}}})
		}
		return req
	case "describe":
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Version, req.Groups = version, strings.Split(a["g"], ",")
		return req
	case "list":
		req := kmsg.NewPtrListGroupsRequest()
		req.Version = version
		if a["states"] != "" {
			req.StatesFilter = strings.Split(a["states"], ",")
		}
		if a["types"] != "" {
			req.TypesFilter = strings.Split(a["types"], ",")
		}
		return req
	case "delete-groups":
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Version, req.Groups = min(version, 2), strings.Split(a["g"], ",")
		return req
	}
	return nil
}

func showCode(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return protocol.ErrorCode(code).Error()
}

func showString(s *string) string {
	if s == nil {
		return "null"
	}
	return strconv.Quote(*s)
}

// showResponse prints what matters of a response, nothing that differs from play to play.
func showResponse(resp kmsg.Response) string {
	var b strings.Builder
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		fmt.Fprintf(&b, "%s generation=%d protocol=%s type=%s leader=%s member=%s skip=%v\n", showCode(r.ErrorCode), r.Generation,
			showString(r.Protocol), showString(r.ProtocolType), r.LeaderID, r.MemberID, r.SkipAssignment)
		var lines []string
		for _, m := range r.Members {
			lines = append(lines, fmt.Sprintf("  %s instance=%s metadata=%d bytes\n", m.MemberID, showString(m.InstanceID), len(m.ProtocolMetadata)))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	case *kmsg.SyncGroupResponse:
		fmt.Fprintf(&b, "%s protocol=%s type=%s assignment=%q\n", showCode(r.ErrorCode), showString(r.Protocol), showString(r.ProtocolType), r.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		fmt.Fprintln(&b, showCode(r.ErrorCode))
	case *kmsg.LeaveGroupResponse:
		fmt.Fprintln(&b, showCode(r.ErrorCode))
		for _, m := range r.Members {
			fmt.Fprintf(&b, "  %s instance=%s %s\n", m.MemberID, showString(m.InstanceID), showCode(m.ErrorCode))
		}
	case *kmsg.OffsetCommitResponse:
		var lines []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				lines = append(lines, fmt.Sprintf("%s/%d %s\n", t.Topic, p.Partition, showCode(p.ErrorCode)))
			}
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	case *kmsg.TxnOffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				fmt.Fprintf(&b, "%s/%d %s\n", t.Topic, p.Partition, showCode(p.ErrorCode))
			}
		}
	case *kmsg.OffsetFetchResponse:
		if r.Version < 8 {
			fmt.Fprintln(&b, showCode(r.ErrorCode))
			var lines []string
			for _, t := range r.Topics {
				for _, p := range t.Partitions {
					lines = append(lines, fmt.Sprintf("  %s/%d offset=%d epoch=%d metadata=%s %s\n", t.Topic, p.Partition, p.Offset, p.LeaderEpoch, showString(p.Metadata), showCode(p.ErrorCode)))
				}
			}
			slices.Sort(lines)
			b.WriteString(strings.Join(lines, ""))
			break
		}
		groups := slices.Clone(r.Groups)
		slices.SortFunc(groups, func(x, y kmsg.OffsetFetchResponseGroup) int { return strings.Compare(x.Group, y.Group) })
		for _, g := range groups {
			fmt.Fprintf(&b, "%s %s\n", g.Group, showCode(g.ErrorCode))
			var lines []string
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					lines = append(lines, fmt.Sprintf("  %s/%d offset=%d epoch=%d metadata=%s %s\n", t.Topic, p.Partition, p.Offset, p.LeaderEpoch, showString(p.Metadata), showCode(p.ErrorCode)))
				}
			}
			slices.Sort(lines)
			b.WriteString(strings.Join(lines, ""))
		}
	case *kmsg.OffsetDeleteResponse:
		fmt.Fprintln(&b, showCode(r.ErrorCode))
		var lines []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				lines = append(lines, fmt.Sprintf("  %s/%d %s\n", t.Topic, p.Partition, showCode(p.ErrorCode)))
			}
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	case *kmsg.DescribeGroupsResponse:
		for _, g := range r.Groups {
			fmt.Fprintf(&b, "%s %s %s state=%s type=%q protocol=%q ops=%d\n", g.Group, showCode(g.ErrorCode), showString(g.ErrorMessage), g.State, g.ProtocolType, g.Protocol, g.AuthorizedOperations)
			var lines []string
			for _, m := range g.Members {
				lines = append(lines, fmt.Sprintf("  %s instance=%s client=%s metadata=%d bytes assignment=%q\n", m.MemberID, showString(m.InstanceID), m.ClientID, len(m.ProtocolMetadata), m.MemberAssignment))
			}
			slices.Sort(lines)
			b.WriteString(strings.Join(lines, ""))
		}
	case *kmsg.ListGroupsResponse:
		fmt.Fprintln(&b, showCode(r.ErrorCode))
		var lines []string
		for _, g := range r.Groups {
			lines = append(lines, fmt.Sprintf("  %s protocol-type=%q state=%s type=%s\n", g.Group, g.ProtocolType, g.GroupState, g.GroupType))
		}
		slices.Sort(lines)
		b.WriteString(strings.Join(lines, ""))
	case *kmsg.DeleteGroupsResponse:
		groups := slices.Clone(r.Groups)
		slices.SortFunc(groups, func(x, y kmsg.DeleteGroupsResponseGroup) int { return strings.Compare(x.Group, y.Group) })
		for _, g := range groups {
			fmt.Fprintf(&b, "%s %s\n", g.Group, showCode(g.ErrorCode))
		}
	default:
		fmt.Fprintf(&b, "%T\n", resp)
	}
	return b.String()
}

// ourWorld is a Coordinator over storage in memory, on a fake clock.
type ourWorld struct {
	t       *testing.T
	storage *memoryStorage
	cfg     Config
	c       *Coordinator
}

func newOurWorld(t *testing.T) *ourWorld {
	w := &ourWorld{t: t, storage: newMemoryStorage(1)}
	w.c = testCoordinator(t, w.storage, w.cfg)
	return w
}

// twoTopics knows orders and payments, with 3 partitions.
func twoTopics(name string, id protocol.UUID) Topic {
	t := anyTopic(name, id)
	t.Partitions = 3
	switch {
	case t.Err != protocol.None || t.Name == "orders" || t.Name == "payments":
	case name == "":
		t.Err = protocol.ErrUnknownTopicID
	default:
		t.Err, t.ID = protocol.ErrUnknownTopicOrPartition, protocol.UUID{}
	}
	return t
}

func (w *ourWorld) ask(req kmsg.Request) *answer {
	a := &answer{done: make(chan struct{})}
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		w.c.JoinGroup(testContext, r, func(p *kmsg.JoinGroupResponse) { a.set(p) })
	case *kmsg.SyncGroupRequest:
		w.c.SyncGroup(testContext, r, func(p *kmsg.SyncGroupResponse) { a.set(p) })
	case *kmsg.HeartbeatRequest:
		w.c.Heartbeat(testContext, r, func(p *kmsg.HeartbeatResponse) { a.set(p) })
	case *kmsg.LeaveGroupRequest:
		w.c.LeaveGroup(testContext, r, func(p *kmsg.LeaveGroupResponse) { a.set(p) })
	case *kmsg.OffsetCommitRequest:
		w.c.OffsetCommit(testContext, r, twoTopics, func(p *kmsg.OffsetCommitResponse) { a.set(p) })
	case *kmsg.TxnOffsetCommitRequest:
		w.c.TxnOffsetCommit(testContext, r, twoTopics, func(p *kmsg.TxnOffsetCommitResponse) { a.set(p) })
	case *kmsg.OffsetFetchRequest:
		w.c.OffsetFetch(testContext, r, nil, twoTopics, func(p *kmsg.OffsetFetchResponse) { a.set(p) })
	case *kmsg.OffsetDeleteRequest:
		w.c.OffsetDelete(testContext, r, twoTopics, func(p *kmsg.OffsetDeleteResponse) { a.set(p) })
	case *kmsg.DescribeGroupsRequest:
		w.c.DescribeGroups(testContext, r, nil, nil, func(p *kmsg.DescribeGroupsResponse) { a.set(p) })
	case *kmsg.ListGroupsRequest:
		w.c.ListGroups(testContext, r, nil, func(p *kmsg.ListGroupsResponse) { a.set(p) })
	case *kmsg.DeleteGroupsRequest:
		w.c.DeleteGroups(testContext, r, nil, func(p *kmsg.DeleteGroupsResponse) { a.set(p) })
	default:
		w.t.Fatalf("cannot ask %T", req)
	}
	return a
}

func (w *ourWorld) settle(a *answer, patient bool) {
	synctest.Wait()
	if a.ready() && a.resp != nil {
		throughWire(w.t, a)
	}
}

// throughWire encodes and decodes an answer: only what its version carries is left.
func throughWire(t *testing.T, a *answer) {
	wire := a.resp.AppendTo(nil)
	again := kmsg.ResponseForKey(a.resp.Key())
	again.SetVersion(a.resp.GetVersion())
	if err := again.ReadFrom(wire); err != nil {
		t.Fatal(err)
	}
	a.resp = again
}

func (w *ourWorld) sleep(d time.Duration) { time.Sleep(d); synctest.Wait() }

func (w *ourWorld) command(name string, a args) (string, error) {
	switch name {
	case "config": // restarts
		for k, v := range a {
			d, _ := time.ParseDuration(v)
			n, _ := strconv.Atoi(v)
			switch k {
			case "initial-delay":
				w.cfg.InitialRebalanceDelay = d
			case "max-size":
				w.cfg.MaxSize = n
			case "retention":
				w.cfg.OffsetsRetention = d
			case "metadata-max":
				w.cfg.OffsetMetadataMaxBytes = n
			}
		}
		fallthrough
	case "restart":
		w.c.Close()
		w.c = testCoordinator(w.t, w.storage, w.cfg)
		return "", nil
	case "fail":
		w.storage.fail = nil
		for _, code := range []protocol.ErrorCode{protocol.ErrNotEnoughReplicas, protocol.ErrNotLeaderOrFollower, protocol.ErrMessageTooLarge,
			protocol.ErrRequestTimedOut} {
			if code.Error() == a["with"] {
				w.storage.fail = code
			}
		}
		return "", nil
	case "hold":
		w.storage.hold = true
		return "", nil
	case "release":
		w.storage.hold = false
		w.storage.release()
		return "", nil
	case "load": // a segment file of Apache's
		b, err := os.ReadFile(filepath.Join("testdata", a["file"]))
		if err != nil {
			return "", err
		}
		for len(b) > 0 {
			_, _, size, err := protocol.PeekBatch(b)
			if err != nil {
				return "", err
			}
			w.storage.partitions[0] = append(w.storage.partitions[0], b[:size])
			b = b[size:]
		}
		return w.command("restart", nil)
	case "resign":
		w.c.Resign(0, -1)
		return "", nil
	case "lead":
		w.c.BecomeLeader(0, 1)
		return "", w.c.WaitLoaded(w.t.Context())
	case "marker":
		var marker protocol.EndTxnMarker
		marker.Commit = a["commit"] == "true"
		w.storage.mu.Lock()
		w.storage.appendLocked(0, protocol.AppendEndTxnBatch(nil, a.int("pid", 1), 0, time.Now().UnixMilli(), marker))
		w.storage.mu.Unlock()
		w.c.TransactionCompleted(0, a.int("pid", 1), marker.Commit)
		return "", nil
	case "topics-deleted":
		var topics []Topic
		for name := range strings.SplitSeq(a["names"], ",") {
			topics = append(topics, Topic{Name: name})
		}
		w.c.TopicsDeleted(topics)
		return "", nil
	case "log": // what has been written since the last time
		w.storage.mu.Lock()
		defer w.storage.mu.Unlock()
		var b strings.Builder
		for _, r := range w.storage.records(w.t, 0) {
			b.WriteString(showRecord(&r))
		}
		w.storage.partitions[0] = nil
		return b.String(), nil
	case "stats":
		s := w.c.Stats()
		return fmt.Sprintf("groups=%d offsets=%d members=%d appends=%d\n", s.Groups, s.Offsets, s.Members, s.Appends), nil
	}
	return "", errors.New("no such command")
}

// showRecord prints a record of __consumer_offsets without its times.
func showRecord(r *protocol.Record) string {
	k, err := parseKey(r.Key)
	if err != nil {
		return fmt.Sprintf("bad key: %v\n", err)
	}
	head := fmt.Sprintf("key %d %s", k.version, k.group)
	if k.version != keyGroupMetadata {
		head += fmt.Sprintf(" %s/%d", k.topic, k.partition)
	}
	if r.Value == nil {
		return head + " tombstone\n"
	}
	if k.version == keyGroupMetadata {
		g, err := parseGroupValue(r.Value)
		if err != nil {
			return head + " " + err.Error() + "\n"
		}
		out := fmt.Sprintf("%s value %d generation=%d type=%q protocol=%q/%v leader=%s\n", head, binary.BigEndian.Uint16(r.Value), g.generation, g.protocolType, g.protocol, g.hasProtocol, g.leader)
		for _, m := range g.members {
			out += fmt.Sprintf("  %s instance=%q/%v client=%s host=%s rebalance=%d session=%d subscription=%d bytes assignment=%q\n", m.memberID, m.instanceID, m.isStatic,
				m.clientID, m.clientHost, m.rebalanceTimeoutMs, m.sessionTimeoutMs, len(m.subscription), m.assignment)
		}
		return out
	}
	o, err := parseOffsetValue(r.Value)
	if err != nil {
		return head + " " + err.Error() + "\n"
	}
	return fmt.Sprintf("%s value %d offset=%d epoch=%d metadata=%q expires=%v\n", head, binary.BigEndian.Uint16(r.Value), o.offset, o.leaderEpoch, o.metadata, o.expireTimestampMs >= 0)
}

// apacheWorld is a running broker; each request goes over a connection of its own.
type apacheWorld struct {
	t       *testing.T
	address string
}

func newApacheWorld(t *testing.T, address string) *apacheWorld {
	return &apacheWorld{t: t, address: address}
}

func (w *apacheWorld) ask(req kmsg.Request) *answer {
	a := &answer{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.resp, a.err = roundTrip(w.address, req)
	}()
	return a
}

func roundTrip(address string, req kmsg.Request) (kmsg.Response, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("client"))
	if _, err := conn.Write(f.AppendRequest(nil, req, 1)); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	skip := 4
	if resp.IsFlexible() {
		skip++
	}
	return resp, resp.ReadFrom(bytes.Clone(body[skip:]))
}

func (w *apacheWorld) settle(a *answer, patient bool) {
	d := 400 * time.Millisecond
	if patient {
		d = time.Minute
	}
	select {
	case <-a.done:
	case <-time.After(d):
	}
}

func (w *apacheWorld) sleep(d time.Duration) { time.Sleep(d) }
func (w *apacheWorld) command(name string, a args) (string, error) {
	if name == "load" { // it has made what the others load
		return "", nil
	}
	return "", errors.New("Apache has no such command")
}
