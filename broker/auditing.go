package broker

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// openAudit opens the sinks that the configuration names.
func (b *Broker) openAudit(ctx context.Context, c config.Audit) error {
	var sinks []audit.Sink
	if c.LogFile != "" {
		f, err := audit.OpenFile(c.LogFile)
		if err != nil {
			return fmt.Errorf("barnabas.audit.log.file: %w", err)
		}
		sinks = append(sinks, f)
	}
	if c.Topic != "" {
		if err := b.ensureTopic(ctx, c.Topic); err != nil {
			return fmt.Errorf("barnabas.audit.topic: %w", err)
		}
		sinks = append(sinks, &auditTopic{b: b, topic: c.Topic})
	}
	b.audit = audit.New(audit.Options{Sinks: sinks, FailClosed: c.FailClosed, Node: b.opts.NodeID, Logger: b.logger})
	return nil
}

// auditTopic is a sink that appends to the partition of a topic that this broker leads.
type auditTopic struct {
	b     *Broker
	topic string
}

// Write appends the line as a record without a key.
func (s *auditTopic) Write(line []byte) error {
	topic := s.b.store.Image().Topic(s.topic)
	if topic == nil {
		return fmt.Errorf("there is no topic %s", s.topic)
	}
	for n, p := range topic.Partitions {
		if p.Leader != s.b.opts.NodeID {
			continue
		}
		partition := s.b.replicas.Get(s.topic, int32(n))
		if partition == nil {
			continue
		}
		var w protocol.BatchBuilder
		w.Reset(nil, protocol.BatchOptions{})
		if err := w.Append(time.Now().UnixMilli(), nil, line); err != nil {
			return err
		}
		batch, err := w.Finish()
		if err != nil {
			return err
		}
		_, err = partition.Append(batch, 1, log.AppendOptions{LeaderEpoch: -1, RequestVersion: 13, Origin: log.OriginCoordinator})
		return err
	}
	return fmt.Errorf("this broker leads no partition of %s", s.topic)
}

// Close does nothing: the topic is the broker's.
func (s *auditTopic) Close() error { return nil }

// event is what all events of a request have in common.
func (r *request) event(kind audit.Kind, outcome audit.Outcome) audit.Event {
	return audit.Event{Kind: kind, Outcome: outcome, Principal: r.session.principal.String(), Peer: acl.HostText(r.session.host),
		Listener: r.conn.listener.name, Connection: r.conn.id, ClientID: r.clientID, API: r.apiName(), Version: r.version,
		CorrelationID: r.corrID}
}

// auditRefusal records that the request was refused.
func (b *Broker) auditRefusal(r *request, a *acl.Action, d acl.Decision) {
	if !b.audit.Enabled() {
		return
	}
	e := r.event(audit.Authorization, audit.Denied)
	e.Operation, e.Resource, e.Rule, e.Grant, e.DryRun = a.Operation.Name(), a.Resource.String(), d.Rule(), a.GrantCommand(d), d.DryRun
	b.audit.Record(e)
}

// administrative are the APIs whose requests change the cluster.
var administrative = map[int16]bool{
	protocol.KeyCreateTopics: true, protocol.KeyDeleteTopics: true, protocol.KeyDeleteRecords: true, protocol.KeyCreateACLs: true,
	protocol.KeyDeleteACLs: true, protocol.KeyAlterConfigs: true, protocol.KeyAlterReplicaLogDirs: true, protocol.KeyCreatePartitions: true,
	protocol.KeyDeleteGroups: true, protocol.KeyElectLeaders: true, protocol.KeyIncrementalAlterConfigs: true,
	protocol.KeyAlterPartitionReassignments: true, protocol.KeyOffsetDelete: true, protocol.KeyAlterClientQuotas: true,
	protocol.KeyAlterUserSCRAMCredentials: true, protocol.KeyUpdateFeatures: true, protocol.KeyCreateDelegationToken: true,
	protocol.KeyRenewDelegationToken: true, protocol.KeyExpireDelegationToken: true, protocol.KeyUnregisterBroker: true,
}

// auditBegin records an administrative request before it is carried out, where nothing may
// be done that is not recorded.
func (b *Broker) auditBegin(r *request) error {
	if !b.audit.FailClosed() || !administrative[r.key] {
		return nil
	}
	e := r.event(audit.Administration, audit.Begun)
	e.Changes = changesOf(r.msg)
	return b.audit.Record(e)
}

