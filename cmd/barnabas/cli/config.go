package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func configCommand() *command {
	return &command{name: "config", summary: "show and change settings of topics, brokers, groups and client metrics", sub: []*command{
		configListCommand(), configDescribeCommand(), configSetCommand(), configDeleteCommand(),
		configEditCommand("append", "Add values to settings that are lists", kmsg.IncrementalAlterConfigOpAppend),
		configEditCommand("subtract", "Take values out of settings that are lists", kmsg.IncrementalAlterConfigOpSubtract),
	}}
}

const configTypes = "topic|broker|cluster|group|client-metrics|broker-logger"

const configDetail = `
TYPE is topic, broker, group, client-metrics or broker-logger with a NAME; or cluster, without one:
the settings that all brokers have in common.`

// configResource reads TYPE [NAME] from the front of args.
func configResource(args []string) (kind kmsg.ConfigResourceType, name string, rest []string, err error) {
	if len(args) == 0 {
		return 0, "", nil, badUsage("it needs TYPE [NAME]")
	}
	switch args[0] {
	case "topic", "topics":
		kind = kmsg.ConfigResourceTypeTopic
	case "broker", "brokers":
		kind = kmsg.ConfigResourceTypeBroker
	case "cluster", "broker-defaults":
		return kmsg.ConfigResourceTypeBroker, "", args[1:], nil
	case "group", "groups":
		kind = kmsg.ConfigResourceTypeGroupConfig
	case "client-metrics":
		kind = kmsg.ConfigResourceTypeClientMetrics
	case "broker-logger", "broker-loggers":
		kind = kmsg.ConfigResourceTypeBrokerLogger
	default:
		return 0, "", nil, badUsage("%q is not one of %s", args[0], strings.ReplaceAll(configTypes, "|", ", "))
	}
	if len(args) < 2 || args[1] == "" {
		return 0, "", nil, badUsage("it needs the name of the %s", args[0])
	}
	return kind, args[1], args[2:], nil
}

func describeResource(kind kmsg.ConfigResourceType, name string) string {
	if kind == kmsg.ConfigResourceTypeBroker && name == "" {
		return "all brokers"
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(kind.String(), "_CONFIG"), "_", " ")) + " " + name
}

// configEntry is one setting as describe shows it.
type configEntry struct {
	Name          string          `json:"name"`
	Value         *string         `json:"value"` // null: sensitive, or none
	Source        string          `json:"source"`
	ReadOnly      bool            `json:"readOnly"`
	Sensitive     bool            `json:"sensitive"`
	Type          string          `json:"type,omitempty"`
	Documentation string          `json:"documentation,omitempty"`
	Synonyms      []configSynonym `json:"synonyms,omitempty"`
}

type configSynonym struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

func configDescribeCommand() *command {
	var all, docs bool
	var keys []string
	return &command{
		name: "describe", args: "TYPE [NAME]", minArgs: 1, maxArgs: 2, summary: "Show settings that were set, or all of them", detail: configDetail,
		complete: []string{configTypes, "topic"},
		flags: func(f *flagSet) {
			f.bool(&all, "all", 'a', "also settings that have their default")
			f.strings(&keys, "key", 'k', "KEY", "only this setting; may be repeated")
			f.bool(&docs, "docs", 0, "with type and documentation")
		},
		run: func(e *env, args []string) error {
			kind, name, _, err := configResource(args)
			if err != nil {
				return err
			}
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.IncludeSynonyms, req.IncludeDocumentation = true, docs
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = kind, name, keys
			req.Resources = append(req.Resources, r)
			return e.asking(func(ctx context.Context, a *admin) error {
				resources, err := a.describeConfigs(ctx, req)
				if err != nil {
					return err
				}
				entries := []configEntry{}
				for i := range resources {
					for _, c := range resources[i].Configs {
						if !all && len(keys) == 0 && !isSet(&c) {
							continue
						}
						entries = append(entries, newConfigEntry(&c, docs))
					}
				}
				slices.SortFunc(entries, func(a, b configEntry) int { return strings.Compare(a.Name, b.Name) })
				var errs []error
				for _, key := range keys {
					// Of all brokers only what is set is told.
					if !slices.ContainsFunc(entries, func(c configEntry) bool { return c.Name == key }) && (kind != kmsg.ConfigResourceTypeBroker || name != "") {
						errs = append(errs, &failure{what: fmt.Sprintf("%s has no setting %s", describeResource(kind, name), key)})
					}
				}
				if len(entries) > 0 || len(errs) == 0 {
					errs = append(errs, e.show(entries, func(w io.Writer) error { return writeConfigs(w, entries, docs) }))
				}
				return errors.Join(errs...)
			})
		},
	}
}

