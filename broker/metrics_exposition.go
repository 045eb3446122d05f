package broker

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/barnabas-broker/barnabas/broker/exposition"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/barnabas-broker/barnabas/replication"
)

// Kafka's values of the BrokerState metric.
const (
	brokerStarting     = 1
	brokerRunning      = 3
	brokerShuttingDown = 7
)

// WriteMetrics writes the broker's metrics: under the names that Kafka's JMX beans get
// from Prometheus' JMX exporter where Kafka has them, under names of ours where not.
// docs/metrics.md lists them all. Metrics of each topic and partition come only if asked
// for: there may be many thousands.
func (b *Broker) WriteMetrics(w *exposition.Writer, partitions bool) {
	b.writeTraffic(w, partitions)
	b.writeRequests(w)
	b.writeConnections(w)
	b.writeSecurity(w, partitions)
	b.writeReplicas(w)
	b.writeCluster(w)
	b.writeLogs(w)
	b.writeGroups(w)
	if partitions {
		b.writePartitions(w)
	}
}

// topicTraffic is what the partitions of one topic that are here have seen.
type topicTraffic struct{ messagesIn, bytesIn, bytesOut int64 }

func (b *Broker) trafficByTopic() map[string]*topicTraffic {
	all := map[string]*topicTraffic{}
	for p := range b.replicas.All() {
		t := all[p.Topic]
		if t == nil {
			t = new(topicTraffic)
			all[p.Topic] = t
		}
		t.messagesIn += p.Traffic.MessagesIn.Load()
		t.bytesIn += p.Traffic.BytesIn.Load()
		t.bytesOut += p.Traffic.BytesOut.Load()
	}
	return all
}

