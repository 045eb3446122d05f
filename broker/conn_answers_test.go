package broker

import (
	"testing"
	"time"
)

// A connection may be given up while its reading goroutine is at a run of produces.
func TestARunIsAnsweredThatNobodyWaitsFor(t *testing.T) {
	b := &Broker{admitted: newAdmission(1000)}
	c := &conn{b: b}
	c.room.L = &c.mu
	r := &request{conn: c, uncounted: true, encoded: make([]byte, 100)}
	if err := c.enqueue(r); err != nil {
		t.Fatal(err)
	}
	c.closed = true
	if c.abandon(nil) || c.head != nil {
		t.Fatal("the request is still there")
	}
	c.completeAll([]*request{r})
	if c.head != nil || c.inFlight != 0 || c.held != 0 {
		t.Errorf("%d requests hold %d bytes", c.inFlight, c.held)
	}
}

// The end of a silence is forgotten, so that later requests do not look at it.
func TestASilenceIsOver(t *testing.T) {
	b := &Broker{admitted: newAdmission(1000), started: time.Now()}
	b.coarseNow.Store(1)
	c := &conn{b: b}
	c.room.L = &c.mu
	c.mute(time.Millisecond)
	if err := c.waitMuted(); err != nil {
		t.Fatal(err)
	}
	if until := c.mutedUntil.Load(); until != 0 {
		t.Errorf("silent until %d", until)
	}
}
