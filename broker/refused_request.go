package broker

import (
	"encoding/binary"
	"errors"
	"reflect"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusedMemory is what the request of somebody who has proved nothing may take, decoded,
// so that it can be answered in its own form.
const refusedMemory = 64 << 10

var errNoForm = errors.New("the request cannot be decoded, or has a version that is not served")

// refuseInItsForm makes the answer to a request that came where a SASL token had to: the
// one of its own API, as Apache answers it, with v.Code for all that it names. What cannot
// be decoded gets none, and its connection is closed at once.
func (b *Broker) refuseInItsForm(frame []byte, v *auth.Verdict) error {
	h := v.Header
	a := b.apis.lookup(h.Key)
	if a == nil || !a.serves(h.Version) || h.BodyPos > len(frame) {
		return errNoForm
	}
	body := frame[h.BodyPos:]
	if _, err := schema.Check(h.Key, h.Version, body, schema.Limits{MemoryBytes: refusedMemory}); err != nil {
		return err
	}
	req := kmsg.RequestForKey(h.Key)
	if req == nil {
		return errNoForm
	}
	req.SetVersion(h.Version)
	if err := req.ReadFrom(append([]byte(nil), body...)); err != nil {
		return err
	}
	if p, ok := req.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		return nil // has no answer
	}
	resp := req.ResponseKind()
	resp.SetVersion(h.Version)
	refusalOf(reflect.ValueOf(resp).Elem(), reflect.ValueOf(req).Elem(), v.Code, v.Err.Error())
	if fetch, ok := resp.(*kmsg.FetchResponse); ok && h.Version >= 13 {
		fetch.Topics = nil
	}
	r := &request{key: h.Key, version: h.Version, corrID: h.CorrelationID}
	r.encoded = resp.AppendTo(r.beginResponse(resp.IsFlexible()))
	binary.BigEndian.PutUint32(r.encoded, uint32(len(r.encoded)-4))
	v.Answer = r.encoded
	return nil
}

// named are the fields by which an answer says what it is about.
var named = map[string]bool{"Topic": true, "TopicID": true, "Name": true, "Partition": true, "Group": true, "ResourceType": true, "ResourceName": true,
	"SessionID": true, "Type": true, "TransactionalID": true, "ProducerID": true, "Feature": true, "User": true}

// refusalOf fills in an answer, or a part of one, from the same part of the request: the
// code, the message, and for everything that the request lists an entry by the same name.
func refusalOf(resp, req reflect.Value, code protocol.ErrorCode, message string) {
	if f := resp.Addr().MethodByName("Default"); f.IsValid() {
		f.Call(nil)
	}
	for i := range resp.NumField() {
		name, out := resp.Type().Field(i).Name, resp.Field(i)
		switch {
		case name == "ErrorCode":
			out.SetInt(int64(code))
			continue
		case name == "ErrorMessage" && out.Type() == reflect.TypeFor[*string]():
			out.Set(reflect.ValueOf(&message))
			continue
		}
		in := req.FieldByName(name)
		if !in.IsValid() {
			continue
		}
		switch {
		case out.Kind() == reflect.Slice && out.Type().Elem().Kind() == reflect.Struct && in.Kind() == reflect.Slice:
			out.Set(reflect.MakeSlice(out.Type(), in.Len(), in.Len()))
			for n := range in.Len() {
				if in.Index(n).Kind() == reflect.Struct {
					refusalOf(out.Index(n), in.Index(n), code, message)
				} else {
					refusalOfOne(out.Index(n), in.Index(n), code, message)
				}
			}
		case !named[name]:
		case out.Type() == in.Type():
			out.Set(in)
		case out.Kind() == reflect.Pointer && out.Type().Elem() == in.Type():
			p := reflect.New(in.Type())
			p.Elem().Set(in)
			out.Set(p)
		case in.Kind() == reflect.Pointer && in.Type().Elem() == out.Type() && !in.IsNil():
			out.Set(in.Elem())
		}
	}
}

// refusalOfOne is refusalOf where the request lists bare names or numbers.
func refusalOfOne(resp, req reflect.Value, code protocol.ErrorCode, message string) {
	refusalOf(resp, reflect.ValueOf(struct{}{}), code, message)
	for i := range resp.NumField() {
		if out := resp.Field(i); named[resp.Type().Field(i).Name] && out.Type() == req.Type() {
			out.Set(req)
			return
		}
	}
}
