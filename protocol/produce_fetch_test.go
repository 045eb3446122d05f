package protocol_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

// sameProduce compares what we decoded with what kmsg did, field for field.
func sameProduce(ours *protocol.ProduceRequest, theirs *kmsg.ProduceRequest) error {
	if ours.Version != theirs.Version || ours.Acks != theirs.Acks || ours.TimeoutMs != theirs.TimeoutMillis {
		return fmt.Errorf("head differs: %+v, %+v", ours, theirs)
	}
	if !reflect.DeepEqual(bytesOrNil(theirs.TransactionID), ours.TransactionalID) {
		return fmt.Errorf("transactional id %q, %v", ours.TransactionalID, theirs.TransactionID)
	}
	if len(ours.Topics) != len(theirs.Topics) {
		return fmt.Errorf("%d topics, %d", len(ours.Topics), len(theirs.Topics))
	}
	for i, o := range ours.Topics {
		k := theirs.Topics[i]
		if string(o.Name) != k.Topic || o.ID != k.TopicID || len(o.Partitions) != len(k.Partitions) {
			return fmt.Errorf("topic %d: %+v, %+v", i, o, k)
		}
		for j, o := range o.Partitions {
			if k := k.Partitions[j]; o.Index != k.Partition || !bytes.Equal(o.Records, k.Records) || (o.Records == nil) != (k.Records == nil) {
				return fmt.Errorf("topic %d partition %d: %+v, %+v", i, j, o, k)
			}
		}
	}
	return nil
}

// randomFetch leaves out what the version does not have: kmsg would write it all the same.
func randomFetch(r *rand.Rand, version int16) *kmsg.FetchRequest {
	req := random[kmsg.FetchRequest](r)
	req.Version = version
	if version < 15 {
		req.ReplicaState = kmsg.NewFetchRequestReplicaState()
	}
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p := &req.Topics[i].Partitions[j]
			if version < 17 {
				p.ReplicaDirectoryID = [16]byte{}
			}
			if version < 18 {
				p.HighWatermark = math.MaxInt64
			}
		}
	}
	return req
}

func sameFetch(ours *protocol.FetchRequest, theirs *kmsg.FetchRequest) error {
	replicaID, replicaEpoch := theirs.ReplicaID, int64(-1)
	if theirs.Version >= 15 {
		replicaID, replicaEpoch = theirs.ReplicaState.ID, theirs.ReplicaState.Epoch
	}
	type head struct {
		version                                                                int16
		replicaID                                                              int32
		replicaEpoch                                                           int64
		wait, minBytes, maxBytes, isolation, session, epoch, topics, forgotten int
		rack, cluster                                                          string
		clusterNull                                                            bool
	}
	cluster := ""
	if theirs.ClusterID != nil {
		cluster = *theirs.ClusterID
	}
	o := head{
		ours.Version, ours.ReplicaID, ours.ReplicaEpoch, int(ours.MaxWaitMs), int(ours.MinBytes), int(ours.MaxBytes), int(ours.IsolationLevel),
		int(ours.SessionID), int(ours.SessionEpoch), len(ours.Topics), len(ours.Forgotten), string(ours.RackID), string(ours.ClusterID), ours.ClusterID == nil,
	}
	k := head{
		theirs.Version, replicaID, replicaEpoch, int(theirs.MaxWaitMillis), int(theirs.MinBytes), int(theirs.MaxBytes), int(theirs.IsolationLevel),
		int(theirs.SessionID), int(theirs.SessionEpoch), len(theirs.Topics), len(theirs.ForgottenTopics), theirs.Rack, cluster, theirs.ClusterID == nil,
	}
	if o != k {
		return fmt.Errorf("head differs:\n%+v\n%+v", o, k)
	}
	for i, o := range ours.Topics {
		k := theirs.Topics[i]
		if string(o.Name) != k.Topic || o.ID != k.TopicID || len(o.Partitions) != len(k.Partitions) {
			return fmt.Errorf("topic %d: %+v, %+v", i, o, k)
		}
		for j, o := range o.Partitions {
			k := k.Partitions[j]
			want := protocol.FetchPartition{
				Partition: k.Partition, CurrentLeaderEpoch: k.CurrentLeaderEpoch, FetchOffset: k.FetchOffset, LastFetchedEpoch: k.LastFetchedEpoch,
				PartitionMaxBytes: k.PartitionMaxBytes, LogStartOffset: k.LogStartOffset, HighWatermark: math.MaxInt64,
			}
			if theirs.Version >= 17 {
				want.ReplicaDirectoryID = k.ReplicaDirectoryID
			}
			if theirs.Version >= 18 {
				want.HighWatermark = k.HighWatermark
			}
			if o != want {
				return fmt.Errorf("topic %d partition %d: %+v, %+v", i, j, o, want)
			}
		}
	}
	for i, o := range ours.Forgotten {
		k := theirs.ForgottenTopics[i]
		if string(o.Name) != k.Topic || o.ID != k.TopicID || len(o.Partitions) != len(k.Partitions) {
			return fmt.Errorf("forgotten topic %d: %+v, %+v", i, o, k)
		}
		for j := range o.Partitions {
			if o.Partitions[j] != k.Partitions[j] {
				return fmt.Errorf("forgotten topic %d: %+v, %+v", i, o, k)
			}
		}
	}
	return nil
}

