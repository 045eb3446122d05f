package controller

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

var errDuplicateResource = &protocol.Error{Code: protocol.ErrInvalidRequest, Message: "Each resource must appear at most once."}

// IncrementalAlterConfigs changes single keys; see metadata.Store.
func (c *Controller) IncrementalAlterConfigs(m *metadata.Image, cmd metadata.IncrementalAlterConfigs) ([]metadata.Record, []metadata.ConfigResult) {
	asked := map[metadata.ConfigResource]int{}
	for _, a := range cmd.Alterations {
		asked[a.Resource]++
	}
	var records []metadata.Record
	results := make([]metadata.ConfigResult, len(cmd.Alterations))
	for i, a := range cmd.Alterations {
		results[i].Resource = a.Resource
		if asked[a.Resource] > 1 {
			results[i].Err = errDuplicateResource
			continue
		}
		made, err := c.alterConfig(m, a.Resource, a.Changes)
		records = append(records, made...)
		results[i].Err = err
	}
	if cmd.ValidateOnly {
		return nil, results
	}
	return records, results
}

func (c *Controller) alterConfig(m *metadata.Image, resource metadata.ConfigResource, changes []metadata.ConfigChange) ([]metadata.Record, error) {
	var null []string
	seen := map[string]bool{}
	for _, change := range changes {
		if seen[change.Name] {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Error due to duplicate config keys")
		}
		seen[change.Name] = true
		if change.Op != metadata.ConfigDelete && change.Value == nil {
			null = append(null, change.Name)
		}
	}
	if err := checkNull(null); err != nil {
		return nil, err
	}
	old := m.Config(resource.Type, resource.Name)
	values := maps.Clone(old)
	if values == nil {
		values = map[string]string{}
	}
	var records []metadata.Record
	for _, change := range changes {
		next, err := c.changeValue(resource.Type, old, change)
		if err != nil {
			return nil, err
		}
		records = appendConfigRecord(records, resource, change.Name, old, next)
		if next == nil {
			delete(values, change.Name)
		} else {
			values[change.Name] = *next
		}
	}
	if err := c.validateConfig(m, resource, values, old); err != nil {
		return nil, err
	}
	return records, nil
}

func checkNull(names []string) error {
	if len(names) == 0 {
		return nil
	}
	return protocol.Errorf(protocol.ErrInvalidRequest, "Null value not supported for : %s", strings.Join(names, ", "))
}

// appendConfigRecord adds the record that makes next of a key, if there is one to make. A broker's keys
// are written again even if nothing changes, to have them loaded again (KAFKA-14136).
func appendConfigRecord(records []metadata.Record, resource metadata.ConfigResource, name string, old map[string]string, next *string) []metadata.Record {
	current, set := old[name]
	if set == (next != nil) && (next == nil || current == *next) && resource.Type != metadata.BrokerResource {
		return records
	}
	return append(records, &metadata.ConfigRecord{Resource: resource, Name: name, Value: next})
}

// changeValue returns what a key becomes, nil for nothing.
func (c *Controller) changeValue(t metadata.ResourceType, old map[string]string, change metadata.ConfigChange) (*string, error) {
	switch change.Op {
	case metadata.ConfigSet:
		return change.Value, nil
	case metadata.ConfigDelete:
		return nil, nil
	case metadata.ConfigAppend, metadata.ConfigSubtract:
	default:
		return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Unknown operations type %d", change.Op)
	}
	name := "APPEND"
	if change.Op == metadata.ConfigSubtract {
		name = "SUBTRACT"
	}
	if c.opts.Schema == nil || !c.opts.Schema.IsList(t, change.Name) {
		return nil, protocol.Errorf(protocol.ErrInvalidConfig, "Can't %s to key %s because its type is not LIST.", name, change.Name)
	}
	value, set := old[change.Name]
	if !set {
		value, _ = c.opts.Schema.DefaultValue(t, change.Name)
	}
	parts := slices.DeleteFunc(strings.Split(value, ","), func(part string) bool { return part == "" })
	for _, part := range strings.Split(*change.Value, ",") {
		at := slices.Index(parts, part)
		switch {
		case change.Op == metadata.ConfigAppend && at < 0:
			parts = append(parts, part)
		case change.Op == metadata.ConfigSubtract && at >= 0:
			parts = slices.Delete(parts, at, at+1)
		}
	}
	next := strings.Join(parts, ",")
	return &next, nil
}

