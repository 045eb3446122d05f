package config

import (
	"strings"
	"time"
)

// view builds the typed view. Listeners are taken from an earlier view if there is one:
// they do not change while a broker runs, only their limits do.
func (c *Config) view(before *Broker) *Broker {
	list := c.listeners(func(string, string, ...any) {})
	if before != nil && list == nil {
		list = before.Listeners
	}
	dirs := c.logDirs()
	b := &Broker{
		NodeID:           c.nodeID(),
		Rack:             c.text("broker.rack"),
		Listeners:        list,
		LogDirs:          dirs,
		MetadataLogDir:   c.text("metadata.log.dir"),
		AdminListener:    c.text("barnabas.admin.listener"),
		LogFormat:        c.text("barnabas.log.format"),
		LogLevel:         strings.ToUpper(c.text("barnabas.log.level")),
		PrincipalMapping: c.text("ssl.principal.mapping.rules"),
		Network:          c.network(),
		Topics: Topics{
			AutoCreateEnable:         c.boolean("auto.create.topics.enable"),
			DeleteEnable:             c.boolean("delete.topic.enable"),
			NumPartitions:            c.int32("num.partitions"),
			DefaultReplicationFactor: int16(c.long("default.replication.factor")),
		},
		Log:         c.logTimers(),
		Cleaner:     c.cleaner(),
		Replication: c.replication(),
		Metadata:    c.metadata(),
		Group:       c.group(),
		Transaction: c.transaction(),
		Quota:       c.quota(),
		Telemetry:   Telemetry{MaxBytes: c.int32("telemetry.max.bytes"), Receiver: c.text("barnabas.telemetry.receiver")},
		Audit: Audit{
			LogFile:    c.text("barnabas.audit.log.file"),
			Topic:      c.text("barnabas.audit.topic"),
			FailClosed: c.boolean("barnabas.audit.fail.closed"),
		},
		Authorization: Authorization{
			ClassName:                 c.text("authorizer.class.name"),
			SuperUsers:                c.text("super.users"),
			AllowEveryoneIfNoACLFound: c.boolean("allow.everyone.if.no.acl.found"),
			DryRun:                    c.boolean("barnabas.acl.dry.run"),
			PrincipalGroups:           c.text("barnabas.acl.principal.groups"),
		},
		DelegationTokens: DelegationTokens{
			MaxLifetime:         c.millis("delegation.token.max.lifetime.ms"),
			ExpiryTime:          c.millis("delegation.token.expiry.time.ms"),
			ExpiryCheckInterval: c.millis("delegation.token.expiry.check.interval.ms"),
			HideHMAC:            c.boolean("barnabas.delegation.token.hide.hmac"),
		},
	}
	if b.MetadataLogDir == "" && len(dirs) > 0 {
		b.MetadataLogDir = dirs[0]
	}
	return b
}

func (c *Config) network() Network {
	return Network{
		NetworkThreads:                  c.integer("num.network.threads"),
		IOThreads:                       c.integer("num.io.threads"),
		QueuedMaxRequests:               c.integer("queued.max.requests"),
		QueuedMaxRequestBytes:           c.long("queued.max.request.bytes"),
		SocketRequestMaxBytes:           c.int32("socket.request.max.bytes"),
		SocketSendBufferBytes:           c.integer("socket.send.buffer.bytes"),
		SocketReceiveBufferBytes:        c.integer("socket.receive.buffer.bytes"),
		SocketListenBacklogSize:         c.integer("socket.listen.backlog.size"),
		MaxConnections:                  c.integer("max.connections"),
		MaxConnectionsPerIP:             c.integer("max.connections.per.ip"),
		MaxConnectionsPerIPOverrides:    c.connectionOverrides(),
		MaxConnectionCreationRate:       c.integer("max.connection.creation.rate"),
		ConnectionsMaxIdle:              c.millis("connections.max.idle.ms"),
		MinRequestRate:                  c.integer("barnabas.request.min.bytes.per.second"),
		MaxAnswerStall:                  c.millis("barnabas.answer.max.stall.ms"),
		ConnectionFailedAuthDelay:       c.millis("connection.failed.authentication.delay.ms"),
		RequestTimeout:                  c.millis("request.timeout.ms"),
		SaslServerMaxReceiveSize:        c.int32("sasl.server.max.receive.size"),
		AuthTimeout:                     c.millis("barnabas.authentication.timeout.ms"),
		AuthConcurrency:                 c.integer("barnabas.authentication.concurrency"),
		MaxUnauthenticated:              c.integer("barnabas.max.unauthenticated.connections"),
		MaxUnauthenticatedPerIP:         c.integer("barnabas.max.unauthenticated.connections.per.ip"),
		MaxUnauthenticatedBytes:         c.long("barnabas.max.unauthenticated.bytes"),
		MaxIncrementalFetchSessions:     c.integer("max.incremental.fetch.session.cache.slots"),
		FetchMaxBytes:                   c.int32("fetch.max.bytes"),
		MaxRequestPartitionSizeLimit:    c.int32("max.request.partition.size.limit"),
		SocketConnectionSetupTimeout:    c.millis("socket.connection.setup.timeout.ms"),
		SocketConnectionSetupTimeoutMax: c.millis("socket.connection.setup.timeout.max.ms"),
		ControlledShutdownEnable:        c.boolean("controlled.shutdown.enable"),
		ControlledShutdownMaxRetries:    c.integer("controlled.shutdown.max.retries"),
		ControlledShutdownRetryBackoff:  c.millis("controlled.shutdown.retry.backoff.ms"),
	}
}

