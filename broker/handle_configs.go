package broker

import (
	"cmp"
	"slices"

	"strconv"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker/config"
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
	for _, asked := range req.Resources {
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
		entries, err := b.describeConfig(r, image, metadata.ResourceType(asked.ResourceType), asked.ResourceName, asked.ConfigNames)
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
			out.Configs = append(out.Configs, configEntry(e, req))
		}
		resp.Resources = append(resp.Resources, out)
	}
	r.reply(resp)
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
	id, err := strconv.Atoi(name)
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
func (b *Broker) alterRefusal(r *request, image *metadata.Image, t metadata.ResourceType, name string) error {
	resource, ok := configResource(t, name)
	if !ok {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unsupported resource type %d", t)
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
	case metadata.TopicResource:
		if image.Topic(name) == nil && metadata.InvalidTopicName(name) == "" {
			return protocol.Errorf(protocol.ErrUnknownTopicOrPartition, "The topic '%s' does not exist.", name)
		}
	}
	return nil
}

// handleIncrementalAlterConfigs, key 44, v0-v1 (KIP-339). Needs AlterConfigs on each resource.
func (b *Broker) handleIncrementalAlterConfigs(r *request) {
	req := r.msg.(*kmsg.IncrementalAlterConfigsRequest)
	resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
	image := b.store.Image()
	if unknownConfigOp(req) {
		// Apache fails at decoding it, before it looks at any resource.
		for _, asked := range req.Resources {
			out := kmsg.NewIncrementalAlterConfigsResponseResource()
			out.ResourceType, out.ResourceName = asked.ResourceType, asked.ResourceName
			out.ErrorCode = int16(protocol.ErrUnknownServerError)
			resp.Resources = append(resp.Resources, out)
		}
		r.reply(resp)
		return
	}
	c := metadata.IncrementalAlterConfigs{ValidateOnly: req.ValidateOnly}
	add := func(res metadata.ConfigResource, err error) {
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = kmsg.ConfigResourceType(res.Type), res.Name
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
		if out.ErrorMessage == nil && err != nil {
			out.ErrorMessage = defaultMessage(codeOf(err))
		}
		resp.Resources = append(resp.Resources, out)
	}
	for _, asked := range req.Resources {
		res := metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
		if err := b.alterRefusal(r, image, res.Type, res.Name); err != nil {
			add(res, err)
			continue
		}
		if res.Type == metadata.BrokerLoggerResource {
			add(res, b.alterLoggers(res.Name, asked.Configs, req.ValidateOnly))
			continue
		}
		a := metadata.ConfigAlteration{Resource: res}
		for _, e := range asked.Configs {
			a.Changes = append(a.Changes, metadata.ConfigChange{Name: e.Name, Op: metadata.ConfigOp(e.Op), Value: e.Value})
		}
		c.Alterations = append(c.Alterations, a)
	}
	results, err := b.store.IncrementalAlterConfigs(r.ctx(), c)
	if err != nil {
		for _, a := range c.Alterations {
			add(a.Resource, err)
		}
	}
	for _, res := range results {
		add(res.Resource, res.Err)
	}
	// In the order of the request, whoever decided.
	place := map[metadata.ConfigResource]int{}
	for i, asked := range slices.Backward(req.Resources) {
		place[metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}] = i
	}
	slices.SortStableFunc(resp.Resources, func(x, y kmsg.IncrementalAlterConfigsResponseResource) int {
		return cmp.Compare(place[metadata.ConfigResource{Type: metadata.ResourceType(x.ResourceType), Name: x.ResourceName}],
			place[metadata.ConfigResource{Type: metadata.ResourceType(y.ResourceType), Name: y.ResourceName}])
	})
	r.reply(resp)
}

// unknownConfigOp says whether a request has an operation that Kafka does not know.
func unknownConfigOp(req *kmsg.IncrementalAlterConfigsRequest) bool {
	for _, asked := range req.Resources {
		for _, e := range asked.Configs {
			if e.Op < kmsg.IncrementalAlterConfigOpSet || e.Op > kmsg.IncrementalAlterConfigOpSubtract {
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
	image := b.store.Image()
	c := metadata.AlterConfigs{ValidateOnly: req.ValidateOnly}
	add := func(res metadata.ConfigResource, err error) {
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = kmsg.ConfigResourceType(res.Type), res.Name
		out.ErrorCode, out.ErrorMessage = r.errorCode(err), messageOf(err)
		if out.ErrorMessage == nil && err != nil {
			out.ErrorMessage = defaultMessage(codeOf(err))
		}
		resp.Resources = append(resp.Resources, out)
	}
	for _, asked := range req.Resources {
		res := metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}
		if err := b.alterRefusal(r, image, res.Type, res.Name); err != nil {
			add(res, err)
			continue
		}
		a := metadata.ConfigReplacement{Resource: res}
		for _, e := range asked.Configs {
			a.Entries = append(a.Entries, metadata.ConfigEntry{Name: e.Name, Value: e.Value})
		}
		c.Replacements = append(c.Replacements, a)
	}
	results, err := b.store.AlterConfigs(r.ctx(), c)
	if err != nil {
		for _, a := range c.Replacements {
			add(a.Resource, err)
		}
	}
	for _, res := range results {
		add(res.Resource, res.Err)
	}
	place := map[metadata.ConfigResource]int{}
	for i, asked := range slices.Backward(req.Resources) {
		place[metadata.ConfigResource{Type: metadata.ResourceType(asked.ResourceType), Name: asked.ResourceName}] = i
	}
	slices.SortStableFunc(resp.Resources, func(x, y kmsg.AlterConfigsResponseResource) int {
		return cmp.Compare(place[metadata.ConfigResource{Type: metadata.ResourceType(x.ResourceType), Name: x.ResourceName}],
			place[metadata.ConfigResource{Type: metadata.ResourceType(y.ResourceType), Name: y.ResourceName}])
	})
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
			types = append(types, metadata.ResourceType(t))
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
