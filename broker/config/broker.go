package config

import "time"

// Broker is the typed view of a broker's effective configuration: what the code that serves
// reads. Durations are ready to use; the key behind each field is named beside it. Fields
// of keys marked dynamic differ between two views of one broker, the others do not.
type Broker struct {
	NodeID           int32  // node.id, else broker.id; -1: the one in meta.properties, else 1
	Rack             string // broker.rack; empty: none
	Listeners        Listeners
	LogDirs          []string // log.dirs, else log.dir; absolute, never empty
	MetadataLogDir   string   // metadata.log.dir, else the first of LogDirs
	AdminListener    string   // barnabas.admin.listener; empty: off
	LogFormat        string   // barnabas.log.format: kafka or json
	LogLevel         string   // barnabas.log.level: ERROR, WARN, INFO or DEBUG
	PrincipalMapping string   // ssl.principal.mapping.rules

	Network     Network
	Topics      Topics
	Log         LogTimers
	Cleaner     Cleaner
	Replication Replication
	Metadata    Metadata
	Group       Group
	Transaction Transaction
	Quota       Quota
	Telemetry   Telemetry

	Authorization    Authorization
	DelegationTokens DelegationTokens
	Audit            Audit
}

// DelegationTokens is how long delegation tokens live (KIP-48). The secret that signs them
// is not in the view. It is read at start.
type DelegationTokens struct {
	MaxLifetime         time.Duration // delegation.token.max.lifetime.ms
	ExpiryTime          time.Duration // delegation.token.expiry.time.ms
	ExpiryCheckInterval time.Duration // delegation.token.expiry.check.interval.ms
	HideHMAC            bool          // barnabas.delegation.token.hide.hmac
}

// Audit is where the record of who did what is kept. It is read at start.
type Audit struct {
	LogFile    string // barnabas.audit.log.file; empty: none
	Topic      string // barnabas.audit.topic; empty: none
	FailClosed bool   // barnabas.audit.fail.closed
}

// Authorization is who decides what a principal may do. It is read at start.
type Authorization struct {
	ClassName                 string // authorizer.class.name; empty: nobody does
	SuperUsers                string // super.users
	AllowEveryoneIfNoACLFound bool   // allow.everyone.if.no.acl.found
	DryRun                    bool   // barnabas.acl.dry.run
	PrincipalGroups           string // barnabas.acl.principal.groups
}

// Network is how connections are accepted, read and limited.
type Network struct {
	NetworkThreads                  int            // num.network.threads; dynamic
	IOThreads                       int            // num.io.threads; dynamic
	QueuedMaxRequests               int            // queued.max.requests
	QueuedMaxRequestBytes           int64          // queued.max.request.bytes; -1: off
	SocketRequestMaxBytes           int32          // socket.request.max.bytes
	SocketSendBufferBytes           int            // socket.send.buffer.bytes; -1: the system's
	SocketReceiveBufferBytes        int            // socket.receive.buffer.bytes; -1: the system's
	SocketListenBacklogSize         int            // socket.listen.backlog.size
	MaxConnections                  int            // max.connections; dynamic
	MaxConnectionsPerIP             int            // max.connections.per.ip; dynamic
	MaxConnectionsPerIPOverrides    map[string]int // max.connections.per.ip.overrides, host or address as written; dynamic
	MaxConnectionCreationRate       int            // max.connection.creation.rate, per second; dynamic
	ConnectionsMaxIdle              time.Duration  // connections.max.idle.ms; negative: never closed
	MinRequestRate                  int            // barnabas.request.min.bytes.per.second; 0: off; dynamic
	MaxAnswerStall                  time.Duration  // barnabas.answer.max.stall.ms; 0: off; dynamic
	ConnectionFailedAuthDelay       time.Duration  // connection.failed.authentication.delay.ms
	RequestTimeout                  time.Duration  // request.timeout.ms, of requests to other brokers
	SaslServerMaxReceiveSize        int32          // sasl.server.max.receive.size
	AuthTimeout                     time.Duration  // barnabas.authentication.timeout.ms
	AuthConcurrency                 int            // barnabas.authentication.concurrency; 0: half of the processors
	MaxUnauthenticated              int            // barnabas.max.unauthenticated.connections, of a listener; dynamic
	MaxUnauthenticatedPerIP         int            // barnabas.max.unauthenticated.connections.per.ip; dynamic
	MaxUnauthenticatedBytes         int64          // barnabas.max.unauthenticated.bytes; dynamic
	MaxIncrementalFetchSessions     int            // max.incremental.fetch.session.cache.slots
	FetchMaxBytes                   int32          // fetch.max.bytes
	MaxRequestPartitionSizeLimit    int32          // max.request.partition.size.limit
	SocketConnectionSetupTimeout    time.Duration  // socket.connection.setup.timeout.ms
	SocketConnectionSetupTimeoutMax time.Duration  // socket.connection.setup.timeout.max.ms
	ControlledShutdownEnable        bool           // controlled.shutdown.enable
	ControlledShutdownMaxRetries    int            // controlled.shutdown.max.retries
	ControlledShutdownRetryBackoff  time.Duration  // controlled.shutdown.retry.backoff.ms
}

