package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/auth/kerberos"
	"github.com/barnabas-broker/barnabas/broker/audit"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/group"
	"github.com/barnabas-broker/barnabas/broker/loggers"
	"github.com/barnabas-broker/barnabas/broker/quota"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// Options of a Broker. Config, Logs and Store are required and remain the caller's to
// close, after the broker.
type Options struct {
	NodeID     int32
	HostName   string               // advertised where a listener names no host
	Config     *config.Config       // static; the dynamic part comes from the store
	Logs       *log.Manager         // opened
	Store      metadata.Store       // opened
	Authorizer acl.Authorizer       // the one that Config names
	Version    string               // ours, as the log and metrics show it
	Logger     *slog.Logger         // discards
	Loggers    *loggers.Registry    // the levels of Logger and of those below it; a new one
	OnConfig   func(*config.Config) // called when dynamic configuration changed; must not block
	OnServing  func(*Broker)        // called before the first client is let in
	// ScramPepper makes the salts of SCRAM users that do not exist, where no
	// delegation.token.secret.key does. It should stay the same over restarts; a random one.
	ScramPepper auth.Secret
	// PanicsEnd lets every panic end the process, as tests want it, also one that would
	// only cost a connection. With the build tag invariants it is always set.
	PanicsEnd bool
}

// Broker is a running broker.
//
// Lock order: mu, then conn.mu.
type Broker struct {
	// Constant after Start.
	opts            Options
	logger          *slog.Logger
	ctx             context.Context // ends when the broker stops
	cancel          context.CancelFunc
	store           metadata.Store
	logs            *log.Manager
	replicas        *replication.Manager
	groups          *group.Coordinator
	deleted         deletedNames
	authorizer      acl.Authorizer
	acls            *acl.StandardAuthorizer // the authorizer, if it is one that has ACLs
	quotas          *quota.Manager
	audit           *audit.Log
	refusals        audit.Repeats // in our own log
	lingering       atomic.Int32  // refused connections that are still open
	apis            *apiIndex
	table           []api
	listeners       []*listener
	limits          limits
	connections     *connectionLimits
	unproved        *unproved
	admitted        *admission
	slabs           slabStock
	timers          *timers
	sessions        *fetchSessions
	producers       *producerIDs
	telemetry       *telemetry
	tokens          *delegationTokens
	scramPepper     auth.Secret
	scramIterations scramIterations
	moves           *dirMoves
	metrics         metrics
	// What has let a client in on one listener does not do so on another.
	kerberosReplays *kerberos.Replays

	epoch       int64 // of this broker's registration
	incarnation protocol.UUID
	started     time.Time

	live      atomic.Pointer[config.Config] // the static configuration under the dynamic one
	coarseNow atomic.Int64                  // seconds; good to one second
	// How long a client has for its authentication; tests change it.
	authTimeout atomic.Int64
	ready       atomic.Bool

	wg           sync.WaitGroup
	cancelWatch  func()
	cancelWatch2 func()
	cancelWatch3 func()
	internalMu   sync.Mutex // one creation of internal topics at a time

	mu      sync.Mutex
	conns   map[*conn]struct{}
	connSeq uint64
	closing bool
}

// limits are settings that are read for every frame.
type limits struct {
	requestMaxBytes int
}

// ErrClosing is what work gets that comes when the broker is shutting down.
var ErrClosing = errors.New("the broker is shutting down")

