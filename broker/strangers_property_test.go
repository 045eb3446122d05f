package broker_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	strangersSeed  = flag.Uint64("strangers.seed", 1, "seed of the first stranger's bytes")
	strangersCount = flag.Uint64("strangers.count", 300, "how many strangers there are at each listener")
)

// hidden is a part of the names of what there is on the broker. No stranger says it, so
// none may be told it.
const hidden = "hidden"

// said is what a stranger sends: whole requests of every API and version, handshakes,
// wrong tokens, garbage, and lies about lengths, in any order. The right password is in
// none.
type said struct {
	r     *rand.Rand
	bytes []byte
	whole map[int32]kmsg.Request // by correlation id
	ids   int32
	// spoiled says that bytes were changed, so that whole cannot be relied upon.
	spoiled bool
}

func say(r *rand.Rand) *said {
	s := &said{r: r, whole: map[int32]kmsg.Request{}, ids: r.Int32N(1 << 20)}
	if r.IntN(2) == 0 { // as honest clients begin
		s.request(kmsg.NewPtrApiVersionsRequest(), int16(r.IntN(5)))
	}
	if r.IntN(2) == 0 {
		s.handshake([]string{"PLAIN", "SCRAM-SHA-256"}[r.IntN(2)], int16(r.IntN(2)))
	}
	for range 1 + r.IntN(6) {
		switch r.IntN(9) {
		case 0, 1, 2:
			if req := kmsg.RequestForKey(int16(r.IntN(93))); req != nil {
				s.fill(reflect.ValueOf(req).Elem(), 0)
				s.request(req, int16(r.IntN(int(req.MaxVersion())+1)))
			}
		case 3:
			s.handshake([]string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "", "plain"}[r.IntN(6)], int16(r.IntN(3)))
		case 4:
			token := s.token()
			if r.IntN(3) == 0 {
				s.sized(token) // as after a handshake of version 0
				continue
			}
			req := kmsg.NewPtrSASLAuthenticateRequest()
			req.SASLAuthBytes = token
			s.request(req, int16(r.IntN(3)))
		case 5:
			s.request(kmsg.NewPtrApiVersionsRequest(), int16(r.IntN(6)))
		case 6:
			s.sized(s.random(300))
		case 7:
			s.bytes = append(s.bytes, s.random(40)...)
			s.spoiled = true
		case 8:
			s.sized(append([]byte{0, byte(r.IntN(93)), 0, byte(r.IntN(19))}, s.random(100)...))
		}
	}
	if r.IntN(4) == 0 && len(s.bytes) > 0 {
		s.bytes = s.bytes[:r.IntN(len(s.bytes))]
	}
	if r.IntN(3) == 0 && len(s.bytes) > 0 {
		s.spoiled = true
		for range 1 + r.IntN(3) {
			s.bytes[r.IntN(len(s.bytes))] ^= 1 << r.IntN(8)
		}
	}
	return s
}

func (s *said) random(n int) []byte {
	b := make([]byte, s.r.IntN(n))
	for i := range b {
		b[i] = byte(s.r.Uint32())
	}
	return b
}

func (s *said) sized(b []byte) {
	s.bytes = append(binary.BigEndian.AppendUint32(s.bytes, uint32(len(b))), b...)
}

func (s *said) request(req kmsg.Request, version int16) {
	s.ids++
	s.whole[s.ids] = req
	req.SetVersion(min(version, req.MaxVersion()))
	h := protocol.RequestHeader{Key: req.Key(), Version: version, CorrelationID: s.ids, ClientID: []byte("x")}
	s.sized(req.AppendTo(protocol.AppendRequestHeader(nil, &h)))
}

func (s *said) handshake(mechanism string, version int16) {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	s.request(req, version)
}

func (s *said) token() []byte {
	switch s.r.IntN(6) {
	case 0:
		return []byte("\x00alice\x00wrong")
	case 1:
		return []byte("alice\x00bob\x00nothing")
	case 2:
		return []byte("n,,n=alice,r=abc")
	case 3:
		return nil
	case 4:
		return s.random(5000)
	}
	return s.random(60)
}

// fill makes a request that asks for something.
func (s *said) fill(v reflect.Value, depth int) {
	if f := v.Addr().MethodByName("Default"); f.IsValid() {
		f.Call(nil)
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "Version" && v.Type().Field(i).IsExported() {
			s.value(v.Field(i), depth)
		}
	}
}

