package cli

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// quotaEntities are the entity types of kafka-configs that have quotas: what they are called
// on the wire and in what the tool prints.
var quotaEntities = map[string]struct{ wire, shown string }{
	"users": {"user", "user-principal"}, "clients": {"client-id", "client-id"}, "ips": {"ip", "ip"},
}

// quotaTarget is what the flags of kafka-configs name: types, and names as far as they go.
// An empty name is the default.
type quotaTarget struct{ types, names []string }

func (t *quotaTarget) check() error {
	for _, kind := range t.types {
		if _, ok := quotaEntities[kind]; !ok {
			return &usageError{message: "Only users and clients can be named together, not " + kind}
		}
	}
	slice := slices.Clone(t.types)
	slices.Sort(slice)
	if len(slices.Compact(slice)) != len(t.types) || len(t.types) > 1 && slices.Contains(t.types, "ips") {
		return &usageError{message: "Only users and clients can be named together"}
	}
	if len(t.names) > len(t.types) {
		return &usageError{message: "More entity names specified than entity types"}
	}
	return nil
}

// kafkaQuotas is kafka-configs for users, clients and ips.
func (e *env) kafkaQuotas(ctx context.Context, a *admin, t quotaTarget, alter bool, add, del []string) error {
	if !alter {
		return e.kafkaDescribeQuotas(ctx, a, t)
	}
	if len(t.names) != len(t.types) {
		return &usageError{message: "An entity name must be specified for every entity type"}
	}
	pairs, err := keyValues(add)
	if err != nil {
		return err
	}
	if len(pairs)+len(del) == 0 {
		return &usageError{message: "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"}
	}
	isScram := func(key string) bool { return parseScramMechanism(key) != 0 }
	scram := 0
	for _, kv := range pairs {
		if isScram(kv[0]) {
			scram++
		}
	}
	for _, key := range del {
		if isScram(key) {
			scram++
		}
	}
	switch {
	case scram == 0:
		err = a.kafkaAlterQuotas(ctx, t, pairs, del)
	case scram != len(pairs)+len(del):
		err = &usageError{message: "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server."}
	case len(t.types) != 1 || t.types[0] != "users":
		err = &usageError{message: "Only quota configs can be added for 'clients' using --bootstrap-server."}
	case t.names[0] == "":
		err = &usageError{message: "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server."}
	default:
		err = e.kafkaAlterScram(ctx, a, t.names[0], pairs, del)
	}
	if err != nil {
		return err
	}
	if t.names[0] == "" {
		fmt.Fprintf(e.stdout, "Completed updating default config for %s in the cluster.\n", t.types[0])
	} else {
		fmt.Fprintf(e.stdout, "Completed updating config for %s %s.\n", t.types[0][:len(t.types[0])-1], t.names[0])
	}
	return nil
}

var scramText = regexp.MustCompile(`^(?:iterations=(-?[0-9]*),)?password=(.*)$`)

// kafkaAlterScram sets and deletes passwords as kafka-configs writes them:
// SCRAM-SHA-256=[iterations=8192,password=secret].
func (e *env) kafkaAlterScram(ctx context.Context, a *admin, user string, add [][2]string, del []string) error {
	var set []scramUpsertion
	for _, kv := range add {
		m := scramText.FindStringSubmatch(kv[1])
		if m == nil {
			return &usageError{message: "Invalid credential property " + kv[0] + ": it is [iterations=N,password=...]"}
		}
		iterations := scramDefaultIterations
		if m[1] != "" && m[1] != "-1" {
			var err error
			if iterations, err = strconv.Atoi(m[1]); err != nil || iterations < scramMinIterations {
				return &usageError{message: fmt.Sprintf("Iterations %s is less than the minimum %d required for %s", m[1], scramMinIterations, kv[0])}
			}
		}
		set = append(set, scramUpsertion{parseScramMechanism(kv[0]), iterations, m[2]})
	}
	var remove []scramMechanism
	for _, key := range del {
		remove = append(remove, parseScramMechanism(key))
	}
	e.warnOfEavesdroppers()
	return a.setScram(ctx, user, set, remove)
}

