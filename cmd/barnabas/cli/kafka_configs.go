package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafkaEntity is a type of thing with settings, as kafka-configs names it.
type kafkaEntity struct {
	plural string
	kind   kmsg.ConfigResourceType
}

func kafkaEntities() []kafkaEntity {
	return []kafkaEntity{
		{"topics", kmsg.ConfigResourceTypeTopic}, {"brokers", kmsg.ConfigResourceTypeBroker},
		{"broker-loggers", kmsg.ConfigResourceTypeBrokerLogger}, {"client-metrics", kmsg.ConfigResourceTypeClientMetrics},
		{"groups", kmsg.ConfigResourceTypeGroupConfig},
	}
}

func (k kafkaEntity) singular() string { return k.plural[:len(k.plural)-1] }

func runKafkaConfigs(e *env, args []string) error {
	var alter, describe, all, isDefault bool
	var types, entityNames []string
	var add, addFile, del string
	f := e.newToolFlags()
	f.bool(&alter, "alter", 0, "change settings")
	f.bool(&describe, "describe", 0, "show settings")
	f.bool(&all, "all", 0, "show also those that have their default")
	f.strings(&types, "entity-type", 0, "TYPE", "topics, brokers, broker-loggers, client-metrics, groups, users, clients or ips; users and clients together")
	f.strings(&entityNames, "entity-name", 0, "NAME", "which of them")
	f.add("entity-default", 0, "", "the default of all of them", func(string) error { entityNames = append(entityNames, ""); return nil })
	f.string(&add, "add-config", 0, "K=V,K=[V,V]", "settings to change")
	f.string(&addFile, "add-config-file", 0, "FILE", "a properties file of settings to change")
	f.string(&del, "delete-config", 0, "K,K", "settings to take back to their defaults")
	short := func(flag, kind string) {
		f.add(flag, 0, "NAME", "short for --entity-type "+kind+" --entity-name NAME", func(s string) error { types, entityNames = append(types, kind), append(entityNames, s); return nil })
	}
	defaults := func(flag, kind string) {
		f.add(flag, 0, "", "short for --entity-type "+kind+" --entity-default", func(string) error { types, entityNames = append(types, kind), append(entityNames, ""); return nil })
	}
	short("topic", "topics")
	short("broker", "brokers")
	short("client-metrics", "client-metrics")
	short("group", "groups")
	short("user", "users")
	short("client", "clients")
	short("ip", "ips")
	defaults("broker-defaults", "brokers")
	defaults("user-defaults", "users")
	defaults("client-defaults", "clients")
	defaults("ip-defaults", "ips")
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if bools(alter, describe) != 1 {
		return &usageError{message: "Command must include exactly one action: --describe, --alter"}
	}
	if len(types) == 0 {
		return &usageError{message: "At least one entity type must be specified"}
	}
	entityType, name := types[0], ""
	quotas := quotaTarget{types, entityNames}
	if _, ok := quotaEntities[entityType]; ok {
		if err := quotas.check(); err != nil {
			return err
		}
	} else if len(types) > 1 || len(entityNames) > 1 {
		return &usageError{message: "Only users and clients can be named together"}
	}
	if len(entityNames) > 0 {
		name, isDefault = entityNames[0], entityNames[0] == ""
	}
	entities := kafkaEntities()
	i := slices.IndexFunc(entities, func(k kafkaEntity) bool { return k.plural == entityType })
	_, isQuota := quotaEntities[entityType]
	if i < 0 && !isQuota {
		return &usageError{message: fmt.Sprintf("--entity-type is topics, brokers, broker-loggers, client-metrics, groups, users, clients or ips here, not %q", entityType)}
	}
	if isDefault && !isQuota && entityType != "brokers" {
		return &usageError{message: "--entity-default is for brokers, users, clients and ips"}
	}
	return e.asking(func(ctx context.Context, a *admin) error {
		if isQuota {
			lines := splitBracketed(add)
			if addFile != "" {
				more, err := settingLines(addFile)
				if err != nil {
					return err
				}
				lines = append(lines, more...)
			}
			return e.kafkaQuotas(ctx, a, quotas, alter, lines, splitList(del))
		}
		if describe {
			return e.kafkaDescribeConfigs(ctx, a, entities[i], name, isDefault, all)
		}
		if addFile != "" {
			lines, err := settingLines(addFile)
			if err != nil {
				return err
			}
			return e.kafkaAlterConfigs(ctx, a, entities[i], name, isDefault, lines, splitList(del))
		}
		return e.kafkaAlterConfigs(ctx, a, entities[i], name, isDefault, splitBracketed(add), splitList(del))
	})
}