// One request is decoded into over and over: nothing of an earlier one may shine through.
func TestProduceRequestDecodesAsKmsgDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var ours protocol.ProduceRequest
	for range 100 {
		for version := int16(0); version <= 13; version++ {
			req := random[kmsg.ProduceRequest](r)
			req.Version = version
			body := append(req.AppendTo(nil), make([]byte, r.IntN(2))...)
			theirs := kmsg.ProduceRequest{Version: version}
			if err := theirs.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			err := ours.Decode(version, body, 0)
			if err == nil {
				err = sameProduce(&ours, &theirs)
			}
			if err != nil {
				t.Fatalf("v%d: %v\n%x", version, err, body)
			}
		}
	}
}

func TestFetchRequestDecodesAsKmsgDoes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var ours protocol.FetchRequest
	for range 100 {
		for version := int16(0); version <= 18; version++ {
			req := randomFetch(r, version)
			body := append(req.AppendTo(nil), make([]byte, r.IntN(2))...)
			theirs := kmsg.FetchRequest{Version: version}
			if err := theirs.ReadFrom(body); err != nil {
				t.Fatal(err)
			}
			err := ours.Decode(version, body, 0)
			if err == nil {
				err = sameFetch(&ours, &theirs)
			}
			if err != nil {
				t.Fatalf("v%d: %v\n%x", version, err, body)
			}
		}
	}
}

