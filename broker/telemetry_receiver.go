package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/barnabas-broker/barnabas/protocol"
)

// telemetryFile appends each payload to a file, after its length as a varint: the stream
// form of Protocol Buffers' own libraries (parseDelimitedFrom and kin).
type telemetryFile struct {
	file   telemetryRegular
	size   int64 // up to here the file is whole
	torn   bool  // there is more, which could not be cut off
	buffer []byte
}

// telemetryRegular is what telemetryFile needs of an os.File.
type telemetryRegular interface {
	io.WriteCloser
	Truncate(size int64) error
}

func openTelemetryFile(path string) (telemetryReceiver, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return newTelemetryPipe(file), nil
	}
	return &telemetryFile{file: file, size: info.Size()}, nil
}

func (r *telemetryFile) receive(_ protocol.UUID, _ clientAttributes, _ bool, metrics []byte) error {
	r.buffer = binary.AppendUvarint(r.buffer[:0], uint64(len(metrics)))
	r.buffer = append(r.buffer, metrics...)
	if r.torn {
		if err := r.file.Truncate(r.size); err != nil {
			return err
		}
		r.torn = false
	}
	n, err := r.file.Write(r.buffer)
	if cap(r.buffer) > 64<<10 {
		r.buffer = nil
	}
	if err != nil {
		// Half a message would make the rest of the file unreadable.
		r.torn = r.file.Truncate(r.size) != nil
		return err
	}
	r.size += int64(n)
	return nil
}

func (r *telemetryFile) close() { r.file.Close() }

// telemetryLog writes a line per payload: who, and which metrics.
type telemetryLog struct{ logger *slog.Logger }

// loggedMetrics is how many names of metrics a line shows.
const loggedMetrics = 10

func (r telemetryLog) receive(id protocol.UUID, a clientAttributes, terminating bool, metrics []byte) error {
	var names []string
	count := 0
	err := walkMetricNames(metrics, func(name []byte) {
		if count++; count <= loggedMetrics {
			names = append(names, string(name))
		}
	})
	if err != nil {
		return err
	}
	r.logger.Info("client metrics", "clientInstanceId", id.String(), "clientId", a.clientID,
		"software", a.softwareName+" "+a.softwareVersion, "peer", a.address+":"+a.port, "terminating", terminating,
		"bytes", len(metrics), "metrics", count, "first", names)
	return nil
}

func (r telemetryLog) close() {}

var errNotOTLP = errors.New("not an OTLP MetricsData message")

// walkMetricNames calls fn with the name of each metric of an OTLP MetricsData message:
// resource_metrics (1), scope_metrics (2), metrics (2), name (1).
func walkMetricNames(b []byte, fn func(name []byte)) error {
	return walkFields(b, 1, func(resource []byte) error {
		return walkFields(resource, 2, func(scope []byte) error {
			return walkFields(scope, 2, func(metric []byte) error {
				return walkFields(metric, 1, func(name []byte) error {
					fn(name)
					return nil
				})
			})
		})
	})
}

// walkFields calls fn with the bytes of each length-delimited field of that number in a
// Protocol Buffers message.
func walkFields(b []byte, number uint64, fn func([]byte) error) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errNotOTLP
		}
		b = b[n:]
		size := uint64(0)
		switch tag & 7 {
		case 0:
			_, n := binary.Uvarint(b)
			if n <= 0 {
				return errNotOTLP
			}
			size = uint64(n)
		case 1:
			size = 8
		case 5:
			size = 4
		case 2:
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return errNotOTLP
			}
			b, size = b[n:], length
			if tag>>3 == number {
				if err := fn(b[:length]); err != nil {
					return err
				}
			}
		default:
			return errNotOTLP
		}
		if size > uint64(len(b)) {
			return errNotOTLP
		}
		b = b[size:]
	}
	return nil
}
