package quota

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
)

// entity reads "user/client", with - for a part that is not set and * for the default.
func entity(user, client string) metadata.QuotaEntity {
	part := func(s string) metadata.QuotaName {
		switch s {
		case "-":
			return metadata.QuotaName{}
		case "*":
			return byDefault
		default:
			return named(s)
		}
	}
	return metadata.QuotaEntity{User: part(user), ClientID: part(client)}
}

func limitsOf(key string, bounds map[metadata.QuotaEntity]float64) *Limits {
	quotas := map[metadata.QuotaEntity]map[string]float64{}
	for e, bound := range bounds {
		quotas[e] = map[string]float64{key: bound}
	}
	return NewLimits(maps.All(quotas))
}

// The order of apis.md §8: with all eight entries set, each is found once those before it
// are gone.
func TestTheMostSpecificQuotaCounts(t *testing.T) {
	order := []struct{ entry, shared metadata.QuotaEntity }{
		{entity("u", "c"), entity("u", "c")},
		{entity("u", "*"), entity("u", "c")},
		{entity("u", "-"), entity("u", "-")},
		{entity("*", "c"), entity("u", "c")},
		{entity("*", "*"), entity("u", "c")},
		{entity("*", "-"), entity("u", "-")},
		{entity("-", "c"), entity("-", "c")},
		{entity("-", "*"), entity("-", "c")},
	}
	bounds := map[metadata.QuotaEntity]float64{entity("other", "c"): 1, entity("u", "other"): 1, entity("-", "other"): 1}
	for i := range order {
		bounds[order[i].entry] = float64(100 + i)
	}
	for i := range order {
		bound, shared, ok := limitsOf("producer_byte_rate", bounds).Find(Produce, "u", "c")
		if !ok || bound != float64(100+i) || shared != order[i].shared {
			t.Errorf("place %d: %v for %+v, %v; want %v for %+v", i, bound, shared, ok, 100+i, order[i].shared)
		}
		delete(bounds, order[i].entry)
	}
	if _, _, ok := limitsOf("producer_byte_rate", bounds).Find(Produce, "u", "c"); ok {
		t.Error("somebody else's quota was found")
	}
	if _, _, ok := limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("-", "*"): 1}).Find(Produce, "u", ""); ok {
		t.Error("a client without an id has a client's quota")
	}
}

// clock counts milliseconds from an hour that is none of a wall clock's.
func at(ms int64) time.Time { return time.UnixMilli(1_000_000 + ms) }

func TestABurstIsDividedByTenSecondsAtLeast(t *testing.T) {
	m := NewManager(Options{})
	m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("u", "-"): 1000}))
	// 10,000 bytes over the padded ten seconds are just the bound.
	if d := m.Record(Produce, "u", "c", 10_000, at(0)); d != 0 {
		t.Errorf("waits %v at the bound", d)
	}
	// 5,000 more: (1500-1000)/1000 of ten seconds.
	if d := m.Record(Produce, "u", "another client of the user", 5_000, at(0)); d != 5*time.Second {
		t.Errorf("waits %v, want 5s", d)
	}
	// Half way through the ten seconds they are still what is divided by.
	if d := m.Record(Produce, "u", "c", 0, at(5000)); d != 5*time.Second {
		t.Errorf("waits %v, want 5s", d)
	}
	// The first sample is forgotten 11 s after its last event.
	if d := m.Record(Produce, "u", "c", 10_000, at(11_000)); d != 0 {
		t.Errorf("waits %v for what is over", d)
	}
}

// Kafka's own arithmetic, done by hand over a long run: what a client that obeys sends
// comes out at its bound.
func TestAClientThatObeysGetsItsBound(t *testing.T) {
	for _, bound := range []float64{100, 12_345, 1 << 30} {
		t.Run(fmt.Sprint(bound), func(t *testing.T) {
			m := NewManager(Options{})
			m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("-", "*"): bound}))
			now, sent := int64(0), 0.0
			for now < 600_000 {
				sent += bound / 3
				d := m.Record(Produce, "u", "c", bound/3, at(now))
				now += max(1, d.Milliseconds())
			}
			rate := sent / (float64(now) / 1000)
			if math.Abs(rate-bound)/bound > 0.10 {
				t.Errorf("%.0f bytes a second, the bound is %.0f", rate, bound)
			}
		})
	}
}

func TestARequestWaitsOneWindowAtMost(t *testing.T) {
	m := NewManager(Options{})
	m.SetLimits(limitsOf("request_percentage", map[metadata.QuotaEntity]float64{entity("*", "-"): 1}))
	if d := m.Record(Request, "u", "c", 100_000, at(0)); d != time.Second {
		t.Errorf("waits %v, want 1s", d)
	}
}

func TestAFetchOverItsQuotaIsNotCounted(t *testing.T) {
	m := NewManager(Options{})
	m.SetLimits(limitsOf("consumer_byte_rate", map[metadata.QuotaEntity]float64{entity("u", "c"): 1000}))
	var c Client
	if d := c.Take(m, Fetch, "u", "c", 20_000, at(0)); d != 10*time.Second {
		t.Errorf("waits %v, want 10s", d)
	}
	if d := c.Take(m, Fetch, "u", "c", 10_000, at(0)); d != 0 {
		t.Errorf("waits %v: the first was counted", d)
	}
	if most, ok := c.Most(m, "u", "c", at(0)); !ok || most != 10_000 {
		t.Errorf("a fetch may carry %d, %v, want 10000", most, ok)
	}
}

