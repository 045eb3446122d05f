package replay

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Conn is one connection that asks and waits. For the questions around a load, not for
// the load itself.
type Conn struct {
	net.Conn
}

// Dial connects to a broker.
func Dial(addr string, patience time.Duration) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// DialTLS is Dial over TLS, or Dial if there is no configuration.
func DialTLS(addr string, config *tls.Config, patience time.Duration) (*Conn, error) {
	c, err := Dial(addr, patience)
	if err != nil || config == nil {
		return c, err
	}
	c.SetDeadline(time.Now().Add(patience))
	t := tls.Client(c.Conn, config)
	if err := t.Handshake(); err != nil {
		c.Close()
		return nil, err
	}
	t.SetDeadline(time.Time{})
	return &Conn{t}, nil
}

// Ask sends a request at the version it holds and reads the answer to it.
func (c *Conn) Ask(request kmsg.Request, patience time.Duration) (kmsg.Response, error) {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(frame(request)); err != nil {
		return nil, err
	}
	answer, err := readFrame(c)
	if err != nil {
		return nil, err
	}
	return decode(request, answer)
}

// frame encodes a request as it goes over the wire, with its length in front.
func frame(request kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("replay")).AppendRequest(nil, request, 7)
}

func readFrame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<30 {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// decode takes an answer apart, without its length.
func decode(request kmsg.Request, answer []byte) (kmsg.Response, error) {
	header := 4
	if request.IsFlexible() && request.Key() != 18 { // ApiVersions answers with the old header
		header = 5
	}
	if len(answer) < header {
		return nil, fmt.Errorf("an answer of %d bytes", len(answer))
	}
	response := request.ResponseKind()
	return response, response.ReadFrom(answer[header:])
}

// CreateTopic creates a topic, and returns when it was answered. Configs may be nil.
func (c *Conn) CreateTopic(name string, partitions int32, configs map[string]string, patience time.Duration) error {
	r := kmsg.NewPtrCreateTopicsRequest()
	r.Version = 5
	r.TimeoutMillis = int32(patience.Milliseconds())
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	for key, value := range configs {
		t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: key, Value: &value})
	}
	r.Topics = append(r.Topics, t)
	answer, err := c.Ask(r, patience)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("create topic %s: %w", name, err)
		}
	}
	return nil
}

// DeleteTopic deletes a topic.
func (c *Conn) DeleteTopic(name string, patience time.Duration) error {
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.Version = 4
	r.TimeoutMillis = int32(patience.Milliseconds())
	r.TopicNames = []string{name}
	answer, err := c.Ask(r, patience)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.DeleteTopicsResponse).Topics {
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
	}
	return nil
}

// Led returns how many partitions of a topic have a leader. It creates the topic if the
// broker does that.
func (c *Conn) Led(name string, patience time.Duration) (int, error) {
	r := kmsg.NewPtrMetadataRequest()
	r.Version = 9
	r.AllowAutoTopicCreation = true
	r.Topics = []kmsg.MetadataRequestTopic{{Topic: &name}}
	answer, err := c.Ask(r, patience)
	if err != nil {
		return 0, err
	}
	led := 0
	for _, t := range answer.(*kmsg.MetadataResponse).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 && p.Leader >= 0 {
				led++
			}
		}
	}
	return led, nil
}

// WaitLed waits until a topic has so many partitions with a leader.
func (c *Conn) WaitLed(name string, partitions int, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		led, err := c.Led(name, patience)
		if err != nil {
			return err
		}
		if led >= partitions {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %v %d of %d partitions of %s have a leader", patience, led, partitions, name)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// ProduceOnce sends one batch to a partition and returns the code of the answer as an error.
func (c *Conn) ProduceOnce(topic string, partition int32, batch []byte, patience time.Duration) error {
	answer, err := c.Ask(produceRequest(topic, partition, batch, -1), patience)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			return kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return fmt.Errorf("an answer without the partition")
}

// EndOffsets returns the log end offset of each partition of a topic.
func (c *Conn) EndOffsets(topic string, partitions int, patience time.Duration) ([]int64, error) {
	r := kmsg.NewPtrListOffsetsRequest()
	r.Version = 5
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = topic
	for i := range partitions {
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.Timestamp = int32(i), -1
		t.Partitions = append(t.Partitions, p)
	}
	r.Topics = append(r.Topics, t)
	answer, err := c.Ask(r, patience)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, partitions)
	for _, t := range answer.(*kmsg.ListOffsetsResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, err
			}
			if int(p.Partition) < partitions {
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}

// produceRequest is a Produce of version 9, the first flexible one, which every broker
// since 2.5 knows.
func produceRequest(topic string, partition int32, batch []byte, acks int16) *kmsg.ProduceRequest {
	r := kmsg.NewPtrProduceRequest()
	r.Version = 9
	r.Acks = acks
	r.TimeoutMillis = 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r
}

// markOf finds where in an encoded message a value stands, by encoding it twice.
func markOf(encode func(value uint64) []byte) int {
	a, b := encode(0), encode(0xa5a5a5a5a5a5a5a5)
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	panic("replay: the value is not in the message")
}
