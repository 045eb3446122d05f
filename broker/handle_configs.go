package broker

import (
	"slices"
	"strconv"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/repeats"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// configResource is what a resource of the config APIs needs to be touched.
func configResource(t metadata.ResourceType, name string) (acl.Resource, bool) {
	switch t {
	case metadata.TopicResource:
		return acl.Topic(name), true
	case metadata.BrokerResource, metadata.BrokerLoggerResource, metadata.ClientMetricsResource:
		return acl.Cluster(), true
	case metadata.GroupResource:
		return acl.Group(name), true
	}
	return acl.Resource{}, false
}

// handleDescribeConfigs, key 32, v0-v4 (KIP-133, KIP-226, KIP-569). Needs DescribeConfigs on
// each resource.
func (b *Broker) handleDescribeConfigs(r *request) {
	req := r.msg.(*kmsg.DescribeConfigsRequest)
	resp := kmsg.NewPtrDescribeConfigsResponse()
	image := b.store.Image()
	if slices.ContainsFunc(req.Resources, func(asked kmsg.DescribeConfigsRequestResource) bool {
		_, ok := configResource(metadata.ResourceType(asked.ResourceType), asked.ResourceName)
		return !ok
	}) {
		// One resource of an unknown type spoils the whole request.
		for _, asked := range req.Resources {
			out := kmsg.NewDescribeConfigsResponseResource()
			out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
			out.ErrorCode, out.ErrorMessage = int16(protocol.ErrInvalidRequest), defaultMessage(protocol.ErrInvalidRequest)
			resp.Resources = append(resp.Resources, out)
		}
		r.reply(resp)
		return
	}
	var named repeats.Set[describedResource]
	for _, asked := range req.Resources {
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		var entries []config.Entry
		err := repeatedInRequest()
		if !named.Refuses(describedResourceOf(asked)) {
			entries, err = b.describeConfig(r, image, metadata.ResourceType(asked.ResourceType), asked.ResourceName, asked.ConfigNames)
		}
		if err != nil {
			out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
			if out.ErrorMessage == nil && codeOf(err) == protocol.ErrUnknownTopicOrPartition {
				out.ErrorMessage = new(string)
			} else if out.ErrorMessage == nil {
				out.ErrorMessage = defaultMessage(codeOf(err))
			}
		} else {
			out.ErrorMessage = new(string)
		}
		for _, e := range entries {
			entry := configEntry(e, req)
			out.Configs = append(out.Configs, entry)
			named.Spend(entryBytes(&entry))
		}
		resp.Resources = append(resp.Resources, out)
	}
	r.reply(resp)
}

// repeatedInRequest refuses what a request names again when the answer is large already;
// Apache answers until its memory is used up.
func repeatedInRequest() error {
	return protocol.Errorf(protocol.ErrInvalidRequest, "The request names this again, and the answer is large already.")
}

// describedResource is a resource that a request names. Of brokers' names only this
// broker's have an answer, however the number is written.
type describedResource struct {
	kind kmsg.ConfigResourceType
	name string
}

func describedResourceOf(asked kmsg.DescribeConfigsRequestResource) describedResource {
	d := describedResource{asked.ResourceType, asked.ResourceName}
	if t := metadata.ResourceType(d.kind); (t == metadata.BrokerResource || t == metadata.BrokerLoggerResource) && d.name != "" {
		d.name = "0"
	}
	return d
}

// entryBytes is about what an entry takes in an answer.
func entryBytes(e *kmsg.DescribeConfigsResponseResourceConfig) int {
	const overhead = 96
	size := overhead + len(e.Name) + overhead*len(e.ConfigSynonyms)
	if e.Value != nil {
		size += len(*e.Value)
	}
	if e.Documentation != nil {
		size += len(*e.Documentation)
	}
	for i := range e.ConfigSynonyms {
		s := &e.ConfigSynonyms[i]
		if size += len(s.Name); s.Value != nil {
			size += len(*s.Value)
		}
	}
	return size
}

func (b *Broker) describeConfig(r *request, image *metadata.Image, t metadata.ResourceType, name string, keys []string) ([]config.Entry, error) {
	resource, ok := configResource(t, name)
	if !ok {
		return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Unsupported resource type: %d", t)
	}
	if !b.authorize(r, acl.DescribeConfigs, resource) {
		return nil, resource.Type.Denied()
	}
	c := b.config()
	switch t {
	case metadata.TopicResource:
		if metadata.InvalidTopicName(name) != "" {
			return nil, protocol.Errorf(protocol.ErrInvalidTopicException, "Topic name is invalid: %s", name)
		}
		if image.Topic(name) == nil {
			return nil, protocol.ErrUnknownTopicOrPartition
		}
		return c.DescribeTopic(image.Config(t, name), keys), nil
	case metadata.BrokerResource:
		if name == "" {
			return c.DescribeBrokerDefault(keys), nil
		}
		if err := b.isThisBroker(name); err != nil {
			return nil, err
		}
		return c.DescribeBroker(keys), nil
	case metadata.BrokerLoggerResource:
		if name == "" {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Broker id must not be empty")
		}
		if err := b.isThisBroker(name); err != nil {
			return nil, withoutBlankName(err)
		}
		return b.describeLoggers(keys), nil
	case metadata.ClientMetricsResource:
		if name == "" {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Client metrics subscription name must not be empty")
		}
		return config.DescribeClientMetrics(image.Config(t, name), keys), nil
	default:
		if name == "" {
			return nil, protocol.Errorf(protocol.ErrInvalidRequest, "Group name must not be empty")
		}
		return c.DescribeGroup(image.Config(t, name), keys), nil
	}
}

// isThisBroker refuses the id of another broker, or of none.
func (b *Broker) isThisBroker(name string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Broker id must be an integer, but it is: %s", name)
	}
	if int32(id) != b.opts.NodeID {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unexpected broker id, expected %d or empty string, but received %s", b.opts.NodeID, name)
	}
	return nil
}