func TestDecodeKeepsToTheAdmittedMemory(t *testing.T) {
	produce := append(unhex(t, "00 0000 00000000 8108"), make([]byte, 0)...) // v9: null id, acks, timeout, 1024 topics
	fetch := unhex(t, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 8108")
	for range 1024 {
		produce = append(produce, 1, 1, 0) // "", no partitions, no tags
		fetch = append(fetch, 1, 1, 0)
	}
	produce = append(produce, 0)
	fetch = append(fetch, 1, 1, 0) // none forgotten, rack "", no tags
	for _, tt := range []struct {
		name   string
		decode func(memoryMax int) error
	}{
		{"produce", func(m int) error { return new(protocol.ProduceRequest).Decode(9, produce, m) }},
		{"fetch", func(m int) error { return new(protocol.FetchRequest).Decode(12, fetch, m) }},
	} {
		for memoryMax, want := range map[int]error{0: nil, 72 * 1024: nil, 72*1024 - 1: protocol.ErrRequestMemory, 1: protocol.ErrRequestMemory} {
			if err := tt.decode(memoryMax); !errors.Is(err, want) {
				t.Errorf("%s within %d bytes: %v, want %v", tt.name, memoryMax, err, want)
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	var produce protocol.ProduceRequest
	var fetch protocol.FetchRequest
	for _, tt := range []struct {
		name   string
		decode func(version int16, body []byte, memoryMax int) error
		v      int16
		body   string
		want   error
	}{
		{"produce v14", produce.Decode, 14, "", protocol.ErrUnsupportedVersion},
		{"produce v-1", produce.Decode, -1, "", protocol.ErrUnsupportedVersion},
		{"produce of nothing", produce.Decode, 0, "", protocol.ErrTruncated},
		{"produce to 2^31-1 topics", produce.Decode, 0, "0001 00000000 7fffffff", protocol.ErrTruncated},
		{"produce to a null topic", produce.Decode, 0, "0001 00000000 00000001 ffff 00000000", protocol.ErrMalformed},
		{"produce to null topics", produce.Decode, 0, "0001 00000000 ffffffff", protocol.ErrMalformed},
		{"produce of records beyond the end", produce.Decode, 0, "0001 00000000 00000001 000161 00000001 00000000 00000005 aa", protocol.ErrTruncated},
		{"produce with a bomb of tags", produce.Decode, 9, "00 0001 00000000 01 ffffffff0f", protocol.ErrTruncated},
		{"fetch v19", fetch.Decode, 19, "", protocol.ErrUnsupportedVersion},
		{"fetch of 2^31-1 partitions", fetch.Decode, 0, "ffffffff 00000000 00000000 00000001 000161 7fffffff", protocol.ErrTruncated},
		{"fetch that forgets 2^31-1 partitions", fetch.Decode, 7, "ffffffff 00000000 00000000 00000000 00 00000000 00000000 00000000 00000001 000161 7fffffff", protocol.ErrTruncated},
		{"fetch with a bomb of tags", fetch.Decode, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 ffffffff0f", protocol.ErrTruncated},
		{"fetch with a replica state before v15", fetch.Decode, 12, "ffffffff 00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 01 01 0d 00000001 0000000000000002 00", protocol.ErrMalformed},
		{"fetch with a replica state too long", fetch.Decode, 15, "00000000 00000000 00000000 00 00000000 ffffffff 01 01 01 01 01 0e 00000001 0000000000000002 00 00", protocol.ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.decode(tt.v, unhex(t, tt.body), 0); !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if len(produce.Topics) > 0 || len(fetch.Topics) > 0 || len(fetch.Forgotten) > 0 {
				t.Fatal("a refused request left topics behind")
			}
		})
	}
}

func TestDecodeAllocatesNothingOnceWarm(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, version := range []int16{3, 9, 13} {
		req := random[kmsg.ProduceRequest](r)
		req.Version = version
		req.Topics = make([]kmsg.ProduceRequestTopic, 10)
		for i := range req.Topics {
			req.Topics[i] = kmsg.ProduceRequestTopic{Topic: "orders", Partitions: make([]kmsg.ProduceRequestTopicPartition, 10)}
		}
		body := req.AppendTo(nil)
		known := map[string]int{"orders": 1}
		var ours protocol.ProduceRequest
		if n := testing.AllocsPerRun(100, func() {
			if err := ours.Decode(version, body, 1<<20); err != nil {
				t.Fatal(err)
			}
			for i := range ours.Topics {
				if known[string(ours.Topics[i].Name)] == 0 && version < 13 {
					t.Fatal("topic is not found")
				}
			}
			ours.Reset()
		}); n != 0 {
			t.Errorf("produce v%d: %v allocations", version, n)
		}
	}
	for _, version := range []int16{4, 12, 18} {
		req := randomFetch(r, version)
		req.Topics = make([]kmsg.FetchRequestTopic, 10)
		for i := range req.Topics {
			req.Topics[i] = kmsg.FetchRequestTopic{Topic: "orders", Partitions: slices.Repeat([]kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}, 10)}
		}
		body := req.AppendTo(nil)
		var ours protocol.FetchRequest
		if n := testing.AllocsPerRun(100, func() {
			if err := ours.Decode(version, body, 1<<20); err != nil {
				t.Fatal(err)
			}
			ours.Reset()
		}); n != 0 {
			t.Errorf("fetch v%d: %v allocations", version, n)
		}
	}
}

// toKmsg says the same as r in kmsg's words.
func produceToKmsg(r *protocol.ProduceResponse, version int16) *kmsg.ProduceResponse {
	k := &kmsg.ProduceResponse{Version: version, ThrottleMillis: r.ThrottleMs}
	rest := r.Partitions
	for _, t := range r.Topics {
		kt := kmsg.ProduceResponseTopic{Topic: t.Name, TopicID: t.ID}
		for _, p := range rest[:t.PartitionCount] {
			kp := kmsg.NewProduceResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.BaseOffset = p.Index, int16(p.ErrorCode), p.BaseOffset
			kp.LogAppendTime, kp.LogStartOffset, kp.ErrorMessage = p.LogAppendTimeMs, p.LogStartOffset, orNull(p.ErrorMessage)
			for _, e := range p.RecordErrors {
				kp.ErrorRecords = append(kp.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: e.BatchIndex, ErrorMessage: orNull(e.Message)})
			}
			if p.CurrentLeader != nil && version >= 10 {
				kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = p.CurrentLeader.LeaderID, p.CurrentLeader.LeaderEpoch
			}
			kt.Partitions = append(kt.Partitions, kp)
		}
		rest = rest[t.PartitionCount:]
		k.Topics = append(k.Topics, kt)
	}
	if version >= 10 {
		for _, e := range r.NodeEndpoints {
			k.Brokers = append(k.Brokers, kmsg.ProduceResponseBroker{NodeID: e.NodeID, Host: e.Host, Port: e.Port, Rack: orNull(e.Rack)})
		}
	}
	return k
}

func TestProduceResponseIsWhatKmsgWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var ours protocol.ProduceResponse
	for range 100 {
		for version := int16(0); version <= 13; version++ {
			ours.Reset()
			ours.ThrottleMs = int32(r.Uint32())
			ours.NodeEndpoints = *random[[]protocol.NodeEndpoint](r)
			for range r.IntN(3) {
				ours.AddTopic(*random[string](r), *random[protocol.UUID](r))
				for range r.IntN(3) {
					p := ours.AddPartition(int32(r.Uint32()))
					if r.IntN(2) == 0 {
						*p = *random[protocol.ProduceResponsePartition](r)
					}
				}
			}
			frame := ours.AppendFrame([]byte("before"), version, 7)[len("before"):]
			if int(binary.BigEndian.Uint32(frame)) != len(frame)-4 {
				t.Fatalf("v%d: frame of %d bytes says %x", version, len(frame), frame[:4])
			}
			header := protocol.AppendResponseHeader(nil, protocol.KeyProduce, version, 7)
			want := append(header, produceToKmsg(&ours, version).AppendTo(nil)...)
			if !bytes.Equal(frame[4:], want) {
				t.Fatalf("v%d: %+v\nours %x\nkmsg %x", version, ours, frame[4:], want)
			}
			back := kmsg.ProduceResponse{Version: version}
			if err := back.ReadFrom(frame[4+headerSize(version, 9):]); err != nil {
				t.Fatalf("v%d: kmsg cannot read it: %v", version, err)
			}
			if trailing, err := schema.CheckResponse(protocol.KeyProduce, version, frame[4+headerSize(version, 9):]); trailing != 0 || err != nil {
				t.Fatalf("v%d: %d trailing, %v", version, trailing, err)
			}
		}
	}
}

func headerSize(version, flexible int16) int {
	if version >= flexible {
		return 5
	}
	return 4
}

func fetchToKmsg(r *protocol.FetchResponse, records [][]byte, version int16) *kmsg.FetchResponse {
	k := &kmsg.FetchResponse{Version: version, ThrottleMillis: r.ThrottleMs, ErrorCode: int16(r.ErrorCode), SessionID: r.SessionID}
	next := 0
	for _, t := range r.Topics {
		kt := kmsg.FetchResponseTopic{Topic: t.Name, TopicID: t.ID}
		for range t.PartitionCount {
			p := r.Partitions[next]
			kp := kmsg.NewFetchResponseTopicPartition()
			kp.Partition, kp.ErrorCode, kp.HighWatermark = p.Partition, int16(p.ErrorCode), p.HighWatermark
			kp.LastStableOffset, kp.LogStartOffset, kp.PreferredReadReplica = p.LastStableOffset, p.LogStartOffset, p.PreferredReadReplica
			kp.RecordBatches = records[next]
			if p.AbortedTransactions != nil {
				kp.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			}
			for _, a := range p.AbortedTransactions {
				kp.AbortedTransactions = append(kp.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: a.ProducerID, FirstOffset: a.FirstOffset})
			}
			if e := p.DivergingEpoch; e != nil {
				kp.DivergingEpoch.Epoch, kp.DivergingEpoch.EndOffset = e.Epoch, e.EndOffset
			}
			if l := p.CurrentLeader; l != nil {
				kp.CurrentLeader.LeaderID, kp.CurrentLeader.LeaderEpoch = l.LeaderID, l.LeaderEpoch
			}
			if s := p.SnapshotID; s != nil {
				kp.SnapshotID.EndOffset, kp.SnapshotID.Epoch = s.EndOffset, s.Epoch
			}
			kt.Partitions = append(kt.Partitions, kp)
			next++
		}
		k.Topics = append(k.Topics, kt)
	}
	if version >= 16 {
		for _, e := range r.NodeEndpoints {
			k.Brokers = append(k.Brokers, kmsg.FetchResponseBroker{NodeID: e.NodeID, Host: e.Host, Port: e.Port, Rack: orNull(e.Rack)})
		}
	}
	return k
}

