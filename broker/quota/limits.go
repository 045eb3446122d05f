package quota

import (
	"iter"
	"net/netip"

	"github.com/barnabas-broker/barnabas/metadata"
)

// Kind is what is limited.
type Kind uint8

// The kinds of quota.
const (
	Produce            Kind = iota // bytes of produce requests per second
	Fetch                          // bytes of fetch responses per second
	Request                        // percent of one thread's time
	ControllerMutation             // partitions created or deleted per second
	ConnectionCreation             // connections per second, of one address

	kindCount
)

// Kinds is how many kinds there are.
const Kinds = int(kindCount)

// keys are the names of the quotas on the wire and in the metadata.
var keys = [kindCount]string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate",
	"connection_creation_rate"}

// String is Kafka's name of the quota.
func (k Kind) String() string { return keys[k] }

// Limits are the quotas in force.
type Limits struct {
	byKind [kindCount]map[metadata.QuotaEntity]float64
}

// NewLimits returns the limits of the metadata's quotas.
func NewLimits(quotas iter.Seq2[metadata.QuotaEntity, map[string]float64]) *Limits {
	l := &Limits{}
	for entity, values := range quotas {
		if ip, err := netip.ParseAddr(entity.IP.Name); err == nil {
			entity.IP.Name = ip.Unmap().String() // Java's tools write 0:0:0:0:0:0:0:1
		}
		for kind, key := range keys {
			value, ok := values[key]
			if !ok || (Kind(kind) == ConnectionCreation) != entity.IP.Set {
				continue
			}
			if l.byKind[kind] == nil {
				l.byKind[kind] = map[metadata.QuotaEntity]float64{}
			}
			l.byKind[kind][entity] = value
		}
	}
	return l
}

// Any says whether there is a quota of the kind at all.
func (l *Limits) Any(kind Kind) bool { return len(l.byKind[kind]) > 0 }

func named(name string) metadata.QuotaName { return metadata.QuotaName{Set: true, Name: name} }

var byDefault = metadata.QuotaName{Set: true}

// Find returns the bound for a client, the most specific that is set, and who shares it:
// an entry for a user, default or not, is shared by all clients of that user, one for a
// user and a client id is that pair's own.
func (l *Limits) Find(kind Kind, user, clientID string) (bound float64, shared metadata.QuotaEntity, ok bool) {
	of := l.byKind[kind]
	if len(of) == 0 {
		return 0, shared, false
	}
	u, c := named(user), named(clientID)
	for _, try := range [...]struct{ entry, shared metadata.QuotaEntity }{
		{metadata.QuotaEntity{User: u, ClientID: c}, metadata.QuotaEntity{User: u, ClientID: c}},
		{metadata.QuotaEntity{User: u, ClientID: byDefault}, metadata.QuotaEntity{User: u, ClientID: c}},
		{metadata.QuotaEntity{User: u}, metadata.QuotaEntity{User: u}},
		{metadata.QuotaEntity{User: byDefault, ClientID: c}, metadata.QuotaEntity{User: u, ClientID: c}},
		{metadata.QuotaEntity{User: byDefault, ClientID: byDefault}, metadata.QuotaEntity{User: u, ClientID: c}},
		{metadata.QuotaEntity{User: byDefault}, metadata.QuotaEntity{User: u}},
		{metadata.QuotaEntity{ClientID: c}, metadata.QuotaEntity{ClientID: c}},
		{metadata.QuotaEntity{ClientID: byDefault}, metadata.QuotaEntity{ClientID: c}},
	} {
		if clientID == "" && try.entry.ClientID.Set {
			continue // Kafka finds no quota for a client without an id, the default's neither
		}
		if bound, ok := of[try.entry]; ok {
			return bound, try.shared, true
		}
	}
	return 0, shared, false
}

// FindIP returns the bound for an address's connections.
func (l *Limits) FindIP(ip string) (bound float64, ok bool) {
	of := l.byKind[ConnectionCreation]
	if bound, ok = of[metadata.QuotaEntity{IP: named(ip)}]; !ok {
		bound, ok = of[metadata.QuotaEntity{IP: byDefault}]
	}
	return bound, ok
}
