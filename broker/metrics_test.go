package broker_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/broker/exposition"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// metricsOf starts a broker, has a client write and read three records, and returns the
// broker's metrics.
func metricsOf(t *testing.T) string {
	t.Helper()
	b := brokertest.Start(t, "message.max.bytes=5000")
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("seen"), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ConsumerGroup("watchers"), kgo.ConsumeTopics("seen"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 3 {
		if err := cl.ProduceSync(ctx, kgo.StringRecord("hello")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.ProduceSync(ctx, kgo.StringRecord(strings.Repeat("too large", 1000))).FirstErr(); !errors.Is(err, kerr.MessageTooLarge) {
		t.Fatal(err)
	}
	for n := 0; n < 3; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetches.NumRecords()
	}
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	var w exposition.Writer
	b.Broker().WriteMetrics(&w, true)
	cl.Close()
	return string(w.Bytes())
}

func TestMetricsCountWhatClientsDid(t *testing.T) {
	metrics := metricsOf(t)
	for _, want := range []string{
		`kafka_server_brokertopicmetrics_messagesin_total{topic="seen"} 3` + "\n",
		"kafka_server_kafkaserver_brokerstate 3\n",
		"kafka_server_brokertopicmetrics_totalproducerequests_total 4\n",
		"kafka_server_brokertopicmetrics_bytesrejected_total 90",
		`kafka_network_requestmetrics_totaltimems_count{request="Produce"} 4` + "\n",
		`kafka_network_requestmetrics_totaltimems_count{request="FetchConsumer"} `,
		"kafka_server_replicamanager_isrshrinks_total 0\n",
		"kafka_server_replicamanager_underreplicatedpartitions 0\n",
		"kafka_controller_kafkacontroller_activecontrollercount 1\n",
		"kafka_coordinator_group_groupmetadatamanager_numgroups 1\n",
		"kafka_coordinator_group_groupmetadatamanager_numgroupsstable 1\n",
		"barnabas_group_members 1\n",
		`kafka_log_log_logendoffset{topic="seen",partition="0"} 3` + "\n",
		`barnabas_broker_request_duration_seconds_count{api="Produce"} 4` + "\n",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, absent := range []string{"barnabas_broker_bad_frames_total 1", "} \n"} {
		if strings.Contains(metrics, absent) {
			t.Errorf("%q is there", absent)
		}
	}
}

const metricsDocument = "../docs/metrics.md"

func TestDocumentMetricsListsThemAll(t *testing.T) {
	var process exposition.Writer
	process.Runtime(time.Now())
	want := metricsMarkdown(metricsOf(t), string(process.Bytes()))
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(metricsDocument, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(metricsDocument)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/metrics.md is stale: go test ./broker -run Document -update")
	}
}

// beans are the JMX beans of Kafka whose metrics have their names here, by prefix.
var beans = []struct{ prefix, bean string }{
	{"kafka_server_brokertopicmetrics_", "kafka.server:type=BrokerTopicMetrics,name=*"},
	{"kafka_server_fetchsessioncache_", "kafka.server:type=FetchSessionCache,name=*"},
	{"kafka_network_requestmetrics_totaltimems", "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=*"},
	{"kafka_network_requestmetrics_requests_total", "kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*,version=*"},
	{"kafka_network_socketserver_", "kafka.network:type=SocketServer,name=*"},
	{"kafka_server_socket_server_metrics_", "kafka.server:type=socket-server-metrics,listener=*"},
	{"kafka_server_kafkaserver_", "kafka.server:type=KafkaServer,name=*"},
	{"kafka_server_replicamanager_", "kafka.server:type=ReplicaManager,name=*"},
	{"kafka_controller_kafkacontroller_", "kafka.controller:type=KafkaController,name=*"},
	{"kafka_log_logmanager_", "kafka.log:type=LogManager,name=*"},
	{"kafka_log_logcleanermanager_", "kafka.log:type=LogCleanerManager,name=*"},
	{"kafka_log_logcleaner_", "kafka.log:type=LogCleaner,name=*"},
	{"kafka_coordinator_group_groupmetadatamanager_", "kafka.coordinator.group:type=GroupMetadataManager,name=*"},
	{"kafka_server_group_coordinator_metrics_", "kafka.server:type=group-coordinator-metrics"},
	{"kafka_log_log_", "kafka.log:type=Log,name=*,topic=*,partition=*"},
	{"kafka_cluster_partition_", "kafka.cluster:type=Partition,name=*,topic=*,partition=*"},
}

func metricsMarkdown(broker, process string) []byte {
	var b bytes.Buffer
	b.WriteString(`# Metrics

<!-- Written by go test ./broker -run Document -update. Do not edit. -->

The administration port, ` + "`barnabas.admin.listener`" + ` (127.0.0.1:9644), answers:

| path | answer |
|---|---|
| ` + "`/metrics`" + ` | metrics in Prometheus' text format |
| ` + "`/metrics?partitions=true`" + ` | the same with those of each topic and partition, of which there may be many thousands |
| ` + "`/acls/unused`" + ` | the ACLs that have decided nothing since the broker started, in JSON: what ` + "`barnabas acl lint --admin`" + ` reads |
| ` + "`/livez`" + ` | 200 as soon as the process is up, also while logs are being recovered |
| ` + "`/readyz`" + ` | 200 while clients are served, else 503 |
| ` + "`/debug/pprof/`" + ` | profiles for ` + "`go tool pprof`" + ` |

It answers GET and HEAD only and changes nothing. It asks for no password: leave it on the loopback interface, or
put something before it that does. Requests whose Host header is neither an address of this port nor the
name of this machine are refused with 421, so that no web page can read it through a name of its own.

Where Kafka has a metric, it has the name here that Prometheus' JMX exporter gives it with the rules most
dashboards are written for: the bean's domain, type and name in lower case, counters with ` + "`_total`" + ` for the
attribute Count of a ...PerSec meter. Rates and percentiles, which Kafka computes itself, Prometheus
computes here: ` + "`rate(kafka_server_brokertopicmetrics_bytesin_total[1m])`" + ` for OneMinuteRate of BytesInPerSec,
` + "`histogram_quantile(0.99, rate(barnabas_broker_request_duration_seconds_bucket{api=\"Produce\"}[5m]))`" + ` for
99thPercentile of TotalTimeMs. Counters begin at 0 when the broker starts. Topic names are labels only in what
` + "`partitions=true`" + ` adds. There the counters of MessagesInPerSec, BytesInPerSec and BytesOutPerSec stand by topic too, beside
that of all topics: sum what has a topic, or take the one that has none. They count from when this broker got to know the partition.

## Broker

`)
	table := func(text string) {
		b.WriteString("| metric | type | meaning | Kafka's bean |\n|---|---|---|---|\n")
		help := ""
		for _, line := range strings.Split(text, "\n") {
			if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
				_, help, _ = strings.Cut(rest, " ")
			}
			rest, ok := strings.CutPrefix(line, "# TYPE ")
			if !ok {
				continue
			}
			name, kind, _ := strings.Cut(rest, " ")
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kind, strings.ReplaceAll(help, "|", `\|`), beanOf(name))
		}
	}
	table("# HELP barnabas_info The program's version.\n# TYPE barnabas_info gauge\n" +
		"# HELP barnabas_broker_ready 1 while clients are served.\n# TYPE barnabas_broker_ready gauge\n" + broker)
	b.WriteString("\nAPIs that nobody has called since the start are left out of the metrics by API. From `kafka_log_log_size` on: only with `partitions=true`.\n\n## Process\n\n")
	table(process)
	return b.Bytes()
}

func beanOf(name string) string {
	for _, b := range beans {
		if strings.HasPrefix(name, b.prefix) {
			return "`" + b.bean + "`"
		}
	}
	return ""
}