func TestFetchResponseIsWhatKmsgWrites(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var ours protocol.FetchResponse
	for range 100 {
		for version := int16(0); version <= 18; version++ {
			ours.Reset()
			ours.ThrottleMs, ours.SessionID = int32(r.Uint32()), int32(r.Uint32())
			ours.ErrorCode = protocol.ErrorCode(r.IntN(100))
			ours.NodeEndpoints = *random[[]protocol.NodeEndpoint](r)
			var records [][]byte
			for range r.IntN(3) {
				ours.AddTopic(*random[string](r), *random[protocol.UUID](r))
				for range r.IntN(3) {
					p := ours.AddPartition(int32(r.Uint32()))
					if r.IntN(2) == 0 {
						*p = *random[protocol.FetchResponsePartition](r)
					}
					b := *random[[]byte](r)
					p.RecordsSize = len(b)
					if b == nil {
						p.RecordsSize = -1
					}
					records = append(records, b)
				}
			}
			dst, gaps, err := ours.AppendFrame([]byte("before"), nil, version, 7)
			if err != nil {
				t.Fatal(err)
			}
			// What the session does: bytes and regions in turn.
			var frame []byte
			pos := len("before")
			for _, g := range gaps {
				if g.Size != len(records[g.Partition]) || g.Size == 0 {
					t.Fatalf("gap %+v for %d bytes", g, len(records[g.Partition]))
				}
				frame = append(frame, dst[pos:g.Pos]...)
				frame = append(frame, records[g.Partition]...)
				pos = g.Pos
			}
			frame = append(frame, dst[pos:]...)

			if int(binary.BigEndian.Uint32(frame)) != len(frame)-4 {
				t.Fatalf("v%d: frame of %d bytes says %x", version, len(frame), frame[:4])
			}
			want := protocol.AppendResponseHeader(nil, protocol.KeyFetch, version, 7)
			want = append(want, fetchToKmsg(&ours, records, version).AppendTo(nil)...)
			if !bytes.Equal(frame[4:], want) {
				t.Fatalf("v%d: %+v\nours %x\nkmsg %x", version, ours, frame[4:], want)
			}
			body := frame[4+headerSize(version, 12):]
			back := kmsg.FetchResponse{Version: version}
			if err := back.ReadFrom(body); err != nil {
				t.Fatalf("v%d: kmsg cannot read it: %v", version, err)
			}
			if trailing, err := schema.CheckResponse(protocol.KeyFetch, version, body); trailing != 0 || err != nil {
				t.Fatalf("v%d: %d trailing, %v", version, trailing, err)
			}
		}
	}
}