// auditCreation records topics that a request makes on the way, which its API is not for.
func (b *Broker) auditCreation(r *request, outcome audit.Outcome, names []string) error {
	if !b.audit.Enabled() || len(names) == 0 {
		return nil
	}
	e := r.event(audit.Administration, outcome)
	for _, name := range names {
		e.Changes = append(e.Changes, audit.Change{Resource: "Topic:" + name, What: "create on demand"})
	}
	return b.audit.Record(e)
}

// auditEnd records what became of an administrative request.
func (b *Broker) auditEnd(r *request, resp kmsg.Response) {
	if !b.audit.Enabled() || !administrative[r.key] {
		return
	}
	e := r.event(audit.Administration, audit.Succeeded)
	e.Changes = changesOf(r.msg)
	codes := map[protocol.ErrorCode]int{}
	parts := countCodes(reflect.ValueOf(resp), codes)
	denied := codes[protocol.ErrTopicAuthorizationFailed] + codes[protocol.ErrGroupAuthorizationFailed] + codes[protocol.ErrClusterAuthorizationFailed] +
		codes[protocol.ErrDelegationTokenAuthorizationFailed]
	if parts > 0 && parts == denied {
		return // each refusal is on record, and one that repeats does not fill the disk
	}
	if failed := parts - codes[protocol.None]; failed > 0 {
		e.Outcome = audit.Failed
		e.Reason = fmt.Sprintf("%d of %d parts failed", failed, parts)
		for code := protocol.ErrorCode(-1); code < 200; code++ {
			if codes[code] > 0 && code != protocol.None {
				e.Reason += fmt.Sprintf(", %d with %s", codes[code], code.Error())
			}
		}
	}
	b.audit.Record(e)
}

// countCodes counts the error codes anywhere in an answer.
func countCodes(v reflect.Value, codes map[protocol.ErrorCode]int) (parts int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			parts = countCodes(v.Elem(), codes)
		}
	case reflect.Slice:
		for i := range v.Len() {
			parts += countCodes(v.Index(i), codes)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "ErrorCode" {
				codes[protocol.ErrorCode(v.Field(i).Int())]++
				parts++
				continue
			}
			parts += countCodes(v.Field(i), codes)
		}
	}
	return parts
}

const redacted = "[redacted]"

