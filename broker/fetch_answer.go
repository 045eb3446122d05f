package broker

import (
	"time"

	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
)

// refuse answers with an error for the whole request.
func (f *fetch) refuse(code protocol.ErrorCode) {
	f.resp.ErrorCode = code
	if code == protocol.ErrUnknownServerError && f.r.version < 13 {
		// The form of Apache's answer to a request at which its handler fails.
		for t := range f.req.Topics {
			f.resp.AddTopic(string(f.req.Topics[t].Name), protocol.UUID{})
			for i := range f.req.Topics[t].Partitions {
				out := f.resp.AddPartition(f.req.Topics[t].Partitions[i].Partition)
				out.ErrorCode, out.RecordsSize, out.AbortedTransactions = code, -1, []protocol.AbortedTransaction{}
			}
		}
	}
	f.encode()
}

// addPartition adds the answer's slot of the i-th partition, beginning a topic if needed.
func (f *fetch) addPartition(i int) *protocol.FetchResponsePartition {
	p := &f.partitions[i]
	last := len(f.resp.Topics) - 1
	if last < 0 || f.resp.Topics[last].Name != p.name || f.resp.Topics[last].ID != p.key.id {
		f.resp.AddTopic(p.name, p.key.id)
	}
	return f.resp.AddPartition(p.key.partition)
}

// answer sends what the last look found.
func (f *fetch) answer() {
	if f.waiter != nil {
		f.b.timers.stop(&f.expired)
	}
	if f.overQuota() {
		f.answerNothingYet()
		return
	}
	f.b.metrics.bytesOut.Add(f.answerPartitions())
	f.encode()
}

// answerPartitions puts the partitions into the answer, and notes in the session what it
// tells. It returns the size of the records.
func (f *fetch) answerPartitions() (bytes int64) {
	if f.session != nil {
		f.session.mu.Lock()
		defer f.session.mu.Unlock()
		f.resp.SessionID = f.session.id
	}
	refused := false
	for i := range f.results {
		if f.results[i].refused {
			refused = true
			continue
		}
		bytes += f.answerPartition(i)
	}
	for _, unknownID := range []bool{true, false} { // first what has no name, then the others
		for i := range f.results {
			if refused && f.results[i].refused && (f.results[i].out.ErrorCode == protocol.ErrUnknownTopicID) == unknownID {
				f.answerPartition(i)
			}
		}
	}
	return bytes
}

// overQuota charges the answer to the client's quota. If the client has to wait, nothing
// is charged, and the answer must carry nothing.
func (f *fetch) overQuota() bool {
	if f.replica || !f.b.quotas.Limits().Any(quota.Fetch) {
		return false
	}
	size := 32
	for i := range f.results {
		size += max(0, f.results[i].out.RecordsSize) + 48
	}
	f.r.wait(f.r.conn.usage.Take(f.b.quotas, quota.Fetch, f.r.session.principal.Name, f.r.clientID, float64(size), time.Now()))
	return f.r.throttle > 0
}

// answerNothingYet answers a fetch over its quota without partitions. What a session has
// to tell stays to be told; a full fetch gets no session.
func (f *fetch) answerNothingYet() {
	f.dropRegions()
	switch {
	case f.session == nil:
	case f.full:
		f.b.sessions.remove(f.session.id, f.r.session.principal)
	default:
		f.resp.SessionID = f.session.id
	}
	f.encode()
}

// answerPartition puts the i-th partition into the answer, if it has to be there. It
// returns the size of its records.
func (f *fetch) answerPartition(i int) int64 {
	res := &f.results[i]
	if f.session != nil {
		if must := f.session.changed(&res.out, f.partitions[i].key, f.full); !must && !f.full {
			res.region.Release()
			return 0
		}
	}
	out := f.addPartition(i)
	*out = res.out
	f.owner = append(f.owner, i)
	size := int64(max(0, res.out.RecordsSize))
	if size > 0 {
		res.source.Traffic.BytesOut.Add(size)
	}
	return size
}

// encode encodes the response and sends it.
func (f *fetch) encode() {
	r := f.r
	f.resp.ThrottleMs = r.throttleMs()
	encoded, gaps, err := f.resp.AppendFrame(r.encoded[:0], f.gaps[:0], r.version, r.corrID)
	// A fetch that has waited is left to the collector: a timer or a waker may still
	// hold it.
	parked := f.waiter != nil
	if err != nil {
		f.dropRegions()
		if !parked {
			f.release()
		}
		r.hangUp(err.Error())
		return
	}
	r.encoded, f.gaps = encoded, gaps
	for _, g := range gaps {
		res := &f.results[f.owner[g.Partition]]
		r.attachments = append(r.attachments, attachment{at: g.Pos, region: res.region, from: res.from, to: res.to})
		res.region = log.Region{}
	}
	if !parked {
		f.release()
	}
	r.replyEncoded()
}
