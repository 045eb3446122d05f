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
