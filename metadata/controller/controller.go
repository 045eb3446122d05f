package controller

import (
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// Options of a Controller. The zero value of each field means its default.
type Options struct {
	DefaultPartitions        int32 // num.partitions; 1
	DefaultReplicationFactor int16 // default.replication.factor; 1
	// MaxPartitionsPerCommand bounds the partitions one command may make; 200,000. (Apache
	// stops at 10,000 records.)
	MaxPartitionsPerCommand int
	// Schema validates configurations; without it everything is valid and nothing a list.
	Schema metadata.ConfigSchema
	// Features are the features and levels this program supports.
	Features []metadata.FeatureRange
	// SessionTimeout is broker.session.timeout.ms; 9 s.
	SessionTimeout time.Duration
	// LocalBroker is the broker in the same process as the controller. It is alive as long
	// as the controller is, and never fenced for its silence. -1 if there is none.
	LocalBroker int32
	// MaxElectionsPerTick bounds the elections of one Tick; 1000.
	MaxElectionsPerTick int

	Now     func() time.Time
	Rand    *rand.Rand
	NewUUID func() protocol.UUID
}

// Controller takes decisions. See the package comment.
type Controller struct {
	opts     Options
	sessions map[int32]*session
}

// session is what the controller remembers of a broker it hears from.
type session struct {
	epoch           int64
	lastHeard       time.Time
	imageVersion    int64 // of the broker's last heartbeat
	shutdownVersion int64 // of the image at the start of its controlled shutdown; -1 without
}

// New returns a Controller that has heard of no broker yet.
func New(opts Options) *Controller {
	if opts.DefaultPartitions == 0 {
		opts.DefaultPartitions = 1
	}
	if opts.DefaultReplicationFactor == 0 {
		opts.DefaultReplicationFactor = 1
	}
	if opts.MaxPartitionsPerCommand == 0 {
		opts.MaxPartitionsPerCommand = 200_000
	}
	if opts.SessionTimeout == 0 {
		opts.SessionTimeout = 9 * time.Second
	}
	if opts.MaxElectionsPerTick == 0 {
		opts.MaxElectionsPerTick = 1000
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Rand == nil {
		opts.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if opts.NewUUID == nil {
		opts.NewUUID = protocol.NewUUID
	}
	return &Controller{opts: opts, sessions: map[int32]*session{}}
}

// Activate begins a reign: every broker that is registered gets a fresh session.
func (c *Controller) Activate(m *metadata.Image) {
	clear(c.sessions)
	for _, b := range m.Brokers() {
		c.sessions[b.ID] = &session{epoch: b.Epoch, lastHeard: c.opts.Now(), imageVersion: -1, shutdownVersion: -1}
	}
}

// errorOf makes what a validator returned an error of ours: a plain error becomes code
// with its text.
func errorOf(err error, code protocol.ErrorCode) error {
	if err == nil {
		return nil
	}
	var withMessage *protocol.Error
	if errors.As(err, &withMessage) {
		return withMessage
	}
	var bare protocol.ErrorCode
	if errors.As(err, &bare) {
		return bare
	}
	return &protocol.Error{Code: code, Message: err.Error()}
}

// isActive says whether a broker may lead and be in sync.
func isActive(m *metadata.Image, id int32) bool {
	b := m.Broker(id)
	return b != nil && !b.Fenced && !b.InControlledShutdown
}

// activeOf returns those of ids that are active, in order.
func activeOf(m *metadata.Image, ids []int32) []int32 {
	for i, id := range ids {
		if !isActive(m, id) {
			active := append([]int32(nil), ids[:i]...)
			for _, id := range ids[i+1:] {
				if isActive(m, id) {
					active = append(active, id)
				}
			}
			return active
		}
	}
	return ids
}

// uncleanElection says whether topic may elect a leader that is not in sync.
func (c *Controller) uncleanElection(m *metadata.Image, topic string) bool {
	return strings.EqualFold(strings.TrimSpace(c.topicConfig(m, topic, "unclean.leader.election.enable")), "true")
}

// topicConfig is the value of a key that is in effect for a topic on this controller:
// the topic's, this broker's, all brokers', the static one.
func (c *Controller) topicConfig(m *metadata.Image, topic, key string) string {
	if v, ok := m.Config(metadata.TopicResource, topic)[key]; ok {
		return v
	}
	if v, ok := m.Config(metadata.BrokerResource, brokerName(c.opts.LocalBroker))[key]; ok {
		return v
	}
	if v, ok := m.Config(metadata.BrokerResource, "")[key]; ok {
		return v
	}
	if c.opts.Schema == nil {
		return ""
	}
	v, _ := c.opts.Schema.DefaultValue(metadata.TopicResource, key)
	return v
}