// Start brings a broker up: it registers with the metadata store, takes the roles that
// the store gives it, loads the group coordinator's partitions, and opens its listeners
// last, so that whoever can connect is served.
func Start(ctx context.Context, opts Options) (_ *Broker, err error) {
	if opts.Authorizer == nil {
		if opts.Authorizer, err = newAuthorizer(opts.Config.Broker().Authorization); err != nil {
			return nil, err
		}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Loggers == nil {
		opts.Loggers = loggers.New(slog.LevelInfo)
	}
	b := &Broker{
		opts: opts, logger: opts.Loggers.Logger("broker", opts.Logger.Handler()), store: opts.Store, logs: opts.Logs, authorizer: opts.Authorizer,
		conns:  map[*conn]struct{}{},
		timers: newTimers(), started: time.Now(), incarnation: protocol.NewUUID(),
		kerberosReplays: kerberos.NewReplays(),
	}
	b.acls, _ = opts.Authorizer.(*acl.StandardAuthorizer)
	b.refusals.Every, b.refusals.Most = 10*time.Second, 1024
	b.quotas = newQuotas(opts.Config.Broker().Quota)
	b.table = apiTable()
	b.apis = newAPIIndex(b.table)
	b.live.Store(opts.Config)
	b.coarseNow.Store(1)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	network := opts.Config.Broker().Network
	b.limits.requestMaxBytes = int(network.SocketRequestMaxBytes)
	b.authTimeout.Store(int64(network.AuthTimeout))
	b.unproved = newUnproved(network.AuthConcurrency, func() *config.Network { return &b.config().Broker().Network })
	b.admitted = newAdmission(requestMemory(network))
	b.slabs.left.Store(maxSlabs)
	b.sessions = newFetchSessions(network.MaxIncrementalFetchSessions, b.admitted.limit)
	b.producers = newProducerIDs(b)
	if b.telemetry, err = newTelemetry(opts.Config.Broker().Telemetry, b.logger); err != nil {
		return nil, err
	}
	b.tokens = newDelegationTokens(opts.Config)
	b.scramPepper = b.tokens.scramPepper(opts.ScramPepper)
	b.moves = newDirMoves(b, len(opts.Config.Broker().LogDirs))
	defer func() {
		if err != nil {
			b.Close(ctx)
		}
	}()

	b.connections = newConnectionLimits(opts.Config.Broker(), b.logger)
	b.connections.configure(b.ctx, opts.Config.Broker())
	for _, l := range opts.Config.Broker().Listeners {
		if l.Controller {
			continue
		}
		bound, err := b.listen(ctx, l)
		if err != nil {
			return nil, err
		}
		b.listeners = append(b.listeners, bound)
	}
	b.groups = group.New(group.Options{Config: groupConfig(opts.Config.Broker()), Storage: offsetsStorage{b},
		Logger: opts.Loggers.Logger("group", opts.Logger.Handler())})
	b.replicas = replication.NewManager(replication.Options{
		BrokerID: opts.NodeID, Logs: opts.Logs, Logger: opts.Loggers.Logger("replication", opts.Logger.Handler()),
		ConfigOf: b.topicConfig, MinISROf: b.topicMinISR,
	})
	if err := b.register(ctx); err != nil {
		return nil, err
	}
	// Two subscribers, because coordinators act on what replication has put in place.
	b.cancelWatch = b.store.Subscribe(b.applyToReplicas)
	b.cancelWatch2 = b.store.Subscribe(b.applyToCoordinators)
	b.cancelWatch3 = b.store.Subscribe(b.applyToSecurity)
	if err := b.config().CheckProfile(); err != nil {
		return nil, fmt.Errorf("a setting that is stored in the metadata: %w (it can be deleted from a broker with security.profile=default)", err)
	}
	if err := b.groups.WaitLoaded(ctx); err != nil {
		return nil, fmt.Errorf("load the group coordinator: %w", err)
	}
	if err := b.ensureScramUsers(ctx); err != nil {
		return nil, err
	}
	if err := b.openAudit(ctx, opts.Config.Broker().Audit); err != nil {
		return nil, err
	}
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		b.timers.run(b.ctx.Done())
	}()
	b.wg.Add(1)
	go b.sweep(b.ctx)
	if b.tokens.enabled() {
		b.wg.Add(1)
		go b.sweepTokens(b.ctx)
	}
	if opts.OnServing != nil {
		opts.OnServing(b)
	}
	for _, l := range b.listeners {
		if files := l.security.files; files != nil {
			b.wg.Add(1)
			go func() {
				defer b.wg.Done()
				files.Watch(b.ctx, tlsWatchInterval, b.logger.With("listener", l.name))
			}()
		}
		b.wg.Add(1)
		go l.accept()
	}
	b.ready.Store(true)
	return b, nil
}