func (s *said) value(v reflect.Value, depth int) {
	words := []string{"", "t", "alice", "User:ANONYMOUS", "127.0.0.1", "*", "PLAIN", "retention.ms"}
	switch v.Kind() {
	case reflect.String:
		v.SetString(words[s.r.IntN(len(words))])
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt([]int64{-1, 0, 1, 2, 3, 100}[s.r.IntN(6)])
	case reflect.Bool:
		v.SetBool(s.r.IntN(2) == 0)
	case reflect.Pointer:
		if s.r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			s.value(v.Elem(), depth)
		}
	case reflect.Struct:
		if v.CanAddr() && v.Type().Name() != "Tags" {
			s.fill(v, depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(s.random(80))
			return
		}
		if depth > 4 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, 2))
		for range s.r.IntN(3) {
			e := reflect.New(v.Type().Elem()).Elem()
			s.value(e, depth+1)
			v.Set(reflect.Append(v, e))
		}
	}
}

// sendTo sends in pieces.
func (s *said) sendTo(conn net.Conn) {
	rest := s.bytes
	for len(rest) > 0 {
		n := len(rest)
		switch s.r.IntN(3) {
		case 0:
			n = 1
		case 1:
			n = 1 + s.r.IntN(len(rest))
		}
		if _, err := conn.Write(rest[:n]); err != nil {
			return
		}
		rest = rest[n:]
	}
}

// check says what is wrong with what came back.
func (s *said) check(answers []byte) error {
	if bytes.Contains(answers, []byte(hidden)) {
		return errors.New("a stranger was told a name")
	}
	handshakes, raw := false, false
	for len(answers) > 0 {
		if len(answers) < 4 {
			return fmt.Errorf("half an answer: % x", answers)
		}
		size := int(binary.BigEndian.Uint32(answers))
		if size < 0 || size > len(answers)-4 {
			return fmt.Errorf("half an answer: % x", answers)
		}
		answer := answers[4 : 4+size]
		answers = answers[4+size:]
		if s.spoiled || raw {
			continue // whose answer it is cannot be told; the broker's counts tell what it was not
		}
		if size < 4 {
			raw = true // a bare token
			continue
		}
		req, ok := s.whole[int32(binary.BigEndian.Uint32(answer))]
		key := int16(-1)
		if ok {
			key = req.Key()
		}
		switch {
		case !ok:
			raw = true
		case key == protocol.KeySASLHandshake:
			handshakes = true
		case key == protocol.KeyAPIVersions, key == protocol.KeySASLAuthenticate:
		case !handshakes:
			return fmt.Errorf("%s was answered before a handshake: % x", protocol.APIName(key), answer)
		case len(answers) > 0:
			return fmt.Errorf("%s was answered, and more after it: % x", protocol.APIName(key), answer)
		case len(answer) > 40 && !bytes.Contains(answer, []byte{0, byte(protocol.ErrIllegalSASLState)}) && !namesNoPartition(req, answer):
			return fmt.Errorf("%s was answered with something else than a refusal: % x", protocol.APIName(key), answer)
		}
	}
	return nil
}

// namesNoPartition says whether answer is one to a request whose topics come without
// partitions, which are where its form has the codes.
func namesNoPartition(req kmsg.Request, answer []byte) bool {
	resp, body := req.ResponseKind(), answer[4:]
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() {
		body = body[1:]
	}
	if resp.ReadFrom(bytes.Clone(body)) != nil {
		return false
	}
	topics := reflect.ValueOf(resp).Elem().FieldByName("Topics")
	if !topics.IsValid() || topics.Kind() != reflect.Slice || topics.Len() == 0 {
		return false
	}
	for i := range topics.Len() {
		partitions := topics.Index(i).FieldByName("Partitions")
		if !partitions.IsValid() || partitions.Len() > 0 || topics.Index(i).FieldByName("ErrorCode").IsValid() {
			return false
		}
	}
	return true
}

// spoiler changes a byte of what is written through it, or of what comes after it.
type spoiler struct {
	net.Conn
	at int
}

func (s *spoiler) Write(b []byte) (int, error) {
	if s.at >= 0 && s.at < len(b) {
		b = bytes.Clone(b)
		b[s.at] ^= 0x41
	}
	s.at -= len(b)
	return s.Conn.Write(b)
}

