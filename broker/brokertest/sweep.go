package brokertest

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SweepRequest is a request that names something in every field that can: what the sweep
// tests ask of every API as principals of all sorts.
func SweepRequest(key, version int16, name string) kmsg.Request {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	fillNames(reflect.ValueOf(req).Elem(), name)
	switch r := req.(type) {
	case *kmsg.ProduceRequest:
		r.TransactionID, r.Acks = nil, -1
	case *kmsg.FetchRequest:
		r.ReplicaID, r.ReplicaState.ID, r.SessionEpoch, r.ForgottenTopics = -1, -1, -1, nil
		if version >= 13 {
			// Topics come by id there, and an unknown id is told before any check.
			r.Version = 12
		}
	case *kmsg.MetadataRequest:
		for i := range r.Topics {
			r.Topics[i].TopicID = [16]byte{}
		}
	case *kmsg.InitProducerIDRequest:
		r.TransactionalID = nil
	case *kmsg.DescribeConfigsRequest:
		r.Resources[0].ResourceType = kmsg.ConfigResourceTypeTopic
	case *kmsg.AlterConfigsRequest:
		r.Resources[0].ResourceType = kmsg.ConfigResourceTypeTopic
	case *kmsg.IncrementalAlterConfigsRequest:
		r.Resources[0].ResourceType = kmsg.ConfigResourceTypeTopic
	case *kmsg.DescribeTopicPartitionsRequest:
		r.Cursor = nil
	case *kmsg.DescribeClientQuotasRequest:
		r.Components = nil
	case *kmsg.DescribeACLsRequest:
		r.ResourceType, r.ResourcePatternType, r.Operation, r.PermissionType = 1, 1, 1, 1
	case *kmsg.CreateACLsRequest:
		c := &r.Creations[0]
		c.ResourceType, c.ResourcePatternType, c.Operation, c.PermissionType = 2, 3, 3, 3
	case *kmsg.DeleteACLsRequest:
		f := &r.Filters[0]
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType = 1, 1, 1, 1
	case *kmsg.ApiVersionsRequest:
		r.ClientSoftwareName, r.ClientSoftwareVersion = "sweep", "1"
	}
	if p, ok := req.(*kmsg.ProduceRequest); ok && version >= 13 {
		p.Version = 12
	}
	return req
}

// fillNames puts name into every string and one item into every list.
func fillNames(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i).Name
			if field != "Version" && field != "UnknownTags" && field != "MemberID" && field != "InstanceID" {
				fillNames(v.Field(i), name)
			}
		}
	case reflect.String:
		v.SetString(name)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillNames(v.Elem(), name)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte{})
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if d, ok := v.Index(0).Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		fillNames(v.Index(0), name)
	}
}
