package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordJSON is a record as consume -o json writes it, one per line, and produce --json
// reads it. Bytes that are not UTF-8 stand in base64, and the encoding field says so.
type recordJSON struct {
	Topic         string       `json:"topic,omitempty"`
	Partition     *int32       `json:"partition,omitempty"`
	Offset        *int64       `json:"offset,omitempty"`
	Timestamp     *int64       `json:"timestamp,omitempty"` // milliseconds since 1970
	TimestampType string       `json:"timestampType,omitempty"`
	Key           *string      `json:"key"`
	KeyEncoding   string       `json:"keyEncoding,omitempty"`
	Value         *string      `json:"value"`
	ValueEncoding string       `json:"valueEncoding,omitempty"`
	Headers       []headerJSON `json:"headers,omitempty"`
}

type headerJSON struct {
	Key      string  `json:"key"`
	Value    *string `json:"value"`
	Encoding string  `json:"encoding,omitempty"`
}

const base64Encoding = "base64"

func encodeBytes(b []byte) (text *string, encoding string) {
	if b == nil {
		return nil, ""
	}
	if utf8.Valid(b) {
		s := string(b)
		return &s, ""
	}
	s := base64.StdEncoding.EncodeToString(b)
	return &s, base64Encoding
}

func decodeBytes(text *string, encoding string) ([]byte, error) {
	switch {
	case text == nil:
		return nil, nil
	case encoding == "":
		return []byte(*text), nil
	case encoding == base64Encoding:
		return base64.StdEncoding.DecodeString(*text)
	}
	return nil, fmt.Errorf("the encoding %q is not base64", encoding)
}

// newRecordJSON describes a consumed record.
func newRecordJSON(r *kgo.Record) recordJSON {
	ms := r.Timestamp.UnixMilli()
	out := recordJSON{Topic: r.Topic, Partition: &r.Partition, Offset: &r.Offset, Timestamp: &ms}
	switch r.Attrs.TimestampType() {
	case 0:
		out.TimestampType = "CreateTime"
	case 1:
		out.TimestampType = "LogAppendTime"
	}
	out.Key, out.KeyEncoding = encodeBytes(r.Key)
	out.Value, out.ValueEncoding = encodeBytes(r.Value)
	for _, h := range r.Headers {
		header := headerJSON{Key: h.Key}
		header.Value, header.Encoding = encodeBytes(h.Value)
		out.Headers = append(out.Headers, header)
	}
	return out
}

// record makes a record to produce; topic and offset are left out, the partition counts
// only for a producer that sets partitions itself.
func (j *recordJSON) record() (*kgo.Record, error) {
	r := &kgo.Record{}
	if j.Timestamp != nil {
		r.Timestamp = time.UnixMilli(*j.Timestamp)
	}
	if j.Partition != nil {
		r.Partition = *j.Partition
	}
	var err, err2 error
	r.Key, err = decodeBytes(j.Key, j.KeyEncoding)
	r.Value, err2 = decodeBytes(j.Value, j.ValueEncoding)
	err = errors.Join(err, err2)
	for _, h := range j.Headers {
		value, err2 := decodeBytes(h.Value, h.Encoding)
		err = errors.Join(err, err2)
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: value})
	}
	return r, err
}

// decodeJSON decodes one JSON value and refuses fields that it does not know.
func decodeJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something after the JSON value")
	}
	return nil
}
