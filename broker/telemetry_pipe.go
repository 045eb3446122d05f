package broker

import (
	"encoding/binary"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
)

// telemetryPipe is telemetryFile for what is no regular file: a pipe may have a reader
// that stalls, and nothing is to wait for it but a goroutine that does nothing else.
// Metrics that come while too much is queued are refused.
type telemetryPipe struct {
	// Constant.
	file  *os.File
	queue chan []byte
	stop  chan struct{} // closed: write what is queued, and end
	ended chan struct{} // closed by the writer

	queued  atomic.Int64          // bytes in queue and with the writer
	failure atomic.Pointer[error] // of the last write, until somebody is told
}

const (
	// telemetryQueue and telemetryQueueBytes bound what waits for the reader; one payload
	// is always let in.
	telemetryQueue      = 1024
	telemetryQueueBytes = 4 << 20
	// telemetryDrain is how long the reader has at the end for what is queued.
	telemetryDrain = time.Second
)

var errTelemetryStalled = errors.New("the reader of barnabas.telemetry.receiver does not keep up")

func newTelemetryPipe(file *os.File) *telemetryPipe {
	r := &telemetryPipe{file: file, queue: make(chan []byte, telemetryQueue), stop: make(chan struct{}), ended: make(chan struct{})}
	go r.writeAll()
	return r
}

func (r *telemetryPipe) receive(_ protocol.UUID, _ clientAttributes, _ bool, metrics []byte) error {
	if err := r.failure.Swap(nil); err != nil {
		return *err
	}
	message := binary.AppendUvarint(make([]byte, 0, len(metrics)+binary.MaxVarintLen64), uint64(len(metrics)))
	message = append(message, metrics...)
	size := int64(len(message))
	if queued := r.queued.Add(size); queued > telemetryQueueBytes && queued > size {
		r.queued.Add(-size)
		return errTelemetryStalled
	}
	select {
	case r.queue <- message:
		return nil
	default:
		r.queued.Add(-size)
		return errTelemetryStalled
	}
}

func (r *telemetryPipe) writeAll() {
	defer close(r.ended)
	for {
		select {
		case message := <-r.queue:
			r.write(message)
		case <-r.stop:
			for {
				select {
				case message := <-r.queue:
					r.write(message)
				default:
					return
				}
			}
		}
	}
}

func (r *telemetryPipe) write(message []byte) {
	if _, err := r.file.Write(message); err != nil {
		r.failure.Store(&err)
	}
	r.queued.Add(-int64(len(message)))
}

// close gives the reader a moment for what is queued. A write to something that has no
// deadlines, a terminal, may outlive it.
func (r *telemetryPipe) close() {
	r.file.SetWriteDeadline(time.Now().Add(telemetryDrain))
	close(r.stop)
	select {
	case <-r.ended:
	case <-time.After(2 * telemetryDrain):
	}
	r.file.Close()
}