func TestFetchResponseTooLargeForAFrame(t *testing.T) {
	var r protocol.FetchResponse
	r.AddTopic("t", protocol.UUID{})
	r.AddPartition(0).RecordsSize = math.MaxInt32 - 100
	if _, _, err := r.AppendFrame(nil, nil, 12, 7); err != nil {
		t.Fatal(err)
	}
	r.AddPartition(1).RecordsSize = 100
	if _, _, err := r.AppendFrame(nil, nil, 12, 7); err == nil {
		t.Fatal("a frame of more than 2 GiB is written")
	}
}

func TestEncodeAllocatesNothingOnceWarm(t *testing.T) {
	var fetch protocol.FetchResponse
	var produce protocol.ProduceResponse
	var dst []byte
	var gaps []protocol.RecordsGap
	if n := testing.AllocsPerRun(100, func() {
		fetch.Reset()
		produce.Reset()
		for range 10 {
			fetch.AddTopic("orders", protocol.UUID{})
			produce.AddTopic("orders", protocol.UUID{})
			for i := range int32(10) {
				fetch.AddPartition(i).RecordsSize = 1000
				produce.AddPartition(i).BaseOffset = 7
			}
		}
		var err error
		if dst, gaps, err = fetch.AppendFrame(dst[:0], gaps[:0], 17, 7); err != nil {
			t.Fatal(err)
		}
		dst = produce.AppendFrame(dst[:0], 11, 7)
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func FuzzProduceRequestDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(5, 5))
	for version := int16(0); version <= 13; version++ {
		req := random[kmsg.ProduceRequest](r)
		req.Version = version
		f.Add(version, req.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		defer fuzzcost.Bound(t, len(body), 64)()
		var ours protocol.ProduceRequest
		err := ours.Decode(version, body, 0)
		if _, checkErr := schema.Check(protocol.KeyProduce, version, body, schema.Limits{}); (err == nil) != (checkErr == nil) {
			t.Fatalf("Decode says %v, Check %v", err, checkErr)
		}
		if err != nil {
			return
		}
		theirs := kmsg.ProduceRequest{Version: version}
		if err := theirs.ReadFrom(body); err != nil {
			t.Fatalf("kmsg says %v", err)
		}
		if err := sameProduce(&ours, &theirs); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzFetchRequestDecode(f *testing.F) {
	r := rand.New(rand.NewPCG(6, 6))
	for version := int16(0); version <= 18; version++ {
		req := randomFetch(r, version)
		f.Add(version, req.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, version int16, body []byte) {
		defer fuzzcost.Bound(t, len(body), 64)()
		var ours protocol.FetchRequest
		err := ours.Decode(version, body, 0)
		if _, checkErr := schema.Check(protocol.KeyFetch, version, body, schema.Limits{}); (err == nil) != (checkErr == nil) {
			t.Fatalf("Decode says %v, Check %v", err, checkErr)
		}
		if err != nil {
			return
		}
		theirs := kmsg.FetchRequest{Version: version}
		if err := theirs.ReadFrom(body); err != nil {
			t.Fatalf("kmsg says %v", err)
		}
		if err := sameFetch(&ours, &theirs); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkProduceRequestDecode(b *testing.B) {
	for _, partitions := range []int{1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			req := kmsg.NewPtrProduceRequest()
			req.Version = 9
			req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: make([]kmsg.ProduceRequestTopicPartition, partitions)}}
			body := req.AppendTo(nil)
			var ours protocol.ProduceRequest
			b.ReportAllocs()
			for b.Loop() {
				if err := ours.Decode(9, body, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkFetchRequestDecode(b *testing.B) {
	for _, partitions := range []int{1, 100} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			req := kmsg.NewPtrFetchRequest()
			req.Version = 17
			req.Topics = []kmsg.FetchRequestTopic{{Partitions: slices.Repeat([]kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}, partitions)}}
			body := req.AppendTo(nil)
			var ours protocol.FetchRequest
			b.ReportAllocs()
			for b.Loop() {
				if err := ours.Decode(17, body, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