func TestControllerMutationsSaveUpAndGoIntoDebt(t *testing.T) {
	m := NewManager(Options{})
	m.SetLimits(limitsOf("controller_mutation_rate", map[metadata.QuotaEntity]float64{entity("u", "-"): 2}))
	var c Client
	// 11 windows of one second at 2 a second are saved up: 22.
	if d, ok := c.Admit(m, "u", "c", 30, at(0)); !ok || d != 4*time.Second {
		t.Errorf("a burst into debt: %v, %v; want 4s, true", d, ok)
	}
	if d, ok := c.Admit(m, "u", "c", 1, at(1000)); ok || d != 3*time.Second {
		t.Errorf("in debt: %v, %v; want 3s, false", d, ok)
	}
	if d := c.Record(m, ControllerMutation, "u", "c", 2, at(1000)); d != 4*time.Second {
		t.Errorf("the lenient way: %v, want 4s", d)
	}
	if d, ok := c.Admit(m, "u", "c", 1, at(6000)); !ok || d != 0 {
		t.Errorf("after the debt: %v, %v; want 0, true", d, ok)
	}
}

func TestConnectionsOfAnAddressOverItsRateAreNotCounted(t *testing.T) {
	m := NewManager(Options{})
	m.SetLimits(NewLimits(maps.All(map[metadata.QuotaEntity]map[string]float64{
		{IP: byDefault}: {"connection_creation_rate": 1}, {IP: named("10.0.0.1")}: {"connection_creation_rate": 100}})))
	for i := range 10 {
		if d := m.RecordConnection("10.0.0.9", at(0)); d != 0 {
			t.Fatalf("connection %d waits %v", i, d)
		}
	}
	for range 2 {
		if d := m.RecordConnection("10.0.0.9", at(0)); d != time.Second {
			t.Errorf("waits %v, want 1s", d)
		}
	}
	if d := m.RecordConnection("10.0.0.1", at(0)); d != 0 {
		t.Errorf("another address waits %v", d)
	}
}

func TestChangedLimitsCountFromTheNextRecordOn(t *testing.T) {
	m := NewManager(Options{})
	var c Client
	if d := c.Record(m, Produce, "u", "c", 1e9, at(0)); d != 0 {
		t.Errorf("waits %v without a quota", d)
	}
	m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("u", "-"): 1000}))
	if d := c.Record(m, Produce, "u", "c", 20_000, at(0)); d != 10*time.Second {
		t.Errorf("waits %v, want 10s", d)
	}
	m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("u", "-"): 2000}))
	if d := c.Record(m, Produce, "u", "c", 0, at(0)); d != 0 {
		t.Errorf("waits %v at the new bound", d)
	}
}

func TestClientsPastTheBoundShareOneMeasureAndTheIdleAreForgotten(t *testing.T) {
	m := NewManager(Options{MaxSensors: 3})
	m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("-", "*"): 1000}))
	var kept Client
	kept.Record(m, Produce, "u", "c0", 1, at(0))
	for i := range 100 {
		m.Record(Produce, "u", fmt.Sprint("c", i), 200, at(0))
	}
	if n := len(m.sensors); n != 4 {
		t.Errorf("%d measures, want 4", n)
	}
	// 97 clients shared 1,000 bytes a second: 19,400 bytes.
	if d := m.Record(Produce, "u", "c99", 600, at(0)); d != 10*time.Second {
		t.Errorf("waits %v, want 10s", d)
	}
	// Another user's clients are none of these.
	if d := m.Record(Produce, "v", "d", 10_000, at(0)); d != 0 {
		t.Errorf("another user's client waits %v", d)
	}
	if u := m.Usages(at(0)); len(u) != 5 || u[0].Entity != entity("u", "-") || u[0].Throttled == 0 {
		t.Errorf("usages %+v", u)
	}
	// Nor are there more of these measures than of the others, but for one.
	for i := range 100 {
		m.Record(Produce, fmt.Sprint("w", i), "c", 200, at(0))
	}
	if n := len(m.sensors); n != 7 {
		t.Errorf("%d measures, want 7", n)
	}
	if d := m.Record(Produce, "u", "c99", 0, at(0)); d != 10*time.Second {
		t.Errorf("waits %v, want 10s", d)
	}
	hour := time.Hour.Milliseconds()
	m.Record(Produce, "u", "c1", 1, at(hour-1))
	m.Expire(at(hour))
	if n := len(m.sensors); n != 1 {
		t.Errorf("%d measures after an hour, want 1", n)
	}
	if d := kept.Record(m, Produce, "u", "c0", 20_000, at(hour)); d != 10*time.Second {
		t.Errorf("a client whose measure was forgotten waits %v, want 10s", d)
	}
	if n := len(m.sensors); n != 2 {
		t.Errorf("%d measures, want 2", n)
	}
}

func BenchmarkRecord(b *testing.B) {
	m := NewManager(Options{})
	for _, name := range []string{"none", "quota"} {
		b.Run(name, func(b *testing.B) {
			if name == "quota" {
				m.SetLimits(limitsOf("producer_byte_rate", map[metadata.QuotaEntity]float64{entity("-", "*"): 1e12}))
			}
			var c Client
			now := at(0)
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Millisecond)
				c.Record(m, Produce, "user", "client", 1000, now)
			}
		})
	}
}

// Every spelling of an address is that address.
func TestTheQuotaOfAnAddressIsFoundHoweverItIsSpelt(t *testing.T) {
	for spelt, ip := range map[string]string{"0:0:0:0:0:0:0:1": "::1", "FD00::0001": "fd00::1", "::ffff:10.0.0.1": "10.0.0.1", "10.0.0.2": "10.0.0.2"} {
		l := limitsOf("connection_creation_rate", map[metadata.QuotaEntity]float64{{IP: named(spelt)}: 5})
		if bound, ok := l.FindIP(ip); !ok || bound != 5 {
			t.Errorf("%s: %v %v for %s", spelt, bound, ok, ip)
		}
	}
}