func configEntry(e config.Entry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	out := kmsg.NewDescribeConfigsResponseResourceConfig()
	out.Name, out.Value, out.ReadOnly, out.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	out.Source = kmsg.ConfigSource(e.Source)
	out.IsDefault = e.Source == config.SourceDefault
	out.ConfigType = kmsg.ConfigType(e.Type)
	out.ConfigSynonyms = []kmsg.DescribeConfigsResponseResourceConfigConfigSynonym{}
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			syn := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			syn.Name, syn.Value, syn.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
			out.ConfigSynonyms = append(out.ConfigSynonyms, syn)
		}
	}
	if req.IncludeDocumentation && e.Doc != "" {
		out.Documentation = &e.Doc
	}
	return out
}

// alterRefusal says why a resource may not be altered here.
func (b *Broker) alterRefusal(r *request, t metadata.ResourceType, name string) error {
	resource, ok := configResource(t, name)
	if !ok {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unknown resource type %d", t)
	}
	if !b.authorize(r, acl.AlterConfigs, resource) {
		return resource.Type.Denied()
	}
	switch t {
	case metadata.BrokerLoggerResource:
		if r.key == protocol.KeyAlterConfigs {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Unexpected resource type BROKER_LOGGER.")
		}
	case metadata.BrokerResource:
		if name != "" {
			return b.isThisBroker(name)
		}
	}
	return nil
}

// namesKeyTwice says whether a resource is to be altered in a key more than once.
func namesKeyTwice(configs []kmsg.IncrementalAlterConfigsRequestResourceConfig) bool {
	seen := make(map[string]bool, len(configs))
	for _, e := range configs {
		if seen[e.Name] {
			return true
		}
		seen[e.Name] = true
	}
	return false
}

// handleIncrementalAlterConfigs, key 44, v0-v1 (KIP-339). Needs AlterConfigs on each resource.
func (b *Broker) handleIncrementalAlterConfigs(r *request) {
	req := r.msg.(*kmsg.IncrementalAlterConfigsRequest)
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	c := metadata.IncrementalAlterConfigs{ValidateOnly: req.ValidateOnly}
	refused := make([]error, len(req.Resources)) // here, by place in the request
	altered := make([]bool, len(req.Resources))  // here, without the store
	for i, asked := range req.Resources {
		res := metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
		if namesKeyTwice(asked.Configs) {
			refused[i] = protocol.Errorf(protocol.ErrInvalidRequest, "Error due to duplicate config keys")
			continue
		}
		if refused[i] = b.alterRefusal(r, res.Type, res.Name); refused[i] != nil {
			continue
		}
		if res.Type == metadata.BrokerLoggerResource {
			altered[i], refused[i] = true, b.alterLoggers(res.Name, asked.Configs, req.ValidateOnly)
			continue
		}
		a := metadata.ConfigAlteration{Resource: res}
		for _, e := range asked.Configs {
			a.Changes = append(a.Changes, metadata.ConfigChange{Name: e.Name, Op: metadata.ConfigOp(e.Op), Value: e.Value})
		}
		c.Alterations = append(c.Alterations, a)
	}
	var results []metadata.ConfigResult
	var failed error
	switch {
	case unknownConfigOp(c.Alterations):
		// Apache's controller fails at decoding what the broker has let pass.
		failed = protocol.ErrUnknownServerError
	case len(c.Alterations) > 0:
		results, failed = b.store.IncrementalAlterConfigs(r.ctx(), c)
	}
	for i, asked := range req.Resources {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		err := refused[i]
		if err == nil && !altered[i] {
			err = alterResult(results, failed, metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName})
		}
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), alterMessage(err)
		resp.Resources = append(resp.Resources, out)
	}
	r.reply(resp)
}

