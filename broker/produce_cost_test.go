package broker_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/log"
)

// BenchmarkProduceAlone is what a Produce request costs in the broker itself: requests come
// from memory, answers go nowhere, and what is appended is not written. pipeline is how many
// requests one read brings.
func BenchmarkProduceAlone(b *testing.B) {
	for _, pipeline := range []int{1, 5} {
		for _, records := range []int{1, 16} {
			value := 1000
			if records == 1 {
				value = 100
			}
			b.Run(fmt.Sprintf("records=%d/pipeline=%d", records, pipeline), func(b *testing.B) {
				broker := startOn(b, discardingFS{log.OS{}})
				conn, err := net.Dial("tcp", broker.Addresses()["PLAINTEXT"])
				if err != nil {
					b.Fatal(err)
				}
				defer conn.Close()
				createByMetadata(b, conn, "bench")
				frame := produceFrame(b, "bench", records, value)
				source := &requestSource{left: b.N}
				for range pipeline {
					source.frames = append(source.frames, frame...)
				}
				source.frame = len(frame)
				b.ReportAllocs()
				b.ResetTimer()
				broker.ServeConn(source)
				b.StopTimer()
				if source.answers != b.N {
					b.Fatalf("%d answers to %d requests", source.answers, b.N)
				}
			})
		}
	}
}

// requestSource is a connection over which left requests come. It counts the answers
// without an error.
type requestSource struct {
	net.Conn
	frames  []byte // of one pipeline
	frame   int    // bytes of one of them
	at      int    // place in frames
	left    int
	answers int
}

func (s *requestSource) Read(p []byte) (int, error) {
	if s.at == len(s.frames) {
		s.at = 0
	}
	rest := s.frames[s.at:]
	if most := s.left*s.frame - s.at%s.frame; len(rest) > most {
		rest = rest[:most]
	}
	if len(rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, rest)
	s.left -= (s.at+n)/s.frame - s.at/s.frame
	s.at += n
	return n, nil
}

func (s *requestSource) Write(p []byte) (int, error) {
	for at := 0; at < len(p); at += 4 + int(binary.BigEndian.Uint32(p[at:])) {
		code := 4 + 4 + 1 + 1 + 1 + len("bench") + 1 + 4
		if p[at+code] == 0 && p[at+code+1] == 0 {
			s.answers++
		}
	}
	return len(p), nil
}

func (s *requestSource) Close() error { return nil }
func (s *requestSource) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
}
func (s *requestSource) LocalAddr() net.Addr              { return s.RemoteAddr() }
func (s *requestSource) SetDeadline(time.Time) error      { return nil }
func (s *requestSource) SetReadDeadline(time.Time) error  { return nil }
func (s *requestSource) SetWriteDeadline(time.Time) error { return nil }

// discardingFS forgets what is written to segments.
type discardingFS struct{ log.FS }

func (d discardingFS) OpenFile(name string, flag int, perm fs.FileMode) (log.File, error) {
	f, err := d.FS.OpenFile(name, flag, perm)
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return discardingFile{f}, nil
}

type discardingFile struct{ log.File }

func (f discardingFile) WriteAt(p []byte, at int64) (int, error) { return len(p), nil }