// requestMemory is how much decoded requests may hold together: what the operator says,
// else room for a few of the largest.
func requestMemory(n config.Network) int64 {
	if n.QueuedMaxRequestBytes > 0 {
		return n.QueuedMaxRequestBytes
	}
	return max(minRequestMemory, 4*int64(n.SocketRequestMaxBytes))
}

// minRequestMemory is what requests may hold together if the operator says nothing, and a
// single one whatever the operator says.
const minRequestMemory = 512 << 20

func groupConfig(c *config.Broker) group.Config {
	return group.Config{
		MinSessionTimeout:             c.Group.MinSessionTimeout,
		MaxSessionTimeout:             c.Group.MaxSessionTimeout,
		InitialRebalanceDelay:         c.Group.InitialRebalanceDelay,
		MaxSize:                       c.Group.MaxSize,
		OffsetMetadataMaxBytes:        c.Group.OffsetMetadataMaxBytes,
		OffsetsCommitTimeout:          c.Group.OffsetsCommitTimeout,
		OffsetsRetention:              c.Group.OffsetsRetention,
		OffsetsRetentionCheckInterval: c.Group.OffsetsRetentionCheckInterval,
		OffsetsTopicCodec:             protocol.Codec(c.Group.OffsetsTopicCompressionCodec),
	}
}

// register makes this broker known to the cluster, unfenced: a broker that is alone
// serves as soon as it is up.
func (b *Broker) register(ctx context.Context) error {
	r := metadata.BrokerRegistration{
		ID: b.opts.NodeID, Incarnation: b.incarnation, Rack: b.opts.Config.Broker().Rack,
		Features: SupportedFeatures(), PreviousEpoch: -1,
	}
	if known := b.store.Image().Broker(b.opts.NodeID); known != nil && b.logs.WasClean() {
		// Nothing can have been lost since: leaders keep their epochs.
		r.PreviousEpoch = known.Epoch
	}
	for _, l := range b.listeners {
		if !l.cfg.Advertised {
			continue
		}
		r.Endpoints = append(r.Endpoints, metadata.Endpoint{
			Name: l.name, Host: l.advertisedHost, Port: int32(l.advertisedPort),
			SecurityProtocol: metadata.SecurityProtocol(l.cfg.Protocol),
		})
	}
	for _, d := range b.logs.Dirs() {
		if d.Err == nil {
			r.LogDirs = append(r.LogDirs, d.ID)
		}
	}
	epoch, err := b.store.RegisterBroker(ctx, r)
	if err != nil {
		return fmt.Errorf("register broker %d: %w", b.opts.NodeID, err)
	}
	b.epoch = epoch
	return nil
}

// config returns the configuration in force.
func (b *Broker) config() *config.Config { return b.live.Load() }

// Config returns the configuration in force, the dynamic part included.
func (b *Broker) Config() *config.Config { return b.config() }

func (b *Broker) topicConfig(image *metadata.Image, topic string) *log.Config {
	return b.config().Topic(image.Config(metadata.TopicResource, topic))
}

func (b *Broker) topicMinISR(image *metadata.Image, topic string) int {
	return b.config().TopicMinInsyncReplicas(image.Config(metadata.TopicResource, topic))
}

// applyToReplicas follows the metadata: first the broker's own configuration, then the
// partitions.
func (b *Broker) applyToReplicas(d *metadata.Delta, image *metadata.Image) {
	b.noteDeletedTopics(d)
	b.applyBrokerConfig(d, image)
	b.telemetry.apply(d, image)
	first := d.Before.Version() == 0 && !b.ready.Load()
	b.replicas.Apply(d, image)
	if first {
		b.setAsideStrays(image)
		b.moves.resume()
	}
}

// setAsideStrays takes logs out of service that belong to no topic of the cluster. Their
// files are kept under another name: they may be all that is left of something.
func (b *Broker) setAsideStrays(image *metadata.Image) {
	var strays []*log.Log
	for l := range b.logs.Logs() {
		if p := image.Partition(l.Partition()); p == nil || !p.HasReplica(b.opts.NodeID) {
			strays = append(strays, l)
		}
	}
	for _, l := range strays {
		b.logger.Warn("setting aside a log that the metadata does not know", "topic", l.Partition().Topic,
			"partition", l.Partition().Partition, "dir", l.Dir())
		if err := b.logs.MarkStray(l.Partition()); err != nil {
			b.logger.Error("cannot set a log aside", "dir", l.Dir(), "err", err)
		}
	}
}