func (a *admin) kafkaAlterQuotas(ctx context.Context, t quotaTarget, add [][2]string, del []string) error {
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for i, kind := range t.types {
		part := kmsg.NewAlterClientQuotasRequestEntryEntity()
		part.Type = quotaEntities[kind].wire
		if t.names[i] != "" {
			part.Name = &t.names[i]
		}
		entry.Entity = append(entry.Entity, part)
	}
	for _, kv := range add {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		value, err := strconv.ParseFloat(strings.TrimSpace(kv[1]), 64)
		if err != nil {
			return &usageError{message: fmt.Sprintf("Cannot parse quota configuration value for %s: %s", kv[0], kv[1])}
		}
		op.Key, op.Value = kv[0], value
		entry.Ops = append(entry.Ops, op)
	}
	for _, key := range del {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Remove = key, true
		entry.Ops = append(entry.Ops, op)
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = append(req.Entries, entry)
	resp, err := request[*kmsg.AlterClientQuotasResponse](ctx, a, req)
	if err != nil {
		return failed(err, "cannot change quotas")
	}
	for _, r := range resp.Entries {
		if err := refused(r.ErrorCode, r.ErrorMessage, "cannot change quotas"); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) kafkaDescribeQuotas(ctx context.Context, a *admin, t quotaTarget) error {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for i, kind := range t.types {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.MatchType = quotaEntities[kind].wire, kmsg.QuotasMatchTypeAny
		if i < len(t.names) {
			c.MatchType = kmsg.QuotasMatchTypeDefault
			if t.names[i] != "" {
				c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, &t.names[i]
			}
		}
		req.Components = append(req.Components, c)
	}
	resp, err := request[*kmsg.DescribeClientQuotasResponse](ctx, a, req)
	if err != nil {
		return failed(err, "cannot read quotas")
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage, "cannot read quotas"); err != nil {
		return err
	}
	for _, entry := range resp.Entries {
		fmt.Fprintln(e.stdout, quotaLine(&entry))
	}
	if slices.Contains(t.types, "clients") || slices.Contains(t.types, "ips") || slices.Contains(t.names, "") {
		return nil
	}
	list, err := a.scramUsers(ctx, t.names...)
	if err != nil {
		return err
	}
	for len(list) > 0 {
		n, parts := 0, []string(nil)
		for n < len(list) && list[n].User == list[0].User {
			parts = append(parts, fmt.Sprintf("%s=iterations=%d", list[n].Mechanism, list[n].Iterations))
			n++
		}
		fmt.Fprintf(e.stdout, "SCRAM credential configs for user-principal '%s' are %s\n", list[0].User, strings.Join(parts, ", "))
		list = list[n:]
	}
	return nil
}

// quotaLine is how the tool shows one entity's quotas.
func quotaLine(entry *kmsg.DescribeClientQuotasResponseEntry) string {
	var who, what []string
	for _, kind := range []string{"users", "clients", "ips"} {
		for _, part := range entry.Entity {
			q := quotaEntities[kind]
			switch {
			case part.Type != q.wire:
			case part.Name == nil:
				who = append(who, "the default "+q.shown)
			default:
				who = append(who, q.shown+" '"+*part.Name+"'")
			}
		}
	}
	for _, v := range entry.Values {
		what = append(what, v.Key+"="+javaDouble(v.Value))
	}
	return "Quota configs for " + strings.Join(who, ", ") + " are " + strings.Join(what, ", ")
}

// javaDouble writes a number as Java's Double.toString: 1024.0, 1.0E7.
func javaDouble(v float64) string {
	if abs := math.Abs(v); v != 0 && (abs >= 1e7 || abs < 1e-3) {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'E', -1, 64), "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent)
		return mantissa + "E" + strconv.Itoa(n)
	}
	s := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
