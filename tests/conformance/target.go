package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// target is one running broker that is asked.
type target struct {
	kind peers.Kind
	addr string
	// saslAddr is the listener where one logs in, of a secured run.
	saslAddr string
	ranges   map[int16][2]int16 // versions that it says it serves
}

// newTarget asks a broker what it serves.
func newTarget(kind peers.Kind, addr string) (*target, error) {
	t := &target{kind: kind, addr: addr, ranges: map[int16][2]int16{}}
	c, err := dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.close()
	frame := encodeFrame(schema.Lookup(18), 0, 1, "conformance", nil)
	c.write(frame)
	body, err := c.read(10 * time.Second)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its versions: %w", kind, err)
	}
	answer, err := wire.DecodeResponse(schema.Lookup(18), 0, body[4:])
	if err != nil {
		return nil, err
	}
	for _, k := range answer.Get("ApiKeys").(wire.List) {
		key := k.(*wire.Struct)
		t.ranges[int16(key.Get("ApiKey").(int64))] = [2]int16{int16(key.Get("MinVersion").(int64)), int16(key.Get("MaxVersion").(int64))}
	}
	if kind == peers.Apache43 {
		// It says 0 for the sake of old librdkafka, and closes the connection on 0 to 2.
		t.ranges[0] = [2]int16{3, t.ranges[0][1]}
	}
	return t, nil
}

// isSlow says whether the broker is slow to answer what costs it nothing.
func (t *target) isSlow() bool {
	start := time.Now()
	c, err := dial(t.addr)
	if err != nil {
		return true
	}
	defer c.close()
	c.write(encodeFrame(schema.Lookup(18), 0, 1, "conformance", nil))
	_, err = c.read(10 * time.Second)
	return err != nil || time.Since(start) > 250*time.Millisecond
}

// question is a request whose answer holds an error code.
type question struct {
	key, version int16
	body         *wire.Struct
	path         string
}

// warmUp waits until the broker hands out producer ids and coordinates groups: for the
// first moments Apache answers that it is not ready, and clients try again.
func (t *target) warmUp() error {
	offsetsOf := func(group string) question {
		return question{9, 5, (&wire.Struct{}).Set("GroupId", group).Set("Topics", wire.List{}), "ErrorCode"}
	}
	for _, ask := range []question{
		{22, 1, (&wire.Struct{}).Set("TransactionalId", nil).Set("TransactionTimeoutMs", int64(60000)), "ErrorCode"},
		{10, 1, (&wire.Struct{}).Set("Key", "x"), "ErrorCode"},
		offsetsOf("x0"), offsetsOf("x1"), offsetsOf("x2"), offsetsOf("x3"), offsetsOf("x4"), // five partitions
	} {
		api := schema.Lookup(ask.key)
		for i := 0; ; i++ {
			c, err := dial(t.addr)
			if err != nil {
				return err
			}
			c.write(encodeFrame(api, ask.version, 1, "conformance", wire.AppendRequest(nil, api, ask.version, ask.body)))
			b, err := c.read(10 * time.Second)
			c.close()
			if err != nil {
				return fmt.Errorf("%s: %w", api.Name, err)
			}
			tree, err := wire.DecodeResponse(api, ask.version, b[4:])
			if err != nil {
				return err
			}
			code := wire.At(tree, ask.path)
			if code == int64(0) {
				break
			}
			if i == 300 {
				return fmt.Errorf("%s: error %v", api.Name, code)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

// serves says whether the broker answers a version of an API. Those of client metrics
// are served and not said to be, without a receiver.
func (t *target) serves(key, version int16) bool {
	if (key == 71 || key == 72) && version == 0 {
		return true
	}
	r, ok := t.ranges[key]
	return ok && version >= r[0] && version <= r[1]
}

// encodeFrame writes a request with its size and header.
func encodeFrame(api *schema.API, version int16, correlationID int32, clientID string, body []byte) []byte {
	b := []byte{0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(api.Key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(correlationID))
	headerVersion := api.RequestHeaderVersion(version)
	if headerVersion >= 1 {
		b = binary.BigEndian.AppendUint16(b, uint16(len(clientID)))
		b = append(b, clientID...)
	}
	if headerVersion >= 2 {
		b = append(b, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// rawConn is a connection whose answers a goroutine collects.
type rawConn struct {
	net    net.Conn
	frames chan []byte // closed when the connection ends
	err    error       // why, after frames is closed
}

func dial(addr string) (*rawConn, error) {
	nc, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &rawConn{net: nc, frames: make(chan []byte, 4096)}
	go func() {
		defer close(c.frames)
		for {
			var size [4]byte
			if _, c.err = io.ReadFull(nc, size[:]); c.err != nil {
				return
			}
			n := binary.BigEndian.Uint32(size[:])
			if n > 200<<20 {
				c.err = fmt.Errorf("the answer claims to have %d bytes", n)
				return
			}
			frame := make([]byte, n)
			if _, c.err = io.ReadFull(nc, frame); c.err != nil {
				return
			}
			c.frames <- frame
		}
	}()
	return c, nil
}

func (c *rawConn) write(b []byte) { c.net.Write(b) } // a connection that is closed shows when reading

var errSilent = errors.New("no answer")

// read returns the next answer, errSilent if there is none in time, another error if the
// connection is closed.
func (c *rawConn) read(patience time.Duration) ([]byte, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case frame, ok := <-c.frames:
		if !ok {
			return nil, c.err
		}
		return frame, nil
	case <-timer.C:
		return nil, errSilent
	}
}

func (c *rawConn) close() { c.net.Close() }

func lookup(key int16) *schema.API { return schema.Lookup(key) }
