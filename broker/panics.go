package broker

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/bearer"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A panic on a connection's path ends the connection, and no other, if it happened where
// nothing is that others share: in a decoder, in an authentication, in a handler itself.
// One below that, in a log, a partition, the metadata or a coordinator, may have left
// something half changed or locked, and ends the process: what is on disk is good, what is
// in memory is not. Where it happened is told by the stack, so that paths which do not
// panic pay nothing. docs/decisions/0004-panics.md has the reasons.

// containedIn are the packages in which a panic costs a connection, with those below them.
var containedIn = []string{module + "/broker.", module + "/broker/config.", module + "/protocol", module + "/auth", module + "/acl."}

// sharedTypes are in these packages, and are of all connections: a panic in their methods
// ends the process. TestLocksAreGivenBackByAPanic knows who has to be here.
var sharedTypes = []reflect.Type{
	reflect.TypeFor[admission](), reflect.TypeFor[connectionLimits](), reflect.TypeFor[unproved](), reflect.TypeFor[timers](),
	reflect.TypeFor[fetchSessions](), reflect.TypeFor[fetchSession](), reflect.TypeFor[delegationTokens](), reflect.TypeFor[dirMoves](),
	reflect.TypeFor[deletedNames](), reflect.TypeFor[producerIDs](), reflect.TypeFor[acl.Cache](), reflect.TypeFor[auth.TokenSecrets](),
	reflect.TypeFor[kerberos.Replays](), reflect.TypeFor[bearer.KeySource](),
}

// validation and the way to it hold no lock that is not given back, and have changed
// nothing yet: a panic at records of a client that comes through the first of these costs
// a connection, though the others stand in its stack.
var validation = [...]string{
	method(reflect.TypeFor[log.Log](), "validate"), method(reflect.TypeFor[log.Log](), "validateGroup"),
	method(reflect.TypeFor[log.Log](), "Append"), method(reflect.TypeFor[log.Log](), "AppendGroup"),
	method(reflect.TypeFor[replication.Partition](), "Append"), method(reflect.TypeFor[replication.Partition](), "AppendGroup"),
}

// whole is where what a coordinator does ends and an answer begins.
var whole = method(reflect.TypeFor[request](), "handOver")

// module is the path of this module.
var module = path.Dir(reflect.TypeFor[Broker]().PkgPath())

// method is how the runtime names a method of a pointer to t.
func method(t reflect.Type, name string) string {
	return t.PkgPath() + ".(*" + t.Name() + ")." + name
}

// containReading is deferred by the goroutine that reads the connection.
func (c *conn) containReading() {
	if v := recover(); v != nil {
		c.panicked(v, c.beginning)
		c.stopAuthTimer()
		c.b.telemetry.forget(c.id)
		c.slab.abandon() // who knows who still has it
		c.slab, c.buf = nil, nil
		c.releaseBuffers()
	}
}

// contain is deferred by any other goroutine that works for the connection; r is the
// request it works at, or nil.
func (c *conn) contain(r *request) {
	if v := recover(); v != nil {
		c.panicked(v, r)
	}
}

// handOver runs answer, in which a coordinator answers r in a goroutine that is not r's:
// another request's, an append's or a timer's. The coordinator holds no lock meanwhile and
// is done with what it changed, as is whoever asked it, so a panic in answer costs r's
// connection, whatever stands below it in the stack.
func (r *request) handOver(answer func()) {
	defer r.conn.contain(r)
	answer()
}

// handOverReply hands over an answer that needs no more than to be sent.
func (r *request) handOverReply(resp kmsg.Response) { r.handOver(func() { r.reply(resp) }) }

