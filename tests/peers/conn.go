package peers

import (
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// connPatience is how long a Conn waits for its broker.
const connPatience = 30 * time.Second

// Conn is one connection on which a test sends its own requests, where a client library
// would do too much. It is for one goroutine.
type Conn struct {
	net.Conn
	clientID      []byte
	correlationID int32
}

// Dial connects to a broker.
func Dial(addr, clientID string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, connPatience)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, clientID: []byte(clientID)}, nil
}

// AppendFrame appends a request as it goes over the wire.
func (c *Conn) AppendFrame(b []byte, req kmsg.Request) []byte {
	c.correlationID++
	at := len(b)
	h := protocol.RequestHeader{Key: req.Key(), Version: req.GetVersion(), CorrelationID: c.correlationID, ClientID: c.clientID}
	b = req.AppendTo(protocol.AppendRequestHeader(append(b, 0, 0, 0, 0), &h))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// Send sends a request and does not wait for its answer.
func (c *Conn) Send(req kmsg.Request) error {
	c.SetWriteDeadline(time.Now().Add(connPatience))
	_, err := c.Write(c.AppendFrame(nil, req))
	return err
}

// Receive reads one answer into resp, whose version has to be one without tagged fields.
func (c *Conn) Receive(resp kmsg.Response) error {
	c.SetReadDeadline(time.Now().Add(connPatience))
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return err
	}
	b := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if len(b) < 4 {
		return io.ErrUnexpectedEOF
	}
	return resp.ReadFrom(b[4:])
}

// Call sends a request of a version without tagged fields and reads its answer.
func (c *Conn) Call(req kmsg.Request, resp kmsg.Response) error {
	if err := c.Send(req); err != nil {
		return err
	}
	resp.SetVersion(req.GetVersion())
	return c.Receive(resp)
}

// ListOffset asks for the offset at a timestamp, or at an end: -2 is the first, -1 one past
// the last.
func (c *Conn) ListOffset(tp protocol.TopicPartition, timestamp int64) (int64, protocol.ErrorCode, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.SetVersion(5)
	req.ReplicaID = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic = tp.Topic
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Partition, p.Timestamp, p.CurrentLeaderEpoch = tp.Partition, timestamp, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrListOffsetsResponse()
	if err := c.Call(req, resp); err != nil {
		return 0, 0, err
	}
	answer := resp.Topics[0].Partitions[0]
	return answer.Offset, protocol.ErrorCode(answer.ErrorCode), nil
}

// Fetch reads batches from an offset on, up to 1 MiB.
func (c *Conn) Fetch(tp protocol.TopicPartition, offset int64) ([]byte, protocol.ErrorCode, error) {
	req := kmsg.NewPtrFetchRequest()
	req.SetVersion(11)
	req.ReplicaID, req.MaxBytes, req.SessionEpoch = -1, 1<<20, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic = tp.Topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes, p.CurrentLeaderEpoch = tp.Partition, offset, 1<<20, -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := kmsg.NewPtrFetchResponse()
	if err := c.Call(req, resp); err != nil {
		return nil, 0, err
	}
	if resp.ErrorCode != 0 {
		return nil, protocol.ErrorCode(resp.ErrorCode), nil
	}
	answer := resp.Topics[0].Partitions[0]
	return answer.RecordBatches, protocol.ErrorCode(answer.ErrorCode), nil
}
