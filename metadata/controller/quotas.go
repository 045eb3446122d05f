package controller

import (
	"maps"
	"math"
	"net"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// quotaKind is the type of a quota's value.
type quotaKind int

const (
	quotaUnknown quotaKind = iota
	quotaDouble
	quotaLong
	quotaInt
)

func quotaKindOf(ip bool, key string) quotaKind {
	if ip {
		if key == "connection_creation_rate" {
			return quotaInt
		}
		return quotaUnknown
	}
	switch key {
	case "producer_byte_rate", "consumer_byte_rate":
		return quotaLong
	case "request_percentage", "controller_mutation_rate":
		return quotaDouble
	}
	return quotaUnknown
}

// AlterClientQuotas sets and removes quotas; see metadata.Store.
func (c *Controller) AlterClientQuotas(m *metadata.Image, alterations []metadata.QuotaAlteration, validateOnly bool) ([]metadata.Record, []metadata.QuotaResult) {
	var records []metadata.Record
	var results []metadata.QuotaResult
	count, at := map[string]int{}, map[string]int{}
	for _, a := range alterations {
		count[entityText(a.Entity)]++
	}
	// An entity that is named more than once is answered once, and left as it is.
	for _, a := range alterations {
		text := entityText(a.Entity)
		if _, again := at[text]; again {
			continue
		}
		at[text] = len(results)
		result := metadata.QuotaResult{Entity: a.Entity}
		if count[text] > 1 {
			result.Err = protocol.Errorf(protocol.ErrInvalidRequest, "Ignoring duplicate entity %s", text)
		} else if entity, err := quotaEntity(a.Entity); err != nil {
			result.Err = err
		} else {
			var made []metadata.Record
			made, result.Err = alterQuotas(m, entity, &a)
			records = append(records, made...)
		}
		results = append(results, result)
	}
	if validateOnly {
		return nil, results
	}
	return records, results
}

// quotaEntity checks an entity as a client sent it. Of a part that comes twice the last counts.
func quotaEntity(components []metadata.QuotaComponent) (metadata.QuotaEntity, error) {
	var e metadata.QuotaEntity
	for _, part := range components {
		name := metadata.QuotaName{Set: true}
		if part.Name != nil {
			if *part.Name == "" {
				return e, protocol.Errorf(protocol.ErrInvalidRequest, "Empty %s not supported", part.Type)
			}
			name.Name = *part.Name
		}
		switch part.Type {
		case "user":
			e.User = name
		case "client-id":
			e.ClientID = name
		case "ip":
			e.IP = name
		default:
			return e, protocol.Errorf(protocol.ErrInvalidRequest, "Unhandled client quota entity type: %s", part.Type)
		}
	}
	switch {
	case e == metadata.QuotaEntity{}:
		return e, protocol.Errorf(protocol.ErrInvalidRequest, "Invalid empty client quota entity")
	case e.IP.Set && (e.User.Set || e.ClientID.Set):
		return e, protocol.Errorf(protocol.ErrInvalidRequest,
			"Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId")
	case e.IP.Set && e.IP.Name != "" && net.ParseIP(e.IP.Name) == nil:
		// Apache also takes a host name that resolves. A controller that asks the DNS in the
		// middle of a decision is one that can hang.
		return e, protocol.Errorf(protocol.ErrInvalidRequest, "%s is not a valid IP or resolvable host.", e.IP.Name)
	}
	return e, nil
}

func alterQuotas(m *metadata.Image, e metadata.QuotaEntity, a *metadata.QuotaAlteration) ([]metadata.Record, error) {
	current := m.Quotas(e)
	wanted := map[string]metadata.QuotaChange{}
	for _, change := range a.Changes {
		if _, ok := wanted[change.Key]; ok {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Duplicate quota key %s not updating quota for this entity %s",
				change.Key, entityText(a.Entity))
		}
		wanted[change.Key] = change
	}
	var records []metadata.Record
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		change := wanted[key]
		old, set := current[key]
		if change.Remove {
			if set {
				records = append(records, &metadata.QuotaRecord{Entity: e, Key: key, Remove: true})
			}
			continue
		}
		if err := checkQuota(quotaKindOf(e.IP.Set, key), key, change.Value); err != nil {
			return nil, err
		}
		if !set || old != change.Value {
			records = append(records, &metadata.QuotaRecord{Entity: e, Key: key, Value: change.Value})
		}
	}
	return records, nil
}

func checkQuota(kind quotaKind, key string, value float64) error {
	refuse := func(format string) error { return protocol.Errorf(protocol.ErrInvalidRequest, format, key) }
	switch {
	case kind == quotaUnknown:
		return refuse("Invalid configuration key %s")
	case !(value > 0): // NaN too
		return refuse("Quota %s must be greater than 0")
	case kind == quotaDouble:
		return nil
	case kind == quotaInt && value > math.MaxInt32:
		return refuse("Proposed value for %s is too large for an INT.")
	case value > math.MaxInt64:
		return refuse("Proposed value for %s is too large for a LONG.")
	case math.Mod(value, 1) > 1e-6:
		return refuse("%s cannot be a fractional value.")
	}
	return nil
}

// entityText shows an entity as Apache's messages do.
func entityText(components []metadata.QuotaComponent) string {
	var parts []string
	for _, part := range components {
		name := "null"
		if part.Name != nil {
			name = *part.Name
		}
		parts = append(parts, part.Type+"="+name)
	}
	return "ClientQuotaEntity(entries={" + strings.Join(parts, ", ") + "})"
}