// isSet says whether somebody gave the setting its value.
func isSet(c *kmsg.DescribeConfigsResponseResourceConfig) bool {
	return c.Source != kmsg.ConfigSourceDefaultConfig && c.Source != kmsg.ConfigSourceUnknown || c.Source == kmsg.ConfigSourceUnknown && !c.IsDefault
}

func newConfigEntry(c *kmsg.DescribeConfigsResponseResourceConfig, docs bool) configEntry {
	entry := configEntry{Name: c.Name, Value: c.Value, Source: c.Source.String(), ReadOnly: c.ReadOnly, Sensitive: c.IsSensitive}
	for _, s := range c.ConfigSynonyms {
		entry.Synonyms = append(entry.Synonyms, configSynonym{s.Name, s.Value, s.Source.String()})
	}
	if docs {
		entry.Type = c.ConfigType.String()
		if c.Documentation != nil {
			entry.Documentation = *c.Documentation
		}
	}
	return entry
}

func writeConfigs(w io.Writer, entries []configEntry, docs bool) error {
	if docs {
		for _, c := range entries {
			_, err := fmt.Fprintf(w, "%s=%s\n  %s, from %s\n  %s\n", c.Name, entryValue(&c), strings.ToLower(c.Type), sourceText(c.Source), c.Documentation)
			if err != nil {
				return err
			}
		}
		return nil
	}
	t := newTable("KEY", "VALUE", "FROM")
	for _, c := range entries {
		from := sourceText(c.Source)
		if c.ReadOnly {
			from += ", read-only"
		}
		t.row(c.Name, entryValue(&c), from)
	}
	return t.writeTo(w)
}

func entryValue(c *configEntry) string {
	switch {
	case c.Value != nil:
		return *c.Value
	case c.Sensitive:
		return "[redacted]"
	}
	return "-"
}

func configValue(c *kmsg.DescribeConfigsResponseResourceConfig) string {
	entry := newConfigEntry(c, false)
	return entryValue(&entry)
}

func sourceText(source string) string {
	switch source {
	case "DYNAMIC_TOPIC_CONFIG":
		return "topic"
	case "DYNAMIC_BROKER_CONFIG":
		return "broker, dynamic"
	case "DYNAMIC_DEFAULT_BROKER_CONFIG":
		return "cluster, dynamic"
	case "STATIC_BROKER_CONFIG":
		return "broker's file"
	case "DEFAULT_CONFIG":
		return "default"
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(source, "_CONFIG"), "_", " "))
}

// describeConfigs asks for settings and makes an error of any that cannot be read.
func (a *admin) describeConfigs(ctx context.Context, req *kmsg.DescribeConfigsRequest) ([]kmsg.DescribeConfigsResponseResource, error) {
	var resources []kmsg.DescribeConfigsResponseResource
	for _, shard := range a.raw.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, failed(shard.Err, "cannot read settings")
		}
		resources = append(resources, shard.Resp.(*kmsg.DescribeConfigsResponse).Resources...)
	}
	for i := range resources {
		r := &resources[i]
		if err := refused(r.ErrorCode, r.ErrorMessage, "cannot read settings of %s", describeResource(r.ResourceType, r.ResourceName)); err != nil {
			return nil, err
		}
	}
	return resources, nil
}

// configChange is one step of IncrementalAlterConfigs.
type configChange struct {
	op    kmsg.IncrementalAlterConfigOp
	key   string
	value *string
}

func configChanges(set, del []string) ([]configChange, error) {
	pairs, err := keyValues(set)
	if err != nil {
		return nil, err
	}
	var changes []configChange
	for _, kv := range pairs {
		changes = append(changes, configChange{kmsg.IncrementalAlterConfigOpSet, kv[0], kmsg.StringPtr(kv[1])})
	}
	for _, key := range del {
		if strings.Contains(key, "=") {
			return nil, badUsage("%q: to go back to the default only the key is needed", key)
		}
		changes = append(changes, configChange{kmsg.IncrementalAlterConfigOpDelete, key, nil})
	}
	return changes, nil
}

