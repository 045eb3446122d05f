package broker_test

import (
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestThePaceOfARequest(t *testing.T) {
	const enough = 512 * 60
	t.Run("one byte and then nothing", func(t *testing.T) {
		var p broker.Pace
		p.Wait(1000)
		for now, want := range map[int64]bool{1000: false, 1060: false, 1062: true} {
			if got := p.TooSlow(now); got != want {
				t.Errorf("at %d: %v", now, got)
			}
		}
	})
	t.Run("a byte every second", func(t *testing.T) {
		var p broker.Pace
		for now := int64(1000); now < 1061; now++ {
			p.Wait(now)
			if p.TooSlow(now) {
				t.Fatalf("too early, at %d", now)
			}
			if p.Came(now+1, 1, enough) {
				t.Fatal("that is not enough")
			}
		}
		p.Wait(1061)
		if !p.TooSlow(1062) {
			t.Error("it is not noticed")
		}
	})
	t.Run("100 MB at 1 KB a second", func(t *testing.T) {
		var p broker.Pace
		for now := int64(1000); now < 101_000; now += 10 {
			p.Wait(now)
			if p.TooSlow(now + 10) {
				t.Fatalf("closed after %d seconds", now-1000)
			}
			p.Came(now+10, 10_240, enough)
		}
	})
	t.Run("half a minute of nothing, then the rest at once", func(t *testing.T) {
		var p broker.Pace
		p.Wait(1000)
		p.Came(1045, enough, enough)
		p.Wait(1045)
		if p.TooSlow(1100) {
			t.Error("closed")
		}
	})
	t.Run("the broker does not read for an hour", func(t *testing.T) {
		var p broker.Pace
		p.Wait(1000)
		p.Came(1010, 100, enough)
		if p.TooSlow(5000) {
			t.Error("closed while nobody waits")
		}
		p.Wait(5000)
		if p.TooSlow(5040) {
			t.Error("the hour counts")
		}
		if !p.TooSlow(5052) {
			t.Error("what was waited before does not count")
		}
	})
	t.Run("every request has a minute of its own", func(t *testing.T) {
		var p broker.Pace
		p.Wait(1000)
		p.Came(1050, 10, enough)
		p.Whole()
		p.Wait(1050)
		if p.TooSlow(1109) {
			t.Error("closed for the one before")
		}
	})
}

func TestARequestThatComesTooSlowlyClosesItsConnection(t *testing.T) {
	b := brokertest.Start(t)
	slow, other := dial(t, b), dial(t, b)
	other.call(kmsg.NewPtrApiVersionsRequest())
	slow.conn.Write(slow.frame(largeMetadataRequest())[:1000])
	eventually(t, func() bool { requests, _ := b.Broker().Waiting(); return requests == 1 })
	b.Broker().Sweep(time.Minute)
	other.call(kmsg.NewPtrApiVersionsRequest())
	if requests, _ := b.Broker().SlowClosed(); requests != 0 {
		t.Fatal("closed within the minute")
	}
	b.Broker().Sweep(time.Minute + 3*time.Second)
	if _, _, err := slow.receive(); err == nil {
		t.Fatal("it was answered")
	}
	if requests, answers := b.Broker().SlowClosed(); requests != 1 || answers != 0 {
		t.Errorf("counted %d and %d", requests, answers)
	}
	other.call(kmsg.NewPtrApiVersionsRequest())
}

func TestARequestMayComeAsSlowlyAsTheSettingSays(t *testing.T) {
	b := brokertest.Start(t, "barnabas.request.min.bytes.per.second=0")
	w := dial(t, b)
	frame := w.frame(largeMetadataRequest())
	w.conn.Write(frame[:1000])
	eventually(t, func() bool { requests, _ := b.Broker().Waiting(); return requests == 1 })
	b.Broker().Sweep(9 * time.Minute)
	w.conn.Write(frame[1000:])
	if _, _, err := w.receive(); err != nil {
		t.Fatal(err)
	}
}

// A byte now and then must not keep a connection alive for ever.
func TestPartsOfARequestAreNoSignOfLife(t *testing.T) {
	b := brokertest.Start(t, "connections.max.idle.ms=1000")
	w := dial(t, b)
	w.call(kmsg.NewPtrApiVersionsRequest())
	frame := w.frame(largeMetadataRequest())
	ended := make(chan error, 1)
	go func() {
		_, _, err := w.receive()
		ended <- err
	}()
	for i := 0; ; i++ {
		select {
		case err := <-ended:
			if err == nil {
				t.Fatal("it was answered")
			}
			return
		case <-time.After(200 * time.Millisecond): // a client that sends a byte that often
			if i == 100 {
				t.Fatal("it lives on")
			}
			w.conn.Write(frame[i : i+1])
		}
	}
}

func TestAClientThatTakesNoAnswerIsClosed(t *testing.T) {
	b := brokertest.Start(t, "connections.max.idle.ms=-1")
	other := dial(t, b)
	makeTopic(other, "unread")
	batch := recordsOf(t, 1000)
	for range 20 {
		other.call(produceOf("unread", 1, batch))
	}
	other.conn.Close() // its last answer may seem to be under way still when minutes are skipped
	eventually(t, func() bool { return b.Broker().Connections() == 0 })
	w := dial(t, b)
	// More than the socket takes.
	for range 200 {
		if _, err := w.conn.Write(w.frame(fetchOf("unread", 0, 10<<20))); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { _, answers := b.Broker().Waiting(); return answers == 1 })
	b.Broker().Sweep(9 * time.Minute)
	if _, answers := b.Broker().SlowClosed(); answers != 0 {
		t.Fatal("closed too early")
	}
	b.Broker().Sweep(11 * time.Minute)
	if _, answers := b.Broker().SlowClosed(); answers != 1 {
		t.Fatal("it is still there")
	}
	eventually(t, func() bool { _, err := w.conn.Write([]byte{0}); return err != nil })
	dial(t, b).call(kmsg.NewPtrApiVersionsRequest())
}