// changesOf says what an administrative request names. It takes from the request what it
// lists and nothing else, so that no secret gets into an event: of credentials the user and
// the mechanism, of settings the value only where the key is known not to hold a secret.
func changesOf(msg kmsg.Request) []audit.Change {
	var changes []audit.Change
	add := func(resource, what string) { changes = append(changes, audit.Change{Resource: resource, What: what}) }
	switch req := msg.(type) {
	case *kmsg.CreateTopicsRequest:
		for _, t := range req.Topics {
			add("Topic:"+t.Topic, "create, partitions="+strconv.Itoa(int(t.NumPartitions)))
			for _, c := range t.Configs {
				add("Topic:"+t.Topic, "set "+settingText(kmsg.ConfigResourceTypeTopic, c.Name, c.Value))
			}
		}
	case *kmsg.DeleteTopicsRequest:
		for _, t := range topicsToDelete(req) {
			name := deref(t.Topic)
			if t.Topic == nil {
				name = protocol.UUID(t.TopicID).String()
			}
			add("Topic:"+name, "delete")
		}
	case *kmsg.CreatePartitionsRequest:
		for _, t := range req.Topics {
			add("Topic:"+t.Topic, "partitions="+strconv.Itoa(int(t.Count)))
		}
	case *kmsg.DeleteRecordsRequest:
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				add(fmt.Sprintf("Topic:%s-%d", t.Topic, p.Partition), fmt.Sprintf("delete records before offset %d", p.Offset))
			}
		}
	case *kmsg.AlterConfigsRequest:
		for _, res := range req.Resources {
			add(fmt.Sprintf("%v:%s", res.ResourceType, res.ResourceName), "replace settings")
			for _, c := range res.Configs {
				add(fmt.Sprintf("%v:%s", res.ResourceType, res.ResourceName), "set "+settingText(res.ResourceType, c.Name, c.Value))
			}
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		for _, res := range req.Resources {
			for _, c := range res.Configs {
				add(fmt.Sprintf("%v:%s", res.ResourceType, res.ResourceName), fmt.Sprintf("%v %s", c.Op, settingText(res.ResourceType, c.Name, c.Value)))
			}
		}
	case *kmsg.CreateACLsRequest:
		for i := range req.Creations {
			c := &req.Creations[i]
			add(fmt.Sprintf("%v:%v:%s", c.ResourceType, c.ResourcePatternType, c.ResourceName),
				fmt.Sprintf("create ACL: %v %s %v from %s", c.PermissionType, c.Principal, c.Operation, c.Host))
		}
	case *kmsg.DeleteACLsRequest:
		for i := range req.Filters {
			f := &req.Filters[i]
			add(fmt.Sprintf("%v:%v:%s", f.ResourceType, f.ResourcePatternType, orAny(f.ResourceName)),
				fmt.Sprintf("delete ACLs: %v %s %v from %s", f.PermissionType, orAny(f.Principal), f.Operation, orAny(f.Host)))
		}
	case *kmsg.AlterUserSCRAMCredentialsRequest:
		for _, d := range req.Deletions {
			add("User:"+d.Name, fmt.Sprintf("delete SCRAM credential of mechanism %d", d.Mechanism))
		}
		for _, u := range req.Upsertions {
			add("User:"+u.Name, fmt.Sprintf("set SCRAM credential of mechanism %d, iterations=%d", u.Mechanism, u.Iterations))
		}
	case *kmsg.CreateDelegationTokenRequest:
		owner := "oneself"
		if name := deref(req.OwnerPrincipalName); name != "" {
			owner = deref(req.OwnerPrincipalType) + ":" + name
		}
		add("DelegationToken", fmt.Sprintf("create for %s, max.lifetime.ms=%d", owner, req.MaxLifetimeMillis))
	case *kmsg.RenewDelegationTokenRequest: // which one, its HMAC says, which is a secret
		add("DelegationToken", fmt.Sprintf("renew for %d ms", req.RenewTimeMillis))
	case *kmsg.ExpireDelegationTokenRequest:
		add("DelegationToken", fmt.Sprintf("expire in %d ms", req.ExpiryPeriodMillis))
	case *kmsg.AlterClientQuotasRequest:
		for _, e := range req.Entries {
			var parts []string
			for _, part := range e.Entity {
				name := "<default>"
				if part.Name != nil {
					name = *part.Name
				}
				parts = append(parts, part.Type+"="+name)
			}
			entity := strings.Join(parts, ",")
			for _, op := range e.Ops {
				what := fmt.Sprintf("%s=%v", op.Key, op.Value)
				if op.Remove {
					what = "remove " + op.Key
				}
				add("Quota:"+entity, what)
			}
		}
	case *kmsg.DeleteGroupsRequest:
		for _, g := range req.Groups {
			add("Group:"+g, "delete")
		}
	case *kmsg.OffsetDeleteRequest:
		for _, t := range req.Topics {
			add("Group:"+req.Group, "delete offsets of "+t.Topic)
		}
	case *kmsg.UpdateFeaturesRequest:
		for _, f := range req.FeatureUpdates {
			add("Feature:"+f.Feature, "level="+strconv.Itoa(int(f.MaxVersionLevel)))
		}
	case *kmsg.AlterPartitionAssignmentsRequest:
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				add(fmt.Sprintf("Topic:%s-%d", t.Topic, p.Partition), fmt.Sprintf("reassign to %v", p.Replicas))
			}
		}
	case *kmsg.ElectLeadersRequest:
		for _, t := range req.Topics {
			for _, p := range t.Partitions {
				add(fmt.Sprintf("Topic:%s-%d", t.Topic, p), fmt.Sprintf("elect leader, type %d", req.ElectionType))
			}
		}
	}
	return changes
}

func orAny(s *string) string {
	if s == nil {
		return "*any*"
	}
	return *s
}

// settingText is key=value, without the value where it could be a secret.
func settingText(t kmsg.ConfigResourceType, name string, value *string) string {
	scope := config.ScopeTopic
	if t != kmsg.ConfigResourceTypeTopic {
		scope = config.ScopeBroker
	}
	for _, k := range config.Keys(scope) {
		if k.Name == name && !k.Sensitive() {
			return name + "=" + deref(value)
		}
	}
	return name + "=" + redacted
}
