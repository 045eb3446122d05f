package authtest

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Server lets clients in through Gates and answers ApiVersions, Metadata and, emptily, all
// else.
type Server struct {
	Addr string

	options  *auth.GateOptions
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	verdicts []auth.Verdict
	conns    map[net.Conn]bool
}

// Serve starts a server on a free port of the loopback; the test's end stops it.
func Serve(t testing.TB, options *auth.GateOptions) *Server {
	t.Helper()
	if options.Now == nil {
		options.Now = time.Now
	}
	options.APIVersionsMax = 4
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: l.Addr().String(), options: options, listener: l, conns: make(map[net.Conn]bool)}
	s.wg.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// Identities returns who got in so far, in order.
func (s *Server) Identities() []auth.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []auth.Identity
	for _, v := range s.verdicts {
		if v.Authenticated != nil {
			out = append(out, *v.Authenticated)
		}
	}
	return out
}

// Errors returns why connections were refused so far.
func (s *Server) Errors() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []error
	for _, v := range s.verdicts {
		if v.Err != nil {
			out = append(out, v.Err)
		}
	}
	return out
}

func (s *Server) close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() { s.serve(c) })
	}
}

func (s *Server) serve(c net.Conn) {
	defer c.Close()
	address, _ := netip.ParseAddrPort(c.RemoteAddr().String())
	gate := auth.NewGate(s.options, auth.Peer{Listener: "TEST", Address: address.Addr()})
	for {
		frame, v, err := readFrame(c, gate)
		if err != nil {
			return
		}
		if v.Err == nil {
			v = gate.Frame(frame)
		}
		s.mu.Lock()
		s.verdicts = append(s.verdicts, v)
		s.mu.Unlock()
		switch v.Do {
		case auth.Serve, auth.ServeAPIVersions:
			err = s.answer(c, frame)
		default:
			_, err = c.Write(v.Answer)
		}
		if err != nil || v.Do == auth.CloseNow || v.Do == auth.CloseDelayed {
			return
		}
	}
}

func readFrame(c net.Conn, gate *auth.Gate) ([]byte, auth.Verdict, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, auth.Verdict{}, err
	}
	n, limit := int(int32(binary.BigEndian.Uint32(size[:]))), gate.MaxFrameBytes()
	if limit == 0 {
		limit = 1 << 20
	}
	if n < 0 || n > limit {
		return nil, gate.BadFrameSize(n), nil
	}
	frame := make([]byte, n)
	_, err := io.ReadFull(c, frame)
	return frame, auth.Verdict{}, err
}

// answer answers a request as a broker without topics.
func (s *Server) answer(c net.Conn, frame []byte) error {
	h, err := protocol.ParseRequestHeader(frame)
	if err != nil {
		return err
	}
	request := kmsg.RequestForKey(h.Key)
	if request == nil {
		return errors.New("unknown api")
	}
	version := min(h.Version, maxVersion(h.Key))
	if h.Key == protocol.KeyAPIVersions && h.Version > s.options.APIVersionsMax {
		version = 0
	}
	request.SetVersion(version)
	response := request.ResponseKind()
	response.SetVersion(version)
	switch r := response.(type) {
	case *kmsg.ApiVersionsResponse:
		for key := range int16(40) {
			r.ApiKeys = append(r.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: maxVersion(key)})
		}
		if version != h.Version {
			r.ErrorCode = int16(protocol.ErrUnsupportedVersion)
		}
	case *kmsg.MetadataResponse:
		addr := netip.MustParseAddrPort(s.Addr)
		r.Brokers = []kmsg.MetadataResponseBroker{{NodeID: 1, Host: addr.Addr().String(), Port: int32(addr.Port())}}
		r.ControllerID = 1
		cluster := "authtest"
		r.ClusterID = &cluster
	}
	out := protocol.AppendResponseHeader(make([]byte, 4), h.Key, version, h.CorrelationID)
	out = response.AppendTo(out)
	binary.BigEndian.PutUint32(out, uint32(len(out)-4))
	_, err = c.Write(out)
	return err
}

func maxVersion(key int16) int16 {
	switch key {
	case protocol.KeyAPIVersions:
		return 3
	case protocol.KeySASLHandshake:
		return 1
	case protocol.KeySASLAuthenticate:
		return 2
	}
	if r := kmsg.RequestForKey(key); r != nil {
		return min(r.MaxVersion(), 9)
	}
	return 0
}
