package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Sink takes lines. It may be called by any number of goroutines.
type Sink interface {
	// Write keeps one line, which has no line end and is the caller's again afterwards.
	Write(line []byte) error
	Close() error
}

// Options of a Log. The zero value writes nowhere.
type Options struct {
	Sinks []Sink
	// FailClosed makes Record return an error when a sink fails; the caller must then not
	// do what it wanted to record. Otherwise a failure is only logged and counted.
	FailClosed bool
	Node       int32
	Every      time.Duration    // between two refusals that are alike; 10 s
	Now        func() time.Time // time.Now
	Logger     *slog.Logger     // discards
}

// Log writes events to sinks.
type Log struct {
	opts    Options
	repeats Repeats
	failing Repeats // so that a full disk is not complained of for every event

	written, lost atomic.Int64
}

// New returns a Log.
func New(opts Options) *Log {
	if opts.Every == 0 {
		opts.Every = 10 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{opts: opts, repeats: Repeats{Every: opts.Every, Most: 4096}, failing: Repeats{Every: opts.Every, Most: 1}}
}

// Enabled says whether there is anywhere to write to.
func (l *Log) Enabled() bool { return l != nil && len(l.opts.Sinks) > 0 }

// FailClosed says whether what cannot be recorded must not be done.
func (l *Log) FailClosed() bool { return l.Enabled() && l.opts.FailClosed }

// Record writes the event to every sink. Refusals and failed authentications that repeat
// are written once in a while, and of those of one address that differ in their reason the
// first few. The error is one of a sink, and only where the log fails
// closed.
func (l *Log) Record(e Event) error {
	if !l.Enabled() {
		return nil
	}
	e.Time, e.Node = l.opts.Now(), l.opts.Node
	if e.Kind == Authorization || e.Kind == Authentication && e.Outcome == Failed {
		// The reason of a failed authentication names the user that was tried.
		skipped, ok := l.repeats.SayVariant(fmt.Sprintf("%s %s %s %s %s %s %s", e.Kind, e.Principal, e.Peer, e.API, e.Operation, e.Resource, e.Mechanism), e.Reason, e.Time)
		if !ok {
			return nil
		}
		e.Repeated = skipped
	}
	err := l.write(&e)
	if err == nil {
		l.written.Add(1)
		return nil
	}
	l.lost.Add(1)
	if skipped, ok := l.failing.Say("write", e.Time); ok {
		l.opts.Logger.Error("cannot write an audit event", "kind", string(e.Kind), "principal", e.Principal, "repeated", skipped, "err", err)
	}
	if l.opts.FailClosed {
		return fmt.Errorf("write an audit event: %w", err)
	}
	return nil
}

// lineMaxBytes is how long a line may be that could be several: a topic takes no record above
// its max.message.bytes, and what a request names must be on record however much it is.
const lineMaxBytes = 256 << 10

// write writes the event as one line to every sink, or as several with a part of its changes
// each.
func (l *Log) write(e *Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if n := len(e.Changes); len(line) > lineMaxBytes && n > 1 {
		first, second := *e, *e
		first.Changes, second.Changes, second.Repeated = e.Changes[:n/2], e.Changes[n/2:], 0
		return errors.Join(l.write(&first), l.write(&second))
	}
	for _, s := range l.opts.Sinks {
		err = errors.Join(err, s.Write(line))
	}
	return err
}

// Counts returns how many events were written, and how many were lost to at least one sink.
func (l *Log) Counts() (written, lost int64) {
	if l == nil {
		return 0, 0
	}
	return l.written.Load(), l.lost.Load()
}

// Close closes the sinks.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, s := range l.opts.Sinks {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