// alterConfigs applies the changes to each resource and returns those that took them.
func (a *admin) alterConfigs(ctx context.Context, kind kmsg.ConfigResourceType, names []string, changes []configChange, validateOnly bool) (altered []string, err error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	for _, name := range names {
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, name
		for _, change := range changes {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Op, c.Value = change.key, change.op, change.value
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	var errs []error
	for _, shard := range a.raw.RequestSharded(ctx, req) {
		if shard.Err != nil {
			errs = append(errs, failed(shard.Err, "cannot change settings"))
			continue
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := refused(r.ErrorCode, r.ErrorMessage, "cannot change settings of %s", describeResource(r.ResourceType, r.ResourceName)); err != nil {
				errs = append(errs, err)
				continue
			}
			altered = append(altered, r.ResourceName)
		}
	}
	return altered, errors.Join(errs...)
}

func configSetCommand() *command {
	return configEditCommand("set", "Change settings", kmsg.IncrementalAlterConfigOpSet)
}

func configEditCommand(name, summary string, op kmsg.IncrementalAlterConfigOp) *command {
	var validateOnly bool
	return &command{
		name: name, args: "TYPE [NAME] KEY=VALUE...", minArgs: 2, maxArgs: -1, summary: summary, detail: configDetail,
		complete: []string{configTypes, "topic"},
		flags: func(f *flagSet) {
			f.bool(&validateOnly, "validate-only", 0, "check only, change nothing")
		},
		run: func(e *env, args []string) error {
			kind, resource, rest, err := configResource(args)
			if err != nil {
				return err
			}
			changes, err := configChanges(rest, nil)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				return badUsage("it needs KEY=VALUE")
			}
			for i := range changes {
				changes[i].op = op
			}
			return e.changeConfigs(kind, resource, changes, validateOnly)
		},
	}
}

func configDeleteCommand() *command {
	var validateOnly bool
	return &command{
		name: "delete", args: "TYPE [NAME] KEY...", minArgs: 2, maxArgs: -1, summary: "Take settings back to their defaults", detail: configDetail,
		complete: []string{configTypes, "topic"},
		flags: func(f *flagSet) {
			f.bool(&validateOnly, "validate-only", 0, "check only, change nothing")
		},
		run: func(e *env, args []string) error {
			kind, resource, keys, err := configResource(args)
			if err != nil {
				return err
			}
			changes, err := configChanges(nil, keys)
			if err != nil {
				return err
			}
			if len(changes) == 0 {
				return badUsage("it needs KEY")
			}
			return e.changeConfigs(kind, resource, changes, validateOnly)
		},
	}
}

func (e *env) changeConfigs(kind kmsg.ConfigResourceType, name string, changes []configChange, validateOnly bool) error {
	return e.asking(func(ctx context.Context, a *admin) error {
		if _, err := a.alterConfigs(ctx, kind, []string{name}, changes, validateOnly); err != nil {
			return err
		}
		verb := "changed "
		if validateOnly {
			verb = "could change "
		}
		var keys []string
		for _, c := range changes {
			keys = append(keys, c.key)
		}
		return e.done(map[string]any{"changed": keys, "validateOnly": validateOnly},
			verb+strings.Join(keys, ", ")+" of "+describeResource(kind, name))
	})
}

func configListCommand() *command {
	return &command{
		name: "list", summary: "List everything that has settings of its own",
		run: func(e *env, _ []string) error {
			return e.asking(func(ctx context.Context, a *admin) error {
				listed, err := a.ListConfigResources(ctx)
				if err != nil {
					return failed(err, "cannot list config resources")
				}
				type row struct {
					Type string `json:"type"`
					Name string `json:"name"`
				}
				rows := []row{}
				t := newTable("TYPE", "NAME")
				for _, r := range listed.Sorted() {
					kind := strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(r.Type.String(), "_CONFIG"), "_", "-"))
					rows = append(rows, row{kind, r.Name})
					t.row(kind, r.Name)
				}
				return e.show(rows, t.writeTo)
			})
		},
	}
}