// Topics is how topics come to be.
type Topics struct {
	AutoCreateEnable         bool  // auto.create.topics.enable
	DeleteEnable             bool  // delete.topic.enable
	NumPartitions            int32 // num.partitions
	DefaultReplicationFactor int16 // default.replication.factor
}

// LogTimers is the background work on logs that is not a topic's own setting.
type LogTimers struct {
	RetentionCheckInterval             time.Duration // log.retention.check.interval.ms
	FlushSchedulerInterval             time.Duration // log.flush.scheduler.interval.ms
	FlushOffsetCheckpointInterval      time.Duration // log.flush.offset.checkpoint.interval.ms
	FlushStartOffsetCheckpointInterval time.Duration // log.flush.start.offset.checkpoint.interval.ms
	InitialTaskDelay                   time.Duration // log.initial.task.delay.ms
	RecoveryThreadsPerDataDir          int           // num.recovery.threads.per.data.dir; dynamic
	ProducerIDExpiration               time.Duration // producer.id.expiration.ms; dynamic
	ProducerIDExpirationCheckInterval  time.Duration // producer.id.expiration.check.interval.ms
}

// Cleaner is the compaction of all logs. All but Enable is dynamic.
type Cleaner struct {
	Enable              bool          // log.cleaner.enable
	Threads             int           // log.cleaner.threads
	DedupeBufferSize    int64         // log.cleaner.dedupe.buffer.size
	IOBufferSize        int           // log.cleaner.io.buffer.size
	IOMaxBytesPerSecond float64       // log.cleaner.io.max.bytes.per.second
	Backoff             time.Duration // log.cleaner.backoff.ms
}

// Replication is how this broker follows others and is followed.
type Replication struct {
	NumFetchers                     int           // num.replica.fetchers; dynamic
	LagTimeMax                      time.Duration // replica.lag.time.max.ms
	FetchMaxBytes                   int32         // replica.fetch.max.bytes
	FetchResponseMaxBytes           int32         // replica.fetch.response.max.bytes
	FetchMinBytes                   int32         // replica.fetch.min.bytes
	FetchWaitMax                    time.Duration // replica.fetch.wait.max.ms
	FetchBackoff                    time.Duration // replica.fetch.backoff.ms
	SocketTimeout                   time.Duration // replica.socket.timeout.ms
	SocketReceiveBufferBytes        int           // replica.socket.receive.buffer.bytes
	HighWatermarkCheckpointInterval time.Duration // replica.high.watermark.checkpoint.interval.ms
	SelectorClass                   string        // replica.selector.class
	AutoLeaderRebalanceEnable       bool          // auto.leader.rebalance.enable
	LeaderImbalanceCheckInterval    time.Duration // leader.imbalance.check.interval.seconds
	UncleanLeaderElectionEnable     bool          // unclean.leader.election.enable; dynamic
	MinInsyncReplicas               int           // min.insync.replicas; dynamic
	LeaderThrottledRate             int64         // leader.replication.throttled.rate; dynamic only
	FollowerThrottledRate           int64         // follower.replication.throttled.rate; dynamic only
	AlterLogDirsThrottledRate       int64         // replica.alter.log.dirs.io.max.bytes.per.second; dynamic only
}