// panicked ends the connection after a panic, or the process.
func (c *conn) panicked(v any, r *request) {
	stack := panicStack()
	if panicsEnd || c.b.opts.PanicsEnd || stack.shared {
		c.logger().Error("a panic ends this process", "panic", panicText(v, false), "stack", stack.text)
		panic(v)
	}
	c.b.metrics.panics.Add(1)
	logger := c.logger().With("principal", c.session.Load().principal.String())
	c.close()
	found := r != nil && (c.abandon(r) || c.undecoded == r)
	if found {
		logger = logger.With("api", r.apiName(), "version", r.version, "correlationId", r.corrID, "clientId", r.clientID)
	}
	if skipped, ok := c.b.refusals.Say("panic "+stack.at, time.Now()); ok {
		logger.Error("a panic ends this connection", "panic", panicText(v, found && !carriesSecrets[r.key]), "stack", stack.text, "repeated", skipped)
	}
}

// abandon gives up the requests of a closed connection that have no answer yet, and the
// memory they were admitted with. Whoever still comes with an answer is not listened to. It
// reports whether r is one of them: the one that nobody comes for.
func (c *conn) abandon(r *request) (found bool) {
	var admitted int64
	c.mu.Lock()
	defer func() {
		c.mu.Unlock()
		c.b.admitted.release(admitted)
	}()
	for q := c.head; q != nil; q = q.next {
		if q.done {
			continue
		}
		q.done, q.lost = true, true
		admitted += q.admitted
		q.admitted = 0
		if q == r {
			found = true
			r.releaseAttachments()
		}
	}
	c.drainLocked()
	return found
}

// stackOfPanic is where a panic came from.
type stackOfPanic struct {
	at     string // the function that panicked
	text   string // functions, files and lines; no arguments, which may be anybody's secrets
	shared bool   // something that other connections use may be half changed
}

// panicStack looks at the stack of the running panic. It is called below a deferred call.
func panicStack() stackOfPanic {
	pcs := make([]uintptr, 256)
	n := runtime.Callers(1, pcs)
	frames := runtime.CallersFrames(pcs[:n])
	s := stackOfPanic{shared: n == len(pcs)} // cut off: who knows what is below
	var text strings.Builder
	begun, validating, answering := false, false, false
	for {
		f, more := frames.Next()
		switch {
		case !begun:
			begun = f.Function == "runtime.gopanic"
		case strings.HasPrefix(f.Function, "runtime."):
		default:
			if s.at == "" {
				s.at = f.Function
			} else {
				text.WriteString(" < ")
			}
			fmt.Fprintf(&text, "%s %s:%d", f.Function, path.Base(f.File), f.Line)
			validating = validating || f.Function == validation[0]
			s.shared = s.shared || !answering && isShared(f.Function, validating)
			answering = answering || f.Function == whole
		}
		if !more {
			break
		}
	}
	s.text = text.String()
	return s
}

// isShared says whether a function works at what connections share.
func isShared(function string, validating bool) bool {
	if !strings.HasPrefix(function, module+"/") {
		return false
	}
	if validating {
		for _, name := range validation {
			if function == name {
				return false
			}
		}
	}
	for _, t := range sharedTypes {
		if strings.HasPrefix(function, method(t, "")) {
			return true
		}
	}
	for _, prefix := range containedIn {
		if strings.HasPrefix(function, prefix) {
			return false
		}
	}
	return true
}

// carriesSecrets are the APIs whose requests may hold a password, a token or a key.
var carriesSecrets = map[int16]bool{
	protocol.KeySASLHandshake: true, protocol.KeySASLAuthenticate: true, protocol.KeyAlterUserSCRAMCredentials: true,
	protocol.KeyCreateDelegationToken: true, protocol.KeyRenewDelegationToken: true, protocol.KeyExpireDelegationToken: true,
	protocol.KeyDescribeDelegationToken: true, protocol.KeyAlterConfigs: true, protocol.KeyIncrementalAlterConfigs: true,
	protocol.KeyCreateTopics: true, protocol.KeyPushTelemetry: true,
}

// panicText is what a panic says. Others than the runtime may say what a client has sent,
// and so are quoted only where that is no secret.
func panicText(v any, open bool) string {
	var fault runtime.Error
	if err, ok := v.(error); ok && errors.As(err, &fault) {
		return fault.Error()
	}
	if !open {
		return fmt.Sprintf("a %T", v)
	}
	text := fmt.Sprint(v)
	return strconv.Quote(text[:min(len(text), 200)])
}
