package broker

import (
	"sync/atomic"
	"time"
)

// latencyBuckets are the upper bounds of the request latency histogram.
var latencyBuckets = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
	500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// metrics is what a broker counts. Counters only grow; gauges are read from their owners
// when somebody asks.
type metrics struct {
	apis [maxAPIKey]apiMetrics

	bytesIn           atomic.Int64 // of records produced
	messagesIn        atomic.Int64
	bytesOut          atomic.Int64 // of records fetched
	sendfileBytes     atomic.Int64 // of those, by sendfile
	bytesRejected     atomic.Int64 // of records that were too large to be produced
	failedProduce     atomic.Int64
	failedFetch       atomic.Int64
	produceConversion atomic.Int64
	fetchConversion   atomic.Int64
	connections       atomic.Int64 // accepted since the start
	refused           atomic.Int64 // connections refused by a limit
	badFrames         atomic.Int64
	slowRequests      atomic.Int64 // connections closed because of
	stalledAnswers    atomic.Int64 // likewise
	panics            atomic.Int64 // that ended a connection

	refusedAuthorizations atomic.Int64

	authenticated   atomic.Int64
	unauthenticated atomic.Int64 // attempts that failed
	expired         atomic.Int64 // sessions that ran out
}

// versionSlots is one more than the versions counted apart; the last slot takes the rest,
// such as the versions that a newer client's ApiVersions asks for.
const versionSlots = 25

type apiMetrics struct {
	versions [versionSlots]atomic.Int64 // requests by version
	nanos    atomic.Int64
	buckets  [len(latencyBuckets) + 1]atomic.Int64
}

func (m *metrics) began(r *request) {
	m.apis[r.key].versions[min(int(uint16(r.version)), versionSlots-1)].Add(1)
}

// requests is how many there were, of all versions.
func (a *apiMetrics) requests() (n int64) {
	for i := range a.versions {
		n += a.versions[i].Load()
	}
	return n
}

// finished is how many requests were answered.
func (a *apiMetrics) finished() (n int64) {
	for i := range a.buckets {
		n += a.buckets[i].Load()
	}
	return n
}

// inFlight is how many requests have begun and not finished.
func (a *apiMetrics) inFlight() int64 {
	finished := a.finished() // before those that have begun, so that the difference is not negative
	return a.requests() - finished
}

// finishedRequests counts requests whose answers have been handed to their connection's
// output, and tells the metrics of those together that are alike.
type finishedRequests struct {
	key, bucket int
	count       int64
	nanos       int64
}

func (f *finishedRequests) add(m *metrics, r *request, now time.Time) {
	took := now.Sub(r.received)
	bucket := 0
	for bucket < len(latencyBuckets) && took > latencyBuckets[bucket] {
		bucket++
	}
	if f.count > 0 && (f.key != int(r.key) || f.bucket != bucket) {
		f.tell(m)
	}
	f.key, f.bucket = int(r.key), bucket
	f.count++
	f.nanos += int64(took)
}

func (f *finishedRequests) tell(m *metrics) {
	if f.count == 0 {
		return
	}
	a := &m.apis[f.key]
	a.nanos.Add(f.nanos)
	a.buckets[f.bucket].Add(f.count)
	f.count, f.nanos = 0, 0
}