// Metadata is the embedded store's own settings.
type Metadata struct {
	QuorumElectionTimeout            time.Duration // controller.quorum.election.timeout.ms
	QuorumFetchTimeout               time.Duration // controller.quorum.fetch.timeout.ms
	QuorumRequestTimeout             time.Duration // controller.quorum.request.timeout.ms
	MaxRecordBytesBetweenSnapshots   int64         // metadata.log.max.record.bytes.between.snapshots
	MaxSnapshotInterval              time.Duration // metadata.log.max.snapshot.interval.ms; 0: off
	LogSegmentBytes                  int32         // metadata.log.segment.bytes
	BrokerHeartbeatInterval          time.Duration // broker.heartbeat.interval.ms
	BrokerSessionTimeout             time.Duration // broker.session.timeout.ms
	InitialBrokerRegistrationTimeout time.Duration // initial.broker.registration.timeout.ms
}

// Group is the group coordinator.
type Group struct {
	MinSessionTimeout             time.Duration // group.min.session.timeout.ms
	MaxSessionTimeout             time.Duration // group.max.session.timeout.ms
	InitialRebalanceDelay         time.Duration // group.initial.rebalance.delay.ms
	MaxSize                       int           // group.max.size
	RebalanceProtocols            []string      // group.coordinator.rebalance.protocols
	AppendLinger                  time.Duration // group.coordinator.append.linger.ms; negative: adaptive
	ConsumerSessionTimeout        time.Duration // group.consumer.session.timeout.ms
	ConsumerMinSessionTimeout     time.Duration // group.consumer.min.session.timeout.ms
	ConsumerMaxSessionTimeout     time.Duration // group.consumer.max.session.timeout.ms
	ConsumerHeartbeatInterval     time.Duration // group.consumer.heartbeat.interval.ms
	ConsumerMinHeartbeatInterval  time.Duration // group.consumer.min.heartbeat.interval.ms
	ConsumerMaxHeartbeatInterval  time.Duration // group.consumer.max.heartbeat.interval.ms
	ConsumerMaxSize               int           // group.consumer.max.size
	ConsumerAssignors             []string      // group.consumer.assignors, as short names
	ConsumerMigrationPolicy       string        // group.consumer.migration.policy, lower case
	OffsetMetadataMaxBytes        int           // offset.metadata.max.bytes
	OffsetsCommitTimeout          time.Duration // offsets.commit.timeout.ms
	OffsetsRetention              time.Duration // offsets.retention.minutes
	OffsetsRetentionCheckInterval time.Duration // offsets.retention.check.interval.ms
	OffsetsTopicPartitions        int32         // offsets.topic.num.partitions
	OffsetsTopicReplicationFactor int16         // offsets.topic.replication.factor; see ClampReplicationFactors
	OffsetsTopicSegmentBytes      int32         // offsets.topic.segment.bytes
	OffsetsTopicCompressionCodec  int8          // offsets.topic.compression.codec: 0 none to 4 zstd
}

// Transaction is the transaction coordinator.
type Transaction struct {
	MaxTimeout                  time.Duration // transaction.max.timeout.ms
	IDExpiration                time.Duration // transactional.id.expiration.ms
	AbortTimedOutInterval       time.Duration // transaction.abort.timed.out.transaction.cleanup.interval.ms
	RemoveExpiredInterval       time.Duration // transaction.remove.expired.transaction.cleanup.interval.ms
	PartitionVerificationEnable bool          // transaction.partition.verification.enable; dynamic
	StateLogPartitions          int32         // transaction.state.log.num.partitions
	StateLogReplicationFactor   int16         // transaction.state.log.replication.factor; see ClampReplicationFactors
	StateLogMinISR              int32         // transaction.state.log.min.isr
	StateLogSegmentBytes        int32         // transaction.state.log.segment.bytes
	TwoPhaseCommitEnable        bool          // transaction.two.phase.commit.enable
}

// Quota is the windows that quotas are measured in.
type Quota struct {
	WindowCount             int           // quota.window.num
	WindowSize              time.Duration // quota.window.size.seconds
	ControllerWindowCount   int           // controller.quota.window.num
	ControllerWindowSize    time.Duration // controller.quota.window.size.seconds
	ReplicationWindowCount  int           // replication.quota.window.num
	ReplicationWindowSize   time.Duration // replication.quota.window.size.seconds
	AlterLogDirsWindowCount int           // alter.log.dirs.replication.quota.window.num
	AlterLogDirsWindowSize  time.Duration // alter.log.dirs.replication.quota.window.size.seconds
}

// Telemetry is what clients may push, and where it goes (KIP-714).
type Telemetry struct {
	MaxBytes int32  // telemetry.max.bytes
	Receiver string // barnabas.telemetry.receiver: off, log, or the path of a file
}
