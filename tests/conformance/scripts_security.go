package main

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// upsertion is a SCRAM credential to set.
func upsertion(user string, mechanism int8, iterations int32, salt, password []byte) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
	u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
	u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = user, mechanism, iterations, salt, password
	return u
}

func deletion(user string, mechanism int8) kmsg.AlterUserSCRAMCredentialsRequestDeletion {
	d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
	d.Name, d.Mechanism = user, mechanism
	return d
}

func (t *T) alterSCRAM(changes ...any) {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, c := range changes {
		switch c := c.(type) {
		case kmsg.AlterUserSCRAMCredentialsRequestUpsertion:
			req.Upsertions = append(req.Upsertions, c)
		case kmsg.AlterUserSCRAMCredentialsRequestDeletion:
			req.Deletions = append(req.Deletions, c)
		}
	}
	t.do(req)
}

func (t *T) describeSCRAM(users ...string) {
	t.settle()
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, u := range users {
		ru := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		ru.Name = u
		req.Users = append(req.Users, ru)
	}
	t.do(req)
}

var securityScripts = []script{
	{"scram: set, seen and deleted", 51, 0, 0, func(t *T) {
		user, other := t.name("alice"), t.name("bob")
		salt, password := []byte("some salt that is long"), make([]byte, 32)
		t.describeSCRAM(user)
		t.alterSCRAM(upsertion(user, 1, 4096, salt, password))
		t.describeSCRAM(user)
		t.alterSCRAM(upsertion(user, 2, 8192, salt, make([]byte, 64)), upsertion(other, 1, 16384, salt, password))
		t.describeSCRAM(user, other, t.name("none"))
		t.describeSCRAM(user, user)
		t.alterSCRAM(upsertion(user, 1, 5000, salt, password))
		t.describeSCRAM(user)
		t.alterSCRAM(deletion(user, 1))
		t.describeSCRAM(user)
		t.alterSCRAM(deletion(user, 1))
		t.alterSCRAM(deletion(user, 2), deletion(other, 1))
		t.describeSCRAM(user, other)
		req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		t.onlyOurs(req, "Results", "User")
	}},
	{"scram: what cannot be", 51, 0, 0, func(t *T) {
		user := t.name("alice")
		salt, password := []byte("some salt that is long"), make([]byte, 32)
		for _, iterations := range []int32{4095, 0, -1, 16385, 2147483647} {
			t.alterSCRAM(upsertion(user, 1, iterations, salt, password))
		}
		for _, mechanism := range []int8{0, 3, -1, 127} {
			t.alterSCRAM(upsertion(user, mechanism, 4096, salt, password))
			t.alterSCRAM(deletion(user, mechanism))
		}
		t.alterSCRAM(upsertion("", 1, 4096, salt, password))
		t.alterSCRAM(deletion("", 1))
		t.alterSCRAM(upsertion(user, 1, 4096, nil, password))
		t.alterSCRAM(upsertion(user, 1, 4096, []byte{}, []byte{}))
		t.alterSCRAM()
		t.alterSCRAM(upsertion(user, 1, 4096, salt, password), upsertion(user, 1, 4096, salt, password))
		t.alterSCRAM(upsertion(user, 1, 4096, salt, password), upsertion(user, 2, 4096, salt, password))
		t.alterSCRAM(upsertion(user, 1, 4096, salt, password), deletion(user, 1))
		t.alterSCRAM(deletion(user, 1), deletion(user, 1))
		t.alterSCRAM(upsertion(t.name("good"), 1, 4096, salt, password), upsertion(t.name("bad"), 1, 1, salt, password), deletion(t.name("none"), 1))
		t.describeSCRAM(user, t.name("good"), t.name("bad"), "")
		t.alterSCRAM(deletion(user, 1), deletion(t.name("good"), 1))
	}},
	{"quotas: filters", 48, 0, 0, func(t *T) {
		user, client := t.name("user"), t.name("client")
		set := func(entity []string, key string, value float64) {
			req := kmsg.NewPtrAlterClientQuotasRequest()
			e := kmsg.NewAlterClientQuotasRequestEntry()
			for i := 0; i+1 < len(entity); i += 2 {
				c := kmsg.NewAlterClientQuotasRequestEntryEntity()
				c.Type, c.Name = entity[i], ptr(entity[i+1])
				if entity[i+1] == "" {
					c.Name = nil
				}
				e.Entity = append(e.Entity, c)
			}
			o := kmsg.NewAlterClientQuotasRequestEntryOp()
			o.Key, o.Value = key, value
			e.Ops = append(e.Ops, o)
			req.Entries = append(req.Entries, e)
			t.do(at(1, req))
		}
		set([]string{"user", user}, "producer_byte_rate", 1e9)
		set([]string{"user", user, "client-id", client}, "consumer_byte_rate", 1e9)
		set([]string{"user", user, "client-id", ""}, "request_percentage", 1e6)
		set([]string{"client-id", client}, "producer_byte_rate", 2e9)
		set([]string{"client-id", client}, "controller_mutation_rate", 0.5)
		t.settle()
		ask := func(strict bool, components ...any) {
			req := kmsg.NewPtrDescribeClientQuotasRequest()
			req.Strict = strict
			for i := 0; i+2 < len(components); i += 3 {
				c := kmsg.NewDescribeClientQuotasRequestComponent()
				c.EntityType, c.MatchType = components[i].(string), kmsg.QuotasMatchType(components[i+1].(int))
				if s, ok := components[i+2].(string); ok {
					c.Match = &s
				}
				req.Components = append(req.Components, c)
			}
			t.do(req)
		}
		for _, strict := range []bool{true, false} {
			ask(strict, "user", 0, user)
			ask(strict, "client-id", 0, client)
			ask(strict, "user", 0, user, "client-id", 0, client)
			ask(strict, "user", 0, user, "client-id", 1, nil)
			ask(strict, "user", 0, user, "client-id", 2, nil)
			ask(strict, "client-id", 0, client, "user", 0, user)
			ask(strict, "user", 0, t.name("none"))
			ask(strict, "ip", 0, "10.1.2.3")
			ask(strict, "user", 1, "a name with a default")
			ask(strict, "user", 0, nil)
			ask(strict, "user", 3, user)
			ask(strict, "user", -1, user)
			ask(strict, "", 0, user)
			ask(strict, "client-id", 0, client, "ip", 0, "1.2.3.4")
		}
	}},
	{"quotas: entities that cannot be", 49, 0, 0, func(t *T) {
		user := t.name("user")
		alter := func(key string, value float64, remove bool, entity ...*string) {
			req := kmsg.NewPtrAlterClientQuotasRequest()
			req.ValidateOnly = true
			e := kmsg.NewAlterClientQuotasRequestEntry()
			for i := 0; i+1 < len(entity); i += 2 {
				c := kmsg.NewAlterClientQuotasRequestEntryEntity()
				c.Type, c.Name = *entity[i], entity[i+1]
				e.Entity = append(e.Entity, c)
			}
			o := kmsg.NewAlterClientQuotasRequestEntryOp()
			o.Key, o.Value, o.Remove = key, value, remove
			e.Ops = append(e.Ops, o)
			req.Entries = append(req.Entries, e)
			t.do(req)
		}
		s := func(v string) *string { return &v }
		alter("producer_byte_rate", 1, false, s("user"), s(user), s("user"), s(user))
		alter("producer_byte_rate", 1, false, s(""), s(user))
		alter("producer_byte_rate", 1, false, s("USER"), s(user))
		alter("producer_byte_rate", 1, false, s("ip"), nil)
		alter("connection_creation_rate", 1, false, s("ip"), nil)
		alter("connection_creation_rate", 1, false, s("ip"), s("::1"))
		alter("connection_creation_rate", 1, false, s("ip"), s("1.2.3"))
		alter("connection_creation_rate", 1.5, false, s("ip"), s("1.2.3.4"))
		alter("connection_creation_rate", 1, false, s("user"), s(user))
		for _, v := range []float64{1e300, -1e300, 9223372036854775807, 1e19, 0.001, 1.0000001, 5e-324} {
			alter("producer_byte_rate", v, false, s("user"), s(user))
			alter("request_percentage", v, false, s("user"), s(user))
			alter("controller_mutation_rate", v, false, s("user"), s(user))
		}
		alter("producer_byte_rate", -7, true, s("user"), s(user))
		alter("", 1, false, s("user"), s(user))
		t.do(kmsg.NewPtrAlterClientQuotasRequest())
	}},
	{"initproducerid: many, and all different", 22, 0, 0, func(t *T) {
		t.producerID() // so that the broker has some to give
		for range 5 {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis = 60000
			t.do(req)
		}
		for _, timeout := range []int32{0, -1, -1 << 31, 2147483647} {
			req := kmsg.NewPtrInitProducerIDRequest()
			req.TransactionTimeoutMillis = timeout
			t.do(req)
		}
	}},
}
