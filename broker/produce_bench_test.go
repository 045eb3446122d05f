package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// BenchmarkProduce sends one batch per request over one connection, five requests in
// flight, client and broker in one process.
func BenchmarkProduce(b *testing.B) {
	for _, records := range []int{1, 16, 1000} {
		value := 1000
		if records == 1 {
			value = 100
		}
		b.Run(fmt.Sprintf("records=%d/value=%d", records, value), func(b *testing.B) {
			broker := brokertest.Start(b)
			frame := produceFrame(b, "bench", records, value)
			conn, err := net.Dial("tcp", broker.Address())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			createByMetadata(b, conn, "bench")
			const inFlight = 5
			slots := make(chan struct{}, inFlight)
			failed := make(chan error, 1)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			b.ResetTimer()
			go func() {
				answer := make([]byte, 4<<10)
				for range b.N {
					if _, err := io.ReadFull(conn, answer[:4]); err != nil {
						failed <- err
						return
					}
					n := binary.BigEndian.Uint32(answer)
					if _, err := io.ReadFull(conn, answer[:n]); err != nil {
						failed <- err
						return
					}
					<-slots
				}
				failed <- nil
			}()
			for range b.N {
				slots <- struct{}{}
				if _, err := conn.Write(frame); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-failed; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func produceFrame(b *testing.B, topic string, records, value int) []byte {
	batch := make([]protocol.Record, records)
	for i := range batch {
		batch[i] = protocol.Record{Value: bytes.Repeat([]byte{byte(i)}, value), Timestamp: 1}
	}
	bytes, err := protocol.AppendBatch(nil, protocol.BatchOptions{}, batch...)
	if err != nil {
		b.Fatal(err)
	}
	req := kmsg.NewPtrProduceRequest()
	req.SetVersion(9)
	req.Acks, req.TimeoutMillis = 1, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = bytes
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return requestFrame(req)
}

func requestFrame(req kmsg.Request) []byte {
	h := protocol.RequestHeader{Key: req.Key(), Version: req.GetVersion(), ClientID: []byte("bench")}
	f := req.AppendTo(protocol.AppendRequestHeader(make([]byte, 4), &h))
	binary.BigEndian.PutUint32(f, uint32(len(f)-4))
	return f
}

func createByMetadata(b *testing.B, conn net.Conn, topic string) {
	m := kmsg.NewPtrMetadataRequest()
	m.SetVersion(1)
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	m.Topics = append(m.Topics, t)
	conn.Write(requestFrame(m))
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		b.Fatal(err)
	}
	io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(size[:])))
}