// alterResult is what the store says of a resource: results, or failed for all of them.
func alterResult(results []metadata.ConfigResult, failed error, resource metadata.ConfigResource) error {
	for i := range results {
		if results[i].Resource == resource {
			return results[i].Err
		}
	}
	return failed
}

func alterMessage(err error) *string {
	if message := messageOf(err); message != nil || err == nil || codeOf(err) == protocol.ErrUnknownServerError {
		return message
	}
	return defaultMessage(codeOf(err))
}

// unknownConfigOp says whether there is an operation that Kafka does not know.
func unknownConfigOp(alterations []metadata.ConfigAlteration) bool {
	for _, a := range alterations {
		for _, change := range a.Changes {
			if change.Op < metadata.ConfigSet || change.Op > metadata.ConfigSubtract {
				return true
			}
		}
	}
	return false
}

// handleAlterConfigs, key 33, v0-v2 (KIP-133): replaces all dynamic keys of a resource.
// Needs AlterConfigs on each resource.
func (b *Broker) handleAlterConfigs(r *request) {
	req := r.msg.(*kmsg.AlterConfigsRequest)
	resp := kmsg.NewPtrAlterConfigsResponse()
	c := metadata.AlterConfigs{ValidateOnly: req.ValidateOnly}
	refused := make([]error, len(req.Resources)) // here, by place in the request
	for i, asked := range req.Resources {
		res := metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
		if refused[i] = b.alterRefusal(r, res.Type, res.Name); refused[i] != nil {
			continue
		}
		a := metadata.ConfigReplacement{Resource: res}
		for _, e := range asked.Configs {
			a.Entries = append(a.Entries, metadata.ConfigEntry{Name: e.Name, Value: e.Value})
		}
		c.Replacements = append(c.Replacements, a)
	}
	var results []metadata.ConfigResult
	var failed error
	if len(c.Replacements) > 0 {
		results, failed = b.store.AlterConfigs(r.ctx(), c)
	}
	for i, asked := range req.Resources {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		err := refused[i]
		if err == nil {
			err = alterResult(results, failed, metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName})
		}
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), alterMessage(err)
		resp.Resources = append(resp.Resources, out)
	}
	r.reply(resp)
}

// handleListConfigResources, key 74, v0-v1 (KIP-1142): names of configured resources; v0
// is of client metrics only. Needs DescribeConfigs on the cluster.
func (b *Broker) handleListConfigResources(r *request) {
	req := r.msg.(*kmsg.ListConfigResourcesRequest)
	resp := kmsg.NewPtrListConfigResourcesResponse()
	if !b.authorize(r, acl.DescribeConfigs, acl.Cluster()) {
		resp.ErrorCode = int16(protocol.ErrClusterAuthorizationFailed)
		r.reply(resp)
		return
	}
	types := []metadata.ResourceType{metadata.ClientMetricsResource}
	if r.version >= 1 {
		types = types[:0]
		for _, t := range req.ResourceTypes {
			if !slices.Contains(types, metadata.ResourceType(t)) {
				types = append(types, metadata.ResourceType(t))
			}
		}
		if len(types) == 0 {
			types = []metadata.ResourceType{metadata.TopicResource, metadata.BrokerResource, metadata.BrokerLoggerResource,
				metadata.ClientMetricsResource, metadata.GroupResource}
		}
	}
	image := b.store.Image()
	for _, t := range types {
		names, ok := b.configNames(image, t)
		if !ok {
			resp = kmsg.NewPtrListConfigResourcesResponse()
			resp.ErrorCode = int16(protocol.ErrUnsupportedVersion)
			break
		}
		for _, name := range names {
			out := kmsg.NewListConfigResourcesResponseConfigResource()
			out.Name, out.Type = name, int8(t)
			resp.ConfigResources = append(resp.ConfigResources, out)
		}
	}
	r.reply(resp)
}

func (b *Broker) configNames(image *metadata.Image, t metadata.ResourceType) ([]string, bool) {
	switch t {
	case metadata.TopicResource:
		var names []string
		for topic := range image.Topics() {
			names = append(names, topic.Name)
		}
		return names, true
	case metadata.BrokerResource, metadata.BrokerLoggerResource:
		var names []string
		for _, broker := range image.Brokers() {
			names = append(names, strconv.Itoa(int(broker.ID)))
		}
		return names, true
	case metadata.ClientMetricsResource, metadata.GroupResource:
		return image.ConfigNames(t), true
	}
	return nil, false
}