// noteDeletedTopics keeps deletedNames up to date.
func (b *Broker) noteDeletedTopics(d *metadata.Delta) {
	for _, t := range d.TopicsDeleted {
		b.deleted.add(t.Name)
	}
	for _, t := range d.TopicsCreated {
		b.deleted.remove(t.Name)
	}
}

// applyToCoordinators tells the group coordinator which partitions of its topic are here.
func (b *Broker) applyToCoordinators(d *metadata.Delta, image *metadata.Image) {
	var deleted []group.Topic
	for _, t := range d.TopicsDeleted {
		if t.Name == group.OffsetsTopic {
			for n := range t.Partitions {
				b.groups.Resign(int32(n), -1)
			}
			continue
		}
		deleted = append(deleted, group.Topic{Name: t.Name, ID: t.ID})
	}
	if len(deleted) > 0 {
		b.groups.TopicsDeleted(deleted)
	}
	for _, p := range d.Partitions {
		if p.Topic.Name != group.OffsetsTopic || !p.LeaderChanged() {
			continue
		}
		if p.After.Leader == b.opts.NodeID {
			b.groups.BecomeLeader(p.Partition, p.After.LeaderEpoch)
		} else {
			b.groups.Resign(p.Partition, p.After.LeaderEpoch)
		}
	}
}

// applyBrokerConfig puts changed dynamic settings of this broker in force.
func (b *Broker) applyBrokerConfig(d *metadata.Delta, image *metadata.Image) {
	changed := false
	for _, r := range d.Configs {
		changed = changed || r.Type == metadata.BrokerResource && (r.Name == "" || r.Name == b.nodeName())
	}
	if !changed {
		return
	}
	next, notes := b.opts.Config.WithDynamic(image.Config(metadata.BrokerResource, b.nodeName()), image.Config(metadata.BrokerResource, ""))
	for _, n := range notes {
		b.logger.Warn(n.Message, "key", n.Setting.Name)
	}
	b.live.Store(next)
	b.connections.configure(b.ctx, next.Broker())
	b.closeExcess()
	b.alterTLS()
	b.alterSASL()
	if b.opts.OnConfig != nil {
		b.opts.OnConfig(next)
	}
}

func (b *Broker) nodeName() string { return fmt.Sprint(b.opts.NodeID) }

// Ready says whether the broker serves clients.
func (b *Broker) Ready() bool { return b.ready.Load() }

// Addresses returns, by listener name, where the broker really listens.
func (b *Broker) Addresses() map[string]string {
	addresses := map[string]string{}
	for _, l := range b.listeners {
		addresses[l.name] = l.net.Addr().String()
	}
	return addresses
}

// Close stops the broker: no new connections, an end for those there are, coordinators
// and partitions closed. Logs and store are left to their owner.
func (b *Broker) Close(ctx context.Context) error {
	b.ready.Store(false)
	b.mu.Lock()
	b.closing = true
	conns := make([]*conn, 0, len(b.conns))
	for c := range b.conns {
		conns = append(conns, c)
	}
	b.mu.Unlock()
	if b.connections != nil {
		b.connections.close()
	}
	for _, l := range b.listeners {
		l.net.Close()
	}
	if b.groups != nil {
		b.groups.Close()
	}
	for _, c := range conns {
		c.close()
	}
	defer b.audit.Close()
	b.admitted.close()
	b.cancel()
	if b.cancelWatch != nil {
		b.cancelWatch()
	}
	if b.cancelWatch2 != nil {
		b.cancelWatch2()
	}
	if b.cancelWatch3 != nil {
		b.cancelWatch3()
	}
	if b.replicas != nil {
		b.replicas.Close()
	}
	done := make(chan struct{})
	go func() { b.wg.Wait(); close(done) }()
	select {
	case <-done:
		b.telemetry.close()
		return nil
	case <-ctx.Done():
		return fmt.Errorf("some work did not end: %w", ctx.Err())
	}
}
