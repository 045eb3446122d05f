package broker

import (
	"time"

	"github.com/barnabas-broker/barnabas/broker/exposition"
	"github.com/barnabas-broker/barnabas/broker/quota"
)

// throttledMost is how many clients are named among those who wait: the metric must not
// grow with what clients call themselves.
const throttledMost = 20

func (b *Broker) writeSecurity(w *exposition.Writer, detailed bool) {
	w.Counter("barnabas_broker_authorizations_refused_total", "Authorizations refused, those that a dry run let pass included.")
	w.Int(b.metrics.refusedAuthorizations.Load())
	w.Counter("barnabas_broker_authentications_total", "Authentications that succeeded, by certificate or by SASL, and repeated ones.")
	w.Int(b.metrics.authenticated.Load())
	w.Counter("barnabas_broker_authentications_failed_total", "Authentications that failed.")
	w.Int(b.metrics.unauthenticated.Load())
	w.Counter("barnabas_broker_sessions_expired_total", "Connections closed because their session had run out.")
	w.Int(b.metrics.expired.Load())
	w.Gauge("barnabas_broker_unauthenticated_connections", "Connections of listeners with TLS or SASL that have not proved who they are.")
	w.Int(int64(b.unproved.count()))
	w.Gauge("barnabas_broker_unauthenticated_bytes", "Memory held for what such connections have sent.")
	w.Int(b.unproved.memory.Load())
	w.Counter("barnabas_broker_unauthenticated_refused_total", "Connections closed as they came, because their address has too many such.")
	w.Int(b.unproved.refused.Load())
	w.Counter("barnabas_broker_unauthenticated_shed_total", "Such connections closed to make room for others.")
	w.Int(b.unproved.shed.Load())
	acls := 0
	if b.acls != nil {
		acls = b.acls.Snapshot().Len()
	}
	w.Gauge("barnabas_acl_bindings", "ACLs in force.")
	w.Int(int64(acls))
	written, lost := b.audit.Counts()
	w.Counter("barnabas_audit_events_total", "Events that were written to the audit record.")
	w.Int(written)
	w.Counter("barnabas_audit_events_lost_total", "Events that a sink of the audit record did not take.")
	w.Int(lost)

	b.writeExpiries(w)
	tokens := 0
	for range b.store.Image().DelegationTokens() {
		tokens++
	}
	w.Gauge("barnabas_delegation_tokens", "Delegation tokens that are there, those that have expired and are not removed yet included.")
	w.Int(int64(tokens))

	usages := b.quotas.Usages(time.Now())
	var throttled [quota.Kinds]int64
	var waited [quota.Kinds]time.Duration
	for _, u := range usages {
		throttled[u.Kind] += u.Throttled
		waited[u.Kind] += u.Waited
	}
	w.Counter("barnabas_quota_throttled_total", "Times that a client had to wait for a quota.")
	for k, n := range throttled {
		w.Int(n, "quota", quota.Kind(k).String())
	}
	w.Counter("barnabas_quota_throttle_seconds_total", "How long clients had to wait for a quota.")
	for k, d := range waited {
		w.Float(d.Seconds(), "quota", quota.Kind(k).String())
	}
	if !detailed {
		return
	}
	w.Gauge("barnabas_quota_throttled_client_seconds", "The twenty who had to wait longest, and how long in all.")
	for i, u := range usages {
		if i == throttledMost || u.Waited == 0 {
			break
		}
		w.Float(u.Waited.Seconds(), "quota", u.Kind.String(), "user", u.Entity.User.Name, "client_id", u.Entity.ClientID.Name, "ip", u.Entity.IP.Name)
	}
}

// writeExpiries tells when certificates run out, for an alert some weeks before.
func (b *Broker) writeExpiries(w *exposition.Writer) {
	w.Gauge("barnabas_tls_certificate_expiry_timestamp_seconds", "When the first certificate of a listener's stores runs out, in seconds since 1970, by what it is for: key, chain or trusted.")
	for _, l := range b.listeners {
		if l.security.files == nil {
			continue
		}
		told := map[string]bool{}
		for _, e := range l.security.files.Expiries() { // the first to run out first
			if !told[e.Role] {
				told[e.Role] = true
				w.Int(e.NotAfter.Unix(), "listener", l.name, "role", e.Role)
			}
		}
	}
}