// settingLines are the settings in a file, one a line.
func settingLines(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, &failure{what: "cannot read the settings", why: err.Error()}
	}
	var lines []string
	for _, line := range strings.Split(string(content), "\n") {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line[0] != '!' {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// splitBracketed splits k=v,k=[v,v] at the commas outside of brackets and drops the brackets.
func splitBracketed(s string) []string {
	var items []string
	depth, start := 0, 0
	cut := func(end int) {
		item := strings.TrimSpace(s[start:end])
		if key, value, ok := strings.Cut(item, "="); ok && strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			item = key + "=" + value[1:len(value)-1]
		}
		if item != "" {
			items = append(items, item)
		}
		start = end + 1
	}
	for i, c := range s {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ',' && depth <= 0:
			cut(i)
		}
	}
	cut(len(s))
	return items
}

func (e *env) kafkaAlterConfigs(ctx context.Context, a *admin, k kafkaEntity, name string, isDefault bool, add, del []string) error {
	if name == "" && !isDefault {
		return &usageError{message: "an entity name must be specified with --alter of " + k.plural}
	}
	changes, err := configChanges(add, del)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		return &usageError{message: "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter"}
	}
	if _, err := a.alterConfigs(ctx, k.kind, []string{name}, changes, false); err != nil {
		return err
	}
	if name == "" {
		fmt.Fprintf(e.stdout, "Completed updating default config for %s in the cluster.\n", k.plural)
	} else {
		fmt.Fprintf(e.stdout, "Completed updating config for %s %s.\n", k.singular(), name)
	}
	return nil
}

// kafkaDescribeConfigs shows one entity, or all of its type: for brokers their default too.
func (e *env) kafkaDescribeConfigs(ctx context.Context, a *admin, k kafkaEntity, name string, isDefault, all bool) error {
	names := []string{name}
	if name == "" && !isDefault {
		names = nil
		switch k.plural {
		case "topics":
			m, err := a.topics(ctx)
			if err != nil {
				return err
			}
			names = m.Topics.Names()
			slices.Sort(names)
		case "brokers", "broker-loggers":
			m, err := a.topics(ctx)
			if err != nil {
				return err
			}
			for _, b := range m.Brokers {
				names = append(names, number(b.NodeID))
			}
			if k.plural == "brokers" {
				names = append(names, "")
			}
		default:
			listed, err := a.ListConfigResources(ctx, k.kind)
			if err != nil {
				return failed(err, "cannot list config resources")
			}
			names = listed.Names()
			slices.Sort(names)
		}
	}
	for _, name := range names {
		if err := e.kafkaDescribeEntity(ctx, a, k, name, all); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) kafkaDescribeEntity(ctx context.Context, a *admin, k kafkaEntity, name string, all bool) error {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = k.kind, name
	req.Resources = append(req.Resources, r)
	resources, err := a.describeConfigs(ctx, req)
	if err != nil {
		return err
	}
	if name == "" {
		fmt.Fprintf(e.stdout, "Default configs for %s in the cluster are:\n", k.plural)
	} else {
		which := "Dynamic"
		if all {
			which = "All"
		}
		fmt.Fprintf(e.stdout, "%s configs for %s %s are:\n", which, k.singular(), name)
	}
	dynamic := map[kmsg.ConfigSource]bool{
		kmsg.ConfigSourceDynamicTopicConfig: true, kmsg.ConfigSourceDynamicBrokerLoggerConfig: true,
		kmsg.ConfigSourceClientMetricsConfig: true, kmsg.ConfigSourceGroupConfig: true,
		kmsg.ConfigSourceDynamicDefaultBrokerConfig: name == "", kmsg.ConfigSourceDynamicBrokerConfig: name != "",
	}
	for _, r := range resources {
		slices.SortFunc(r.Configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
		for _, c := range r.Configs {
			if !all && !dynamic[c.Source] {
				continue
			}
			var synonyms []string
			for _, s := range c.ConfigSynonyms {
				synonyms = append(synonyms, fmt.Sprintf("%s:%s=%s", s.Source, s.Name, javaString(s.Value)))
			}
			fmt.Fprintf(e.stdout, "  %s=%s sensitive=%t synonyms={%s}\n", c.Name, javaString(c.Value), c.IsSensitive, strings.Join(synonyms, ", "))
		}
	}
	return nil
}

// javaString writes a missing string as Java does.
func javaString(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