func (c *Config) logTimers() LogTimers {
	return LogTimers{
		RetentionCheckInterval:             c.millis("log.retention.check.interval.ms"),
		FlushSchedulerInterval:             c.millis("log.flush.scheduler.interval.ms"),
		FlushOffsetCheckpointInterval:      c.millis("log.flush.offset.checkpoint.interval.ms"),
		FlushStartOffsetCheckpointInterval: c.millis("log.flush.start.offset.checkpoint.interval.ms"),
		InitialTaskDelay:                   c.millis("log.initial.task.delay.ms"),
		RecoveryThreadsPerDataDir:          c.integer("num.recovery.threads.per.data.dir"),
		ProducerIDExpiration:               c.millis("producer.id.expiration.ms"),
		ProducerIDExpirationCheckInterval:  c.millis("producer.id.expiration.check.interval.ms"),
	}
}

func (c *Config) cleaner() Cleaner {
	return Cleaner{
		Enable:              c.boolean("log.cleaner.enable"),
		Threads:             c.integer("log.cleaner.threads"),
		DedupeBufferSize:    c.long("log.cleaner.dedupe.buffer.size"),
		IOBufferSize:        c.integer("log.cleaner.io.buffer.size"),
		IOMaxBytesPerSecond: c.double("log.cleaner.io.max.bytes.per.second"),
		Backoff:             c.millis("log.cleaner.backoff.ms"),
	}
}

func (c *Config) replication() Replication {
	return Replication{
		NumFetchers:                     c.integer("num.replica.fetchers"),
		LagTimeMax:                      c.millis("replica.lag.time.max.ms"),
		FetchMaxBytes:                   c.int32("replica.fetch.max.bytes"),
		FetchResponseMaxBytes:           c.int32("replica.fetch.response.max.bytes"),
		FetchMinBytes:                   c.int32("replica.fetch.min.bytes"),
		FetchWaitMax:                    c.millis("replica.fetch.wait.max.ms"),
		FetchBackoff:                    c.millis("replica.fetch.backoff.ms"),
		SocketTimeout:                   c.millis("replica.socket.timeout.ms"),
		SocketReceiveBufferBytes:        c.integer("replica.socket.receive.buffer.bytes"),
		HighWatermarkCheckpointInterval: c.millis("replica.high.watermark.checkpoint.interval.ms"),
		SelectorClass:                   c.text("replica.selector.class"),
		AutoLeaderRebalanceEnable:       c.boolean("auto.leader.rebalance.enable"),
		LeaderImbalanceCheckInterval:    c.seconds("leader.imbalance.check.interval.seconds"),
		UncleanLeaderElectionEnable:     c.boolean("unclean.leader.election.enable"),
		MinInsyncReplicas:               c.integer("min.insync.replicas"),
		LeaderThrottledRate:             c.long("leader.replication.throttled.rate"),
		FollowerThrottledRate:           c.long("follower.replication.throttled.rate"),
		AlterLogDirsThrottledRate:       c.long("replica.alter.log.dirs.io.max.bytes.per.second"),
	}
}

func (c *Config) metadata() Metadata {
	return Metadata{
		QuorumElectionTimeout:            c.millis("controller.quorum.election.timeout.ms"),
		QuorumFetchTimeout:               c.millis("controller.quorum.fetch.timeout.ms"),
		QuorumRequestTimeout:             c.millis("controller.quorum.request.timeout.ms"),
		MaxRecordBytesBetweenSnapshots:   c.long("metadata.log.max.record.bytes.between.snapshots"),
		MaxSnapshotInterval:              c.millis("metadata.log.max.snapshot.interval.ms"),
		LogSegmentBytes:                  c.int32("metadata.log.segment.bytes"),
		BrokerHeartbeatInterval:          c.millis("broker.heartbeat.interval.ms"),
		BrokerSessionTimeout:             c.millis("broker.session.timeout.ms"),
		InitialBrokerRegistrationTimeout: c.millis("initial.broker.registration.timeout.ms"),
	}
}