// writeTraffic writes what clients wrote and read: of all topics together, and if asked for of each topic beside it, as Kafka does.
func (b *Broker) writeTraffic(w *exposition.Writer, topics bool) {
	m := &b.metrics
	var traffic map[string]*topicTraffic
	var names []string
	if topics {
		traffic = b.trafficByTopic()
		names = slices.Sorted(maps.Keys(traffic))
	}
	byTopic := func(value func(*topicTraffic) int64) {
		for _, name := range names {
			w.Int(value(traffic[name]), "topic", name)
		}
	}
	w.Counter("kafka_server_brokertopicmetrics_messagesin_total", "Records appended.")
	w.Int(m.messagesIn.Load())
	byTopic(func(t *topicTraffic) int64 { return t.messagesIn })
	w.Counter("kafka_server_brokertopicmetrics_bytesin_total", "Bytes of records appended.")
	w.Int(m.bytesIn.Load())
	byTopic(func(t *topicTraffic) int64 { return t.bytesIn })
	w.Counter("kafka_server_brokertopicmetrics_bytesout_total", "Bytes of records sent to consumers.")
	w.Int(m.bytesOut.Load())
	byTopic(func(t *topicTraffic) int64 { return t.bytesOut })
	w.Counter("kafka_server_brokertopicmetrics_bytesrejected_total", "Bytes of records refused because a batch was larger than max.message.bytes.")
	w.Int(m.bytesRejected.Load())
	w.Counter("kafka_server_brokertopicmetrics_totalproducerequests_total", "Produce requests. Kafka counts each partition of them.")
	w.Int(m.apis[protocol.KeyProduce].requests())
	w.Counter("kafka_server_brokertopicmetrics_totalfetchrequests_total", "Fetch requests. Kafka counts each partition of them, each time that it looks.")
	w.Int(m.apis[protocol.KeyFetch].requests())
	w.Counter("kafka_server_brokertopicmetrics_failedproducerequests_total", "Partitions of Produce requests that were answered with an error.")
	w.Int(m.failedProduce.Load())
	w.Counter("kafka_server_brokertopicmetrics_failedfetchrequests_total", "Partitions of Fetch requests that were answered with an error.")
	w.Int(m.failedFetch.Load())
	w.Counter("kafka_server_brokertopicmetrics_producemessageconversions_total", "Batches of an old format converted when they were produced.")
	w.Int(m.produceConversion.Load())
	w.Counter("kafka_server_brokertopicmetrics_fetchmessageconversions_total", "Partitions of Fetch requests converted to an old format.")
	w.Int(m.fetchConversion.Load())
	w.Counter("barnabas_broker_sendfile_bytes_total", "Bytes of records that went from file to socket inside the kernel.")
	w.Int(m.sendfileBytes.Load())
	sessions, cached, evicted := b.sessions.count()
	w.Gauge("kafka_server_fetchsessioncache_numincrementalfetchsessions", "Fetch sessions (KIP-227).")
	w.Int(int64(sessions))
	w.Gauge("kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "Partitions in all fetch sessions.")
	w.Int(int64(cached))
	w.Counter("kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", "Fetch sessions that gave way to others.")
	w.Int(evicted)
}

// writeRequests leaves out APIs that nobody has called.
func (b *Broker) writeRequests(w *exposition.Writer) {
	used := func(fn func(name string, a *apiMetrics)) {
		for i := range b.table {
			if a := &b.metrics.apis[b.table[i].key]; a.requests() > 0 {
				fn(b.table[i].name, a)
			}
		}
	}
	w.Counter("kafka_network_requestmetrics_requests_total", "Requests by API and version.")
	used(func(name string, a *apiMetrics) {
		for version := range a.versions {
			n := a.versions[version].Load()
			if n == 0 {
				continue
			}
			label := strconv.Itoa(version)
			if version == len(a.versions)-1 {
				label = "other"
			}
			w.Int(n, "request", name, "version", label)
		}
	})
	w.Summary("kafka_network_requestmetrics_totaltimems", "Milliseconds from a request read to its answer handed to the socket, as of the histogram of durations. FetchConsumer is Fetch.")
	used(func(name string, a *apiMetrics) {
		count, sum := a.finished(), float64(a.nanos.Load())/1e6
		w.Total(count, sum, "request", name)
		if name == "Fetch" { // no other broker fetches here yet
			w.Total(count, sum, "request", "FetchConsumer")
		}
	})
	w.Gauge("barnabas_broker_requests_in_flight", "Requests that have been read and not been answered, those that wait on purpose included.")
	used(func(name string, a *apiMetrics) { w.Int(a.inFlight(), "api", name) })
	bounds := make([]float64, len(latencyBuckets))
	for i, bound := range latencyBuckets {
		bounds[i] = bound.Seconds()
	}
	counts := make([]int64, len(latencyBuckets)+1)
	w.Histogram("barnabas_broker_request_duration_seconds", "From a request read to its answer handed to the socket, time spent waiting on purpose included.")
	used(func(name string, a *apiMetrics) {
		for i := range counts {
			counts[i] = a.buckets[i].Load()
		}
		w.Buckets(bounds, counts, time.Duration(a.nanos.Load()).Seconds(), "api", name)
	})
	w.Gauge("kafka_network_socketserver_memorypoolavailable", "Bytes that decoded requests may still take.")
	w.Int(b.admitted.limit - b.admitted.held.Load())
	w.Gauge("kafka_network_socketserver_memorypoolused", "Bytes that decoded requests hold.")
	w.Int(b.admitted.held.Load())
}

func (b *Broker) writeConnections(w *exposition.Writer) {
	open := make([]int, len(b.listeners))
	for i, l := range b.listeners {
		open[i] = b.connections.open(l.name)
	}
	b.mu.Lock()
	closing := b.closing
	b.mu.Unlock()
	w.Gauge("kafka_server_socket_server_metrics_connection_count", "Connections open.")
	for i, l := range b.listeners {
		w.Int(int64(open[i]), "listener", l.name)
	}
	w.Counter("kafka_server_socket_server_metrics_connection_creation_total", "Connections accepted.")
	w.Int(b.metrics.connections.Load())
	w.Counter("barnabas_broker_connections_refused_total", "Connections refused by max.connections and its kin.")
	w.Int(b.metrics.refused.Load())
	w.Counter("barnabas_broker_bad_frames_total", "Connections closed because what came was not a request.")
	w.Int(b.metrics.badFrames.Load())
	w.Counter("barnabas_broker_slow_connections_closed_total", "Connections closed because a request came too slowly, or nothing of an answer was taken.")
	w.Int(b.metrics.slowRequests.Load(), "of", "request")
	w.Int(b.metrics.stalledAnswers.Load(), "of", "answer")
	w.Counter("barnabas_broker_panics_total", "Connections closed because serving them ran into a fault of this program. Its log says where.")
	w.Int(b.metrics.panics.Load())
	w.Gauge("kafka_server_kafkaserver_brokerstate", "1 starting, 3 running, 7 shutting down.")
	switch {
	case closing:
		w.Int(brokerShuttingDown)
	case b.Ready():
		w.Int(brokerRunning)
	default:
		w.Int(brokerStarting)
	}
}

// writeReplicas counts what this broker holds, as the metadata it has applied says.
func (b *Broker) writeReplicas(w *exposition.Writer) {
	var held, led, offline, underReplicated, underMinISR, atMinISR int64
	for p := range b.replicas.All() {
		role := p.Role()
		if role == nil {
			continue
		}
		held++
		if _, err := p.Log(); err != nil {
			offline++
		}
		if role.Leader != b.opts.NodeID {
			continue
		}
		led++
		if len(role.ISR) < len(role.Replicas) {
			underReplicated++
		}
		if len(role.ISR) < role.MinISR {
			underMinISR++
		} else if len(role.ISR) == role.MinISR {
			atMinISR++
		}
	}
	gauge := func(name string, value int64, help string) {
		w.Gauge("kafka_server_replicamanager_"+name, help)
		w.Int(value)
	}
	gauge("partitioncount", held, "Partitions that this broker holds a replica of.")
	gauge("leadercount", led, "Partitions that this broker leads.")
	gauge("offlinereplicacount", offline, "Replicas here that cannot be used.")
	gauge("underreplicatedpartitions", underReplicated, "Partitions led here with fewer replicas in sync than assigned.")
	gauge("underminisrpartitioncount", underMinISR, "Partitions led here with fewer replicas in sync than min.insync.replicas.")
	gauge("atminisrpartitioncount", atMinISR, "Partitions led here with exactly min.insync.replicas replicas in sync.")
	for _, name := range []string{"isrshrinks", "isrexpands"} {
		w.Counter("kafka_server_replicamanager_"+name+"_total", "Changes of sets of in-sync replicas: none, while there is no replication between brokers.")
		w.Int(0)
	}
}

func (b *Broker) writeCluster(w *exposition.Writer) {
	image := b.store.Image()
	var leaderless, imbalanced, active, fenced int64
	for t := range image.Topics() {
		for _, p := range t.Partitions {
			if p.Leader < 0 {
				leaderless++
			}
			if len(p.Replicas) > 0 && p.Leader != p.Replicas[0] {
				imbalanced++
			}
		}
	}
	for _, broker := range image.Brokers() {
		if broker.Fenced {
			fenced++
		} else {
			active++
		}
	}
	gauge := func(name string, value int64, help string) {
		w.Gauge("kafka_controller_kafkacontroller_"+name, help)
		w.Int(value)
	}
	w.Gauge("kafka_controller_kafkacontroller_activecontrollercount", "1 on the broker that is the controller.")
	w.Bool(image.ControllerID() == b.opts.NodeID)
	gauge("globaltopiccount", int64(image.TopicCount()), "Topics of the cluster.")
	gauge("globalpartitioncount", int64(image.PartitionCount()), "Partitions of the cluster.")
	gauge("offlinepartitionscount", leaderless, "Partitions of the cluster without a leader.")
	gauge("preferredreplicaimbalancecount", imbalanced, "Partitions of the cluster that are not led by their preferred replica.")
	gauge("activebrokercount", active, "Brokers that serve.")
	gauge("fencedbrokercount", fenced, "Brokers that are registered and do not serve.")
	w.Gauge("barnabas_metadata_version", "Version of the metadata image in force; it grows with each change.")
	w.Int(image.Version())
}

func (b *Broker) writeLogs(w *exposition.Writer) {
	dirs := b.logs.Dirs()
	offline := int64(0)
	w.Gauge("kafka_log_logmanager_logdirectoryoffline", "1 if the directory failed and is not used.")
	for _, d := range dirs {
		if d.Err != nil {
			offline++
		}
		w.Bool(d.Err != nil, "logDirectory", d.Path)
	}
	w.Gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that failed.")
	w.Int(offline)
	w.Gauge("barnabas_log_dir_total_bytes", "Size of the file system that the directory is on.")
	for _, d := range dirs {
		if d.Total >= 0 {
			w.Int(d.Total, "dir", d.Path)
		}
	}
	w.Gauge("barnabas_log_dir_usable_bytes", "Room left on the file system that the directory is on.")
	for _, d := range dirs {
		if d.Usable >= 0 {
			w.Int(d.Usable, "dir", d.Path)
		}
	}
	sizes := map[string]int64{}
	for l := range b.logs.Logs() {
		sizes[l.DataDir()] += l.Size()
	}
	w.Gauge("barnabas_log_dir_logs_bytes", "Size of all logs in the directory.")
	for _, d := range dirs {
		w.Int(sizes[d.Path], "dir", d.Path)
	}
	w.Gauge("barnabas_log_logs", "Logs open.")
	w.Int(int64(b.logs.Count()))
	if cleaner := b.logs.Cleaner(); cleaner != nil {
		writeCleaner(w, cleaner.Status())
	}
}

func writeCleaner(w *exposition.Writer, s log.CleanerStatus) {
	w.Gauge("kafka_log_logcleanermanager_uncleanable_partitions_count", "Logs that cannot be compacted because of an error.")
	w.Int(int64(s.UncleanableCount))
	w.Gauge("kafka_log_logcleanermanager_max_dirty_percent", "Share of the dirtiest log that is not compacted, when it was last looked.")
	w.Float(s.MaxDirtyRatio * 100)
	w.Gauge("kafka_log_logcleaner_max_compaction_delay_secs", "By how long the log most overdue has passed max.compaction.lag.ms.")
	w.Float(s.MaxOverdue.Seconds())
	w.Gauge("kafka_log_logcleaner_max_clean_time_secs", "How long the last compaction took.")
	w.Float(s.LastPassDuration.Seconds())
	w.Gauge("kafka_log_logcleaner_max_buffer_utilization_percent", "How full the last compaction's table of keys was.")
	w.Float(s.LastMapUtilization * 100)
}

func (b *Broker) writeGroups(w *exposition.Writer) {
	s := b.groups.Stats()
	gauge := func(name string, value int, help string) {
		w.Gauge(name, help)
		w.Int(int64(value))
	}
	counter := func(name string, value int64, help string) {
		w.Counter(name, help)
		w.Int(value)
	}
	const manager, coordinator = "kafka_coordinator_group_groupmetadatamanager_", "kafka_server_group_coordinator_metrics_"
	gauge(manager+"numgroups", s.Groups, "Groups coordinated here.")
	gauge(manager+"numgroupsempty", s.GroupsEmpty, "Groups without members.")
	gauge(manager+"numgroupspreparingrebalance", s.GroupsPreparing, "Groups that wait for their members to join.")
	gauge(manager+"numgroupscompletingrebalance", s.GroupsCompleting, "Groups that wait for their leader's assignment.")
	gauge(manager+"numgroupsstable", s.GroupsStable, "Groups whose members have their assignments.")
	gauge(manager+"numoffsets", s.Offsets, "Committed offsets kept.")
	counter(coordinator+"offset_commit_count", s.OffsetCommits, "Offsets committed.")
	counter(coordinator+"offset_expiration_count", s.OffsetExpirations, "Offsets dropped because they were old.")
	counter(coordinator+"offset_deletion_count", s.OffsetDeletions, "Offsets deleted by OffsetDelete.")
	counter(coordinator+"group_completed_rebalance_count", s.RebalancesCompleted, "Rebalances completed.")
	gauge("barnabas_group_members", s.Members, "Members of all groups coordinated here.")
	gauge("barnabas_group_partitions_led", s.PartitionsLed, "Partitions of __consumer_offsets that this broker coordinates for.")
	gauge("barnabas_group_partitions_loading", s.PartitionsLoading, "Of those, the ones whose groups are being loaded.")
	gauge("barnabas_group_pending_transactions", s.PendingTransactions, "Transactions with offsets that are not decided.")
	counter("barnabas_group_rebalances_begun_total", s.RebalancesBegun, "Rebalances begun.")
	counter("barnabas_group_sessions_expired_total", s.SessionsExpired, "Members dropped because they were silent.")
	counter("barnabas_group_removed_total", s.GroupsRemoved, "Groups removed, for whatever reason.")
	counter("barnabas_group_appends_total", s.Appends, "Batches written to __consumer_offsets.")
	counter("barnabas_group_appends_failed_total", s.AppendsFailed, "Batches that could not be written to __consumer_offsets.")
	counter("barnabas_group_records_skipped_total", s.RecordsSkipped, "Records of __consumer_offsets that could not be read at a load.")
}

// partitionMetric is a metric that each partition has.
type partitionMetric struct {
	name, help string
	value      func(*replication.Partition, *log.Log, *replication.Role) int64
}

func partitionMetrics(nodeID int32) []partitionMetric {
	leads := func(r *replication.Role) bool { return r.Leader == nodeID }
	return []partitionMetric{
		{"kafka_log_log_size", "Bytes of the log.", func(_ *replication.Partition, l *log.Log, _ *replication.Role) int64 { return l.Size() }},
		{"kafka_log_log_logstartoffset", "First offset that can be read.", func(_ *replication.Partition, l *log.Log, _ *replication.Role) int64 { return l.LogStartOffset() }},
		{"kafka_log_log_logendoffset", "Offset that the next record will get.", func(_ *replication.Partition, l *log.Log, _ *replication.Role) int64 { return l.LogEndOffset() }},
		{"kafka_log_log_numlogsegments", "Segments of the log.", func(_ *replication.Partition, l *log.Log, _ *replication.Role) int64 { return int64(l.SegmentCount()) }},
		{"barnabas_log_high_watermark", "First offset that is not known to be on every in-sync replica.", func(_ *replication.Partition, l *log.Log, _ *replication.Role) int64 { return l.HighWatermark() }},
		{"kafka_cluster_partition_replicascount", "Replicas assigned, where this broker leads; else 0.", func(_ *replication.Partition, _ *log.Log, r *replication.Role) int64 {
			if !leads(r) {
				return 0
			}
			return int64(len(r.Replicas))
		}},
		{"kafka_cluster_partition_insyncreplicascount", "Replicas in sync, where this broker leads; else 0.", func(_ *replication.Partition, _ *log.Log, r *replication.Role) int64 {
			if !leads(r) {
				return 0
			}
			return int64(len(r.ISR))
		}},
		{"kafka_cluster_partition_underreplicated", "1 where this broker leads and a replica is not in sync.", func(_ *replication.Partition, _ *log.Log, r *replication.Role) int64 {
			if leads(r) && len(r.ISR) < len(r.Replicas) {
				return 1
			}
			return 0
		}},
	}
}

func (b *Broker) writePartitions(w *exposition.Writer) {
	type one struct {
		p    *replication.Partition
		log  *log.Log
		role *replication.Role
	}
	var all []one
	for p := range b.replicas.All() {
		l, err := p.Log()
		if role := p.Role(); err == nil && role != nil {
			all = append(all, one{p, l, role})
		}
	}
	for _, m := range partitionMetrics(b.opts.NodeID) {
		w.Gauge(m.name, m.help)
		for _, o := range all {
			w.Int(m.value(o.p, o.log, o.role), "topic", o.p.Topic, "partition", strconv.Itoa(int(o.p.Partition)))
		}
	}
}