func TestNoRequestIsServedBeforeAuthentication(t *testing.T) {
	f := newTLSFiles(t)
	insecure := &tls.Config{InsecureSkipVerify: true}
	stranger := newTLSFiles(t).client(t, "alice") // of another authority
	stranger.InsecureSkipVerify = true
	for name, tt := range map[string]struct {
		options []string
		tls     []*tls.Config // what strangers may begin with; nil is without
	}{
		"SASL_PLAINTEXT":      {options: saslOptions("SASL_PLAINTEXT")},
		"with sessions":       {options: saslOptions("SASL_PLAINTEXT", "connections.max.reauth.ms=1000", "barnabas.su.enable=true")},
		"SASL_SSL":            {options: append(saslOptions("SASL_SSL"), f.options()...), tls: []*tls.Config{nil, insecure, insecure, stranger}},
		"SASL_SSL or without": {options: append(saslOptions("SASL_SSL", "barnabas.tls.optional.enable=true"), f.options()...), tls: []*tls.Config{nil, insecure}},
		"SSL":                 {options: sslOptions(f, "required"), tls: []*tls.Config{nil, insecure, stranger}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := brokertest.Start(t, append(tt.options, "barnabas.max.unauthenticated.connections.per.ip=100000")...)
			made, err := b.Broker().Store().CreateTopics(t.Context(), metadata.CreateTopics{Topics: []metadata.NewTopic{
				{Name: hidden, Partitions: 1, ReplicationFactor: 1}, {Name: "t", Partitions: 1, ReplicationFactor: 1}}})
			if err != nil || made[0].Err != nil {
				t.Fatal(err, made)
			}
			version := b.Broker().Store().Image().Version()
			for seed := *strangersSeed; seed < *strangersSeed+*strangersCount; seed++ {
				r := rand.New(rand.NewPCG(seed, 0))
				s := say(r)
				conn, err := net.Dial("tcp", b.Address())
				if err != nil {
					t.Fatal(err)
				}
				conn.SetDeadline(time.Now().Add(time.Minute))
				end, over := conn.(*net.TCPConn).CloseWrite, conn
				broken := false // what comes back is the rest of a handshake
				if len(tt.tls) > 0 {
					if config := tt.tls[r.IntN(len(tt.tls))]; config != nil {
						under := &spoiler{conn, -1}
						if r.IntN(3) == 0 {
							under.at = r.IntN(1500)
						}
						encrypted := tls.Client(under, config)
						broken = true
						if encrypted.Handshake() == nil {
							end = func() error { encrypted.CloseWrite(); return conn.(*net.TCPConn).CloseWrite() }
							over, broken = encrypted, false
						}
					}
				}
				s.sendTo(over)
				end()
				answers, err := io.ReadAll(over)
				conn.Close()
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("-strangers.seed %d: the connection stays open; sent % x", seed, s.bytes)
				}
				if broken {
					s.spoiled, answers = true, nil
				}
				if over == conn && len(tt.tls) > 0 && name != "SASL_SSL or without" {
					if len(answers) > 0 && answers[0] != 21 { // alerts alone
						t.Fatalf("-strangers.seed %d: answered % x without TLS", seed, answers)
					}
					answers = nil
				}
				if name == "SSL" && len(answers) > 0 {
					t.Fatalf("-strangers.seed %d: answered % x without a certificate", seed, answers)
				}
				if err := s.check(answers); err != nil {
					t.Fatalf("-strangers.seed %d: %v; sent % x", seed, err, s.bytes)
				}
				for key := int16(0); key < 128; key++ {
					switch key {
					case protocol.KeyAPIVersions, protocol.KeySASLHandshake, protocol.KeySASLAuthenticate:
						if name != "SSL" {
							continue
						}
					}
					if b.Broker().RequestsOf(key) > 0 {
						t.Fatalf("-strangers.seed %d: %s was served to a stranger; sent % x", seed, protocol.APIName(key), s.bytes)
					}
				}
			}
			if now := b.Broker().Store().Image().Version(); now != version {
				t.Fatalf("strangers have changed the metadata, from -strangers.seed %d on: version %d, was %d", *strangersSeed, now, version)
			}
		})
	}
}
