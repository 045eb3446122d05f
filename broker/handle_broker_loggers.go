package broker

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/loggers"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLoggers returns the levels of this broker's loggers as the entries of its
// BROKER_LOGGER resource (KIP-412).
func (b *Broker) describeLoggers(keys []string) []config.Entry {
	var entries []config.Entry
	for _, l := range b.opts.Loggers.Levels() {
		if len(keys) == 0 || slices.Contains(keys, l.Logger) {
			entries = append(entries, config.Entry{Name: l.Logger, Value: &l.Level, Source: config.SourceDynamicBrokerLogger})
		}
	}
	return entries
}

// alterLoggers sets levels of this broker's loggers: all that are asked for, or none.
// They last until the broker stops.
func (b *Broker) alterLoggers(name string, changes []kmsg.IncrementalAlterConfigsRequestResourceConfig, validateOnly bool) error {
	var null []string
	seen := map[string]bool{}
	for _, c := range changes {
		if seen[c.Name] {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Error due to duplicate config keys")
		}
		seen[c.Name] = true
		if c.Op != kmsg.IncrementalAlterConfigOpDelete && c.Value == nil {
			null = append(null, c.Name)
		}
	}
	if len(null) > 0 {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Null value not supported for : %s", strings.Join(null, ", "))
	}
	if err := b.isThisNode(name); err != nil {
		return err
	}
	for _, c := range changes {
		if err := b.checkLogger(c); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	for _, c := range changes {
		if c.Op == kmsg.IncrementalAlterConfigOpDelete {
			b.opts.Loggers.Unset(c.Name)
			b.logger.Warn("unset the level of a logger", "name", c.Name)
			continue
		}
		level, _ := loggers.ParseLevel(*c.Value)
		b.opts.Loggers.Set(c.Name, level)
		b.logger.Warn("set the level of a logger", "name", c.Name, "level", *c.Value)
	}
	return nil
}

func (b *Broker) checkLogger(c kmsg.IncrementalAlterConfigsRequestResourceConfig) error {
	switch metadata.ConfigOp(c.Op) {
	case metadata.ConfigSet, metadata.ConfigDelete:
	case metadata.ConfigAppend:
		return protocol.Errorf(protocol.ErrInvalidRequest, "APPEND operation is not allowed for the BROKER_LOGGER resource")
	case metadata.ConfigSubtract:
		return protocol.Errorf(protocol.ErrInvalidRequest, "SUBTRACT operation is not allowed for the BROKER_LOGGER resource")
	default:
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unknown operation type %d is not allowed for the BROKER_LOGGER resource", c.Op)
	}
	if !b.opts.Loggers.Has(c.Name) {
		return protocol.Errorf(protocol.ErrInvalidConfig, "Logger %s does not exist!", c.Name)
	}
	if metadata.ConfigOp(c.Op) == metadata.ConfigDelete {
		if c.Name == loggers.Root {
			return protocol.Errorf(protocol.ErrInvalidRequest, "Removing the log level of the %s logger is not allowed", loggers.Root)
		}
		return nil
	}
	if _, ok := loggers.ParseLevel(*c.Value); !ok {
		return protocol.Errorf(protocol.ErrInvalidConfig,
			"Cannot set the log level of %s to %s as it is not a supported log level. Valid log levels are %s",
			c.Name, *c.Value, strings.Join(loggers.LevelNames(), ", "))
	}
	return nil
}

// isThisNode is isThisBroker in the words that Apache has where loggers are altered.
func (b *Broker) isThisNode(name string) error {
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Node id must be an integer, but it is: %s", name)
	}
	if int32(id) != b.opts.NodeID {
		return protocol.Errorf(protocol.ErrInvalidRequest, "Unexpected node id. Expected %d, but received %d", b.opts.NodeID, id)
	}
	return nil
}

// withoutBlankName is what isThisBroker says where the name of all brokers is none.
func withoutBlankName(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return protocol.Errorf(e.Code, "%s", strings.Replace(e.Message, " or empty string,", "", 1))
	}
	return err
}
