package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Of a secured run the brokers have an authorizer and a second listener where one logs in.
// Who comes by the first listener is a super user: that is how scripts prepare and look.

// users is how many users there are beside nobody, who has no ACLs ever: more than scripts
// that run at the same time.
const users = 64

// securedSettings are the keys of server.properties of a secured run.
func securedSettings() map[string]string {
	var jaas strings.Builder
	jaas.WriteString(`org.apache.kafka.common.security.plain.PlainLoginModule required user_nobody="secret" user_root="secret"`)
	for i := range users {
		fmt.Fprintf(&jaas, ` user_u%d="secret"`, i)
	}
	s := settings()
	s["sasl.enabled.mechanisms"] = "PLAIN"
	s["listener.name.sasl_plaintext.plain.sasl.jaas.config"] = jaas.String() + ";"
	s["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
	s["super.users"] = "User:ANONYMOUS;User:root"
	s["max.incremental.fetch.session.cache.slots"] = "2"
	return s
}

// as returns a connection of that name on which a user has logged in.
func (t *T) as(name, user string) *Conn {
	if c := t.conns[name]; c != nil {
		return c
	}
	raw, err := dial(t.target.saslAddr)
	if err != nil {
		t.fail("connect: %v", err)
	}
	c := &Conn{t: t, name: name, raw: raw, clientID: "conformance"}
	t.conns[name] = c
	t.quiet(func() {
		handshake := kmsg.NewPtrSASLHandshakeRequest()
		handshake.Mechanism = "PLAIN"
		token := kmsg.NewPtrSASLAuthenticateRequest()
		token.SASLAuthBytes = []byte("\x00" + user + "\x00secret")
		c.do(at(1, handshake))
		if a := c.do(at(2, token)); a.int("ErrorCode") != 0 {
			t.fail("log in as %s: %s", user, a.str("ErrorMessage"))
		}
	})
	return c
}

// user is the name of a user whose ACLs no other script of this time changes. It begins
// without any.
func (t *T) user() string {
	var n int
	for _, d := range t.prefix[len(t.prefix)-5 : len(t.prefix)-1] {
		n = 10*n + int(d-'0')
	}
	user := fmt.Sprintf("u%d", n%users)
	t.quiet(func() {
		req := kmsg.NewPtrDeleteACLsRequest()
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType, f.Principal = 1, 1, 1, 1, ptr("User:"+user)
		req.Filters = append(req.Filters, f)
		t.on("setup").do(at(3, req))
	})
	t.settle()
	return user
}

// need is an authorization: Kafka's numbers of an operation and of a kind of resource.
type need struct{ operation, resource int8 }

// Kafka's numbers.
const (
	opAll, opRead, opWrite, opCreate, opDelete, opAlter, opDescribe = 2, 3, 4, 5, 6, 7, 8
	opClusterAction, opDescribeConfigs, opAlterConfigs              = 9, 10, 11
	opIdempotentWrite                                               = 12

	onTopic, onGroup, onCluster, onTransactionalID = 2, 3, 4, 5
)

// resourceName is what a need is about, when everything of a script has one name.
func (n need) resourceName(name string) string {
	if n.resource == onCluster {
		return "kafka-cluster"
	}
	return name
}

// grant adds an ACL for a user as a preparation.
func (t *T) grant(user, name string, deny bool, needs ...need) {
	t.quiet(func() {
		req := kmsg.NewPtrCreateACLsRequest()
		for _, n := range needs {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = kmsg.ACLResourceType(n.resource), n.resourceName(name), 3
			c.Principal, c.Host, c.Operation, c.PermissionType = "User:"+user, "*", kmsg.ACLOperation(n.operation), 3
			if deny {
				c.PermissionType = 2
			}
			req.Creations = append(req.Creations, c)
		}
		if a := t.on("setup").do(at(3, req)); a.int("Results[0].ErrorCode") != 0 {
			t.fail("grant: error %d", a.int("Results[0].ErrorCode"))
		}
	})
	t.settle()
}

// revoke takes all ACLs of a user back.
func (t *T) revoke(user string) {
	t.quiet(func() {
		req := kmsg.NewPtrDeleteACLsRequest()
		f := kmsg.NewDeleteACLsRequestFilter()
		f.ResourceType, f.ResourcePatternType, f.Operation, f.PermissionType, f.Principal = 1, 1, 1, 1, ptr("User:"+user)
		req.Filters = append(req.Filters, f)
		t.on("setup").do(at(3, req))
	})
	t.settle()
}

// state is what a super user sees of everything that has a name: topic, group, settings,
// offsets, ACLs of others, quotas, passwords.
func (t *T) state(name string) string {
	var b strings.Builder
	t.quiet(func() {
		c := t.on("setup")
		see := func(req kmsg.Request) {
			if a := c.do(req); a.Tree != nil {
				b.WriteString(wire.Text(a.Tree))
			}
		}
		see(at(12, metadataOf(name)))
		see(at(7, listOffsets(name, 0, -1)))
		see(at(7, listOffsets(name, 0, -2)))
		see(at(4, describeConfigs(2, name)))
		see(at(4, describeGroups(name)))
		see(at(7, offsetFetch(name, name, [16]byte{}, 0)))
		see(at(0, describeProducers(name, 0)))
		acls := kmsg.NewPtrDescribeACLsRequest()
		acls.ResourceType, acls.ResourcePatternType, acls.Operation, acls.PermissionType = 1, 1, 1, 1
		acls.ResourceName = &name
		see(at(3, acls))
		quotas := kmsg.NewPtrDescribeClientQuotasRequest()
		q := kmsg.NewDescribeClientQuotasRequestComponent()
		q.EntityType, q.Match = "user", &name
		quotas.Components = append(quotas.Components, q)
		see(at(1, quotas))
		scram := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = name
		scram.Users = append(scram.Users, u)
		see(at(0, scram))
	})
	return b.String()
}

// ensure makes what requests of a sweep ask for: a topic with a record, and offsets of a
// group, all of one name.
func (t *T) ensure(name string) (id [16]byte) {
	t.quiet(func() {
		c := t.on("setup")
		if c.do(at(12, metadataOf(name))).int("Topics[0].ErrorCode") != 0 {
			c.do(at(7, createTopic(name, 1, 1)))
		}
		id = t.awaitTopic(name, 1)
		if c.do(at(7, listOffsets(name, 0, -1))).int("Topics[0].Partitions[0].Offset") < 2 {
			t.fill(name, 0, records("a", "b", "c"))
		}
		t.offsetsTopic()
		for range 100 {
			if c.do(at(7, offsetCommit(name, "", -1, name, id, 0, 1))).int("Topics[0].Partitions[0].ErrorCode") != 14 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return id
}

// plainToken is what PLAIN sends behind a size, without a request around it.
func plainToken(user string) []byte {
	token := []byte("\x00" + user + "\x00secret")
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
}