func (c *Config) group() Group {
	return Group{
		MinSessionTimeout:             c.millis("group.min.session.timeout.ms"),
		MaxSessionTimeout:             c.millis("group.max.session.timeout.ms"),
		InitialRebalanceDelay:         c.millis("group.initial.rebalance.delay.ms"),
		MaxSize:                       c.integer("group.max.size"),
		RebalanceProtocols:            c.list("group.coordinator.rebalance.protocols"),
		AppendLinger:                  c.millis("group.coordinator.append.linger.ms"),
		ConsumerSessionTimeout:        c.millis("group.consumer.session.timeout.ms"),
		ConsumerMinSessionTimeout:     c.millis("group.consumer.min.session.timeout.ms"),
		ConsumerMaxSessionTimeout:     c.millis("group.consumer.max.session.timeout.ms"),
		ConsumerHeartbeatInterval:     c.millis("group.consumer.heartbeat.interval.ms"),
		ConsumerMinHeartbeatInterval:  c.millis("group.consumer.min.heartbeat.interval.ms"),
		ConsumerMaxHeartbeatInterval:  c.millis("group.consumer.max.heartbeat.interval.ms"),
		ConsumerMaxSize:               c.integer("group.consumer.max.size"),
		ConsumerAssignors:             c.assignors(),
		ConsumerMigrationPolicy:       lower(c.text("group.consumer.migration.policy")),
		OffsetMetadataMaxBytes:        c.integer("offset.metadata.max.bytes"),
		OffsetsCommitTimeout:          c.millis("offsets.commit.timeout.ms"),
		OffsetsRetention:              durationOf(c.long("offsets.retention.minutes"), time.Minute),
		OffsetsRetentionCheckInterval: c.millis("offsets.retention.check.interval.ms"),
		OffsetsTopicPartitions:        c.int32("offsets.topic.num.partitions"),
		OffsetsTopicReplicationFactor: int16(c.long("offsets.topic.replication.factor")),
		OffsetsTopicSegmentBytes:      c.int32("offsets.topic.segment.bytes"),
		OffsetsTopicCompressionCodec:  int8(c.long("offsets.topic.compression.codec")),
	}
}

// assignors returns the short names of the assignors, which 3.9 writes as classes.
func (c *Config) assignors() []string {
	var short []string
	for _, a := range c.list("group.consumer.assignors") {
		switch a {
		case "org.apache.kafka.coordinator.group.assignor.UniformAssignor":
			a = "uniform"
		case "org.apache.kafka.coordinator.group.assignor.RangeAssignor":
			a = "range"
		}
		short = append(short, a)
	}
	return short
}

func (c *Config) transaction() Transaction {
	return Transaction{
		MaxTimeout:                  c.millis("transaction.max.timeout.ms"),
		IDExpiration:                c.millis("transactional.id.expiration.ms"),
		AbortTimedOutInterval:       c.millis("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
		RemoveExpiredInterval:       c.millis("transaction.remove.expired.transaction.cleanup.interval.ms"),
		PartitionVerificationEnable: c.boolean("transaction.partition.verification.enable"),
		StateLogPartitions:          c.int32("transaction.state.log.num.partitions"),
		StateLogReplicationFactor:   int16(c.long("transaction.state.log.replication.factor")),
		StateLogMinISR:              c.int32("transaction.state.log.min.isr"),
		StateLogSegmentBytes:        c.int32("transaction.state.log.segment.bytes"),
		TwoPhaseCommitEnable:        c.boolean("transaction.two.phase.commit.enable"),
	}
}

func (c *Config) quota() Quota {
	return Quota{
		WindowCount:             c.integer("quota.window.num"),
		WindowSize:              c.seconds("quota.window.size.seconds"),
		ControllerWindowCount:   c.integer("controller.quota.window.num"),
		ControllerWindowSize:    c.seconds("controller.quota.window.size.seconds"),
		ReplicationWindowCount:  c.integer("replication.quota.window.num"),
		ReplicationWindowSize:   c.seconds("replication.quota.window.size.seconds"),
		AlterLogDirsWindowCount: c.integer("alter.log.dirs.replication.quota.window.num"),
		AlterLogDirsWindowSize:  c.seconds("alter.log.dirs.replication.quota.window.size.seconds"),
	}
}