// checkResource checks that a resource of the kind may have a configuration under its name.
func checkResource(r metadata.ConfigResource) error {
	switch r.Type {
	case metadata.TopicResource:
		if r.Name == "" {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Default topic resources are not allowed.")
		}
		if reason := metadata.InvalidTopicName(r.Name); reason != "" {
			return protocol.Errorf(protocol.ErrInvalidTopicException, "Topic name is invalid: %s", reason)
		}
	case metadata.BrokerResource:
		if r.Name == "" {
			return nil
		}
		id, err := strconv.ParseInt(r.Name, 10, 32)
		if err != nil {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Unable to parse broker name as a base 10 number.")
		}
		if id < 0 {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Invalid negative broker ID.")
		}
	case metadata.GroupResource:
		if r.Name == "" {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Default group resources are not allowed.")
		}
	case metadata.ClientMetricsResource:
	default:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unknown resource type %d", r.Type)
	}
	return nil
}

// validateConfig checks the values that a resource would have, then that it exists.
func (c *Controller) validateConfig(m *metadata.Image, r metadata.ConfigResource, values, old map[string]string) error {
	// As with Apache what is wrong with the operations comes first, then the name, then the
	// values, then whether there is such a thing.
	if err := checkResource(r); err != nil {
		return err
	}
	if c.opts.Schema != nil {
		if err := errorOf(c.opts.Schema.Validate(r, values, old), protocol.ErrInvalidConfig); err != nil {
			return err
		}
	}
	switch r.Type {
	case metadata.TopicResource:
		if m.Topic(r.Name) == nil {
			return protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "The topic '%s' does not exist.", r.Name)
		}
	case metadata.BrokerResource:
		if r.Name == "" {
			return nil
		}
		if id, _ := strconv.ParseInt(r.Name, 10, 32); m.Broker(int32(id)) == nil {
			return protocol.Errorf(protocol.ErrBrokerIDNotRegistered, "No node with id %d found.", id)
		}
	}
	return nil
}

// AlterConfigs replaces all keys; see metadata.Store.
func (c *Controller) AlterConfigs(m *metadata.Image, cmd metadata.AlterConfigs) ([]metadata.Record, []metadata.ConfigResult) {
	asked := map[metadata.ConfigResource]int{}
	for _, r := range cmd.Replacements {
		asked[r.Resource]++
	}
	var records []metadata.Record
	results := make([]metadata.ConfigResult, len(cmd.Replacements))
	for i, r := range cmd.Replacements {
		results[i].Resource = r.Resource
		if asked[r.Resource] > 1 {
			results[i].Err = errDuplicateResource
			continue
		}
		made, err := c.replaceConfig(m, r.Resource, r.Entries)
		records = append(records, made...)
		results[i].Err = err
	}
	if cmd.ValidateOnly {
		return nil, results
	}
	return records, results
}

func (c *Controller) replaceConfig(m *metadata.Image, resource metadata.ConfigResource, entries []metadata.ConfigEntry) ([]metadata.Record, error) {
	values := map[string]string{}
	var null []string
	for _, e := range entries {
		if _, ok := values[e.Name]; ok {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Error due to duplicate config keys")
		}
		values[e.Name] = ""
		if e.Value == nil {
			null = append(null, e.Name)
			continue
		}
		values[e.Name] = *e.Value
	}
	if err := checkNull(null); err != nil {
		return nil, err
	}
	old := m.Config(resource.Type, resource.Name)
	var records []metadata.Record
	for _, e := range entries {
		records = appendConfigRecord(records, resource, e.Name, old, e.Value)
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, stays := values[name]; !stays {
			records = append(records, &metadata.ConfigRecord{Resource: resource, Name: name})
		}
	}
	if err := c.validateConfig(m, resource, values, old); err != nil {
		return nil, err
	}
	return records, nil
}
