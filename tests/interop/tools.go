package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// tool is one of Apache's command line tools by its script's name. Some have moved to
// another class between 3.9 and 4.
var toolClasses = map[string][2]string{
	"kafka-topics":              {"org.apache.kafka.tools.TopicCommand", ""},
	"kafka-configs":             {"kafka.admin.ConfigCommand", ""},
	"kafka-consumer-groups":     {"org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", ""},
	"kafka-get-offsets":         {"org.apache.kafka.tools.GetOffsetShell", ""},
	"kafka-delete-records":      {"org.apache.kafka.tools.DeleteRecordsCommand", ""},
	"kafka-log-dirs":            {"org.apache.kafka.tools.LogDirsCommand", ""},
	"kafka-producer-perf-test":  {"org.apache.kafka.tools.ProducerPerformance", ""},
	"kafka-consumer-perf-test":  {"org.apache.kafka.tools.ConsumerPerformance", ""},
	"kafka-console-producer":    {"kafka.tools.ConsoleProducer", "org.apache.kafka.tools.ConsoleProducer"},
	"kafka-console-consumer":    {"org.apache.kafka.tools.consumer.ConsoleConsumer", ""},
	"kafka-broker-api-versions": {"kafka.admin.BrokerApiVersionsCommand", "org.apache.kafka.tools.BrokerApiVersionsCommand"},
	"kafka-verifiable-producer": {"org.apache.kafka.tools.VerifiableProducer", ""},
	"kafka-verifiable-consumer": {"org.apache.kafka.tools.VerifiableConsumer", ""},
	"kafka-leader-election":     {"org.apache.kafka.tools.LeaderElectionCommand", ""},
	"kafka-cluster":             {"org.apache.kafka.tools.ClusterTool", ""},
	"kafka-transactions":        {"org.apache.kafka.tools.TransactionsCommand", ""},
	"kafka-e2e-latency":         {"org.apache.kafka.tools.EndToEndLatency", ""},
}

// step is one call of a tool and what it must print.
type step struct {
	name  string   // of the check
	tool  string   // script name
	args  []string // without the bootstrap address
	input string
	want  []string // regular expressions, all found in the output
	lacks []string // none of them found
	fails bool     // must exit with another code than 0
	// sorted compares the lines of the output, sorted, with this.
	sorted []string
}

// runTools goes through the life of a topic and a group with Apache's tools of a version.
func (s *suite) runTools(version string) {
	peer := "tools-" + version
	libs, err := s.cache.Jars(version)
	if err != nil {
		s.check(peer, "install", func() error { return err })
		return
	}
	for _, st := range s.toolSteps(version) {
		s.check(peer, st.name, func() error { return s.runStep(version, libs, st) })
	}
}

func (s *suite) toolSteps(version string) []step {
	topic := "tools-" + version
	group := "group-" + topic
	brokerID := "1"
	if brokers, err := s.admin.ListBrokers(context.Background()); err == nil && len(brokers) > 0 {
		brokerID = fmt.Sprint(brokers[0].NodeID)
	}
	deletions := filepath.Join(s.dir, "deletions.json")
	os.WriteFile(deletions, fmt.Appendf(nil, `{"version":1,"partitions":[{"topic":%q,"partition":0,"offset":1}]}`, topic), 0o644)
	var input, pairs []string
	for i := range 30 {
		input = append(input, fmt.Sprintf("key%d:value %d", i, i))
		pairs = append(pairs, fmt.Sprintf("key%d\tvalue %d", i, i))
	}
	slices.Sort(pairs)
	e2eArgs := []string{topic + "-e2e", "20", "all", "100"}
	if strings.HasPrefix(version, "4") {
		e2eArgs = []string{"--topic", topic + "-e2e", "--num-records", "20", "--producer-acks", "all", "--record-size", "100"}
	}
	readerProperty, formatterProperty := "--property", "--property"
	if strings.HasPrefix(version, "4") {
		readerProperty, formatterProperty = "--reader-property", "--formatter-property"
	}
	t := []string{"--topic", topic}
	topicConfig := []string{"--entity-type", "topics", "--entity-name", topic}
	brokerConfig := []string{"--entity-type", "brokers", "--entity-name", brokerID}
	return []step{
		{name: "api-versions", tool: "kafka-broker-api-versions", want: []string{`\(id: ` + brokerID + ` rack`, `Produce\(0\): 0 to \d+`, `Fetch\(1\): `, `ApiVersions\(18\): 0 to`}},
		{name: "cluster-id", tool: "kafka-cluster", args: []string{"cluster-id"}, want: []string{`Cluster ID: \S{22}`}},
		{name: "create", tool: "kafka-topics", args: cat("--create", t, "--partitions", "3", "--replication-factor", "1", "--config", "retention.ms=3600000"), want: []string{`Created topic ` + topic}},
		{name: "create-again", tool: "kafka-topics", args: cat("--create", t), fails: true, want: []string{`already exists`}},
		{name: "create-if-not-exists", tool: "kafka-topics", args: cat("--create", "--if-not-exists", t)},
		{name: "create-bad", tool: "kafka-topics", args: []string{"--create", "--topic", "bad name"}, fails: true, want: []string{`(?i)invalid|illegal`}},
		{name: "create-bad-rf", tool: "kafka-topics", args: []string{"--create", "--topic", topic + "-rf", "--replication-factor", "3"}, fails: true, want: []string{`(?i)replication factor`}},
		{name: "list", tool: "kafka-topics", args: []string{"--list"}, want: []string{`(?m)^` + regexp.QuoteMeta(topic) + `$`}},
		{name: "describe", tool: "kafka-topics", args: cat("--describe", t), want: []string{
			`Topic: ` + topic + `\s+TopicId: \S{22}\s+PartitionCount: 3\s+ReplicationFactor: 1\s+Configs: .*retention\.ms=3600000`,
			`Partition: 2\s+Leader: ` + brokerID + `\s+Replicas: ` + brokerID + `\s+Isr: ` + brokerID}},
		{name: "alter-partitions", tool: "kafka-topics", args: cat("--alter", t, "--partitions", "5")},
		{name: "fewer-partitions", tool: "kafka-topics", args: cat("--alter", t, "--partitions", "2"), fails: true, want: []string{`(?i)partition`}},
		{name: "describe-5", tool: "kafka-topics", args: cat("--describe", t), want: []string{`PartitionCount: 5`, `Partition: 4\s`}},
		{name: "under-replicated", tool: "kafka-topics", args: []string{"--describe", "--under-replicated-partitions"}, lacks: []string{`Topic: ` + topic}},
		{name: "config-alter", tool: "kafka-configs", args: cat("--alter", topicConfig, "--add-config", "max.message.bytes=65536,cleanup.policy=[compact,delete]"), want: []string{`Completed updating config for topic ` + topic}},
		{name: "config-describe", tool: "kafka-configs", args: cat("--describe", topicConfig), want: []string{
			`max\.message\.bytes=65536 sensitive=false synonyms=\{DYNAMIC_TOPIC_CONFIG:max\.message\.bytes=65536, (STATIC_BROKER_CONFIG|DEFAULT_CONFIG):message\.max\.bytes=`,
			`cleanup\.policy=compact,delete`, `retention\.ms=3600000`}},
		{name: "config-describe-all", tool: "kafka-configs", args: cat("--describe", "--all", topicConfig), want: []string{
			`compression\.type=producer`, `segment\.bytes=1073741824`, `min\.insync\.replicas=1`, `retention\.bytes=-1`}},
		{name: "config-bad-value", tool: "kafka-configs", args: cat("--alter", topicConfig, "--add-config", "retention.ms=often"), fails: true, want: []string{`(?i)invalid`}},
		{name: "config-unknown", tool: "kafka-configs", args: cat("--alter", topicConfig, "--add-config", "retension.ms=1"), fails: true, want: []string{`(?i)unknown`}},
		{name: "config-delete", tool: "kafka-configs", args: cat("--alter", topicConfig, "--delete-config", "max.message.bytes,cleanup.policy"), want: []string{`Completed updating`}},
		{name: "config-deleted", tool: "kafka-configs", args: cat("--describe", topicConfig), want: []string{`retention\.ms=3600000`}, lacks: []string{`max\.message\.bytes=65536`}},
		{name: "broker-describe-all", tool: "kafka-configs", args: cat("--describe", "--all", brokerConfig), want: []string{`num\.partitions=`, `log\.retention\.hours=168`, `message\.max\.bytes=1048588`}},
		{name: "broker-alter", tool: "kafka-configs", args: cat("--alter", brokerConfig, "--add-config", "log.cleaner.threads=2"), want: []string{`Completed updating config for broker ` + brokerID}},
		{name: "broker-altered", tool: "kafka-configs", args: cat("--describe", brokerConfig), want: []string{`log\.cleaner\.threads=2 sensitive=false synonyms=\{DYNAMIC_BROKER_CONFIG:log\.cleaner\.threads=2`}},
		{name: "broker-restore", tool: "kafka-configs", args: cat("--alter", brokerConfig, "--delete-config", "log.cleaner.threads"), want: []string{`Completed updating`}},
		{name: "broker-default", tool: "kafka-configs", args: []string{"--alter", "--entity-type", "brokers", "--entity-default", "--add-config", "log.retention.ms=360000000"}, want: []string{`Completed updating default config for brokers`}},
		{name: "broker-default-read", tool: "kafka-configs", args: []string{"--describe", "--entity-type", "brokers", "--entity-default"}, want: []string{`log\.retention\.ms=360000000 sensitive=false synonyms=\{DYNAMIC_DEFAULT_BROKER_CONFIG:log\.retention\.ms=360000000`}},
		{name: "broker-default-undo", tool: "kafka-configs", args: []string{"--alter", "--entity-type", "brokers", "--entity-default", "--delete-config", "log.retention.ms"}, want: []string{`Completed updating`}},
		{name: "console-producer", tool: "kafka-console-producer", args: cat(t, readerProperty, "parse.key=true", readerProperty, "key.separator=:"), input: strings.Join(input, "\n") + "\n"},
		{name: "console-consumer", tool: "kafka-console-consumer", args: cat(t, "--from-beginning", "--max-messages", "30", "--group", group, formatterProperty, "print.key=true", "--timeout-ms", "30000"), sorted: pairs},
		{name: "get-offsets", tool: "kafka-get-offsets", args: t, want: []string{topic + `:0:\d+`, topic + `:4:\d+`}},
		{name: "get-offsets-first", tool: "kafka-get-offsets", args: cat(t, "--time", "earliest"), want: []string{topic + `:0:0`, topic + `:4:0`}},
		{name: "get-offsets-max-ts", tool: "kafka-get-offsets", args: cat(t, "--time", "max-timestamp"), want: []string{topic + `:\d:\d+`}},
		{name: "get-offsets-since", tool: "kafka-get-offsets", args: cat(t, "--time", fmt.Sprint(time.Now().Add(-24*time.Hour).UnixMilli())), want: []string{topic + `:0:0`}},
		{name: "groups-list", tool: "kafka-consumer-groups", args: []string{"--list"}, want: []string{`(?m)^` + regexp.QuoteMeta(group) + `$`}},
		{name: "groups-describe", tool: "kafka-consumer-groups", args: []string{"--describe", "--group", group}, want: []string{`has no active members`, group + `\s+` + topic + `\s+0\s+(\d+)\s+\d+\s+0\s`}},
		{name: "groups-state", tool: "kafka-consumer-groups", args: []string{"--describe", "--state", "--group", group}, want: []string{group + `.*Empty\s+0`}},
		{name: "groups-members", tool: "kafka-consumer-groups", args: []string{"--describe", "--members", "--verbose", "--group", group}, want: []string{`has no active members`}},
		{name: "groups-list-state", tool: "kafka-consumer-groups", args: []string{"--list", "--state", "Empty"}, want: []string{group + `\s+(Classic\s+)?Empty`}},
		{name: "groups-unknown", tool: "kafka-consumer-groups", args: []string{"--describe", "--group", "nobody"}, want: []string{`(?i)nobody.*(not found|does not exist)`}},
		{name: "reset-dry-run", tool: "kafka-consumer-groups", args: cat("--reset-offsets", "--group", group, t, "--to-datetime", "2020-01-01T00:00:00.000", "--dry-run"), want: []string{group + `\s+` + topic + `\s+0\s+0`}},
		{name: "reset-earliest", tool: "kafka-consumer-groups", args: cat("--reset-offsets", "--group", group, t, "--to-earliest", "--execute"), want: []string{group + `\s+` + topic + `\s+4\s+0`}},
		{name: "consumer-after-reset", tool: "kafka-console-consumer", args: cat(t, "--max-messages", "30", "--group", group, formatterProperty, "print.key=true", "--timeout-ms", "30000"), sorted: pairs},
		{name: "reset-shift", tool: "kafka-consumer-groups", args: cat("--reset-offsets", "--group", group, "--all-topics", "--shift-by", "-1", "--execute"), want: []string{topic + `\s+0\s+\d+`}},
		{name: "reset-latest", tool: "kafka-consumer-groups", args: cat("--reset-offsets", "--all-groups", t, "--to-latest", "--execute"), want: []string{group + `\s+` + topic}},
		{name: "delete-offsets", tool: "kafka-consumer-groups", args: cat("--delete-offsets", "--group", group, t), want: []string{`Request succeed(ed)? for deleting offsets`, topic + `\s+4\s+Successful`}},
		{name: "reset-again", tool: "kafka-consumer-groups", args: cat("--reset-offsets", "--group", group, t, "--to-latest", "--execute"), want: []string{topic + `\s+0\s+\d+`}},
		{name: "delete-group", tool: "kafka-consumer-groups", args: []string{"--delete", "--group", group}, want: []string{`Deletion of requested consumer groups \('` + group + `'\) was successful`}},
		{name: "delete-group-again", tool: "kafka-consumer-groups", args: []string{"--delete", "--group", group}, want: []string{`(?i)not exist|not found|GroupIdNotFound`}},
		{name: "delete-records", tool: "kafka-delete-records", args: []string{"--offset-json-file", deletions}, want: []string{`partition: ` + topic + `-0\s+low_watermark: 1`}},
		{name: "get-offsets-after", tool: "kafka-get-offsets", args: cat(t, "--time", "-2"), want: []string{topic + `:0:1`}},
		{name: "log-dirs", tool: "kafka-log-dirs", args: []string{"--describe", "--topic-list", topic}, want: []string{`"broker":` + brokerID, `"partition":"` + topic + `-4","size":\d+,"offsetLag":0,"isFuture":false`}},
		{name: "producer-perf", tool: "kafka-producer-perf-test", args: []string{"--topic", topic + "-perf", "--num-records", "5000", "--record-size", "100", "--throughput", "-1", "--producer-props", "compression.type=lz4", "bootstrap.servers=" + s.addr}, want: []string{`5000 records sent`}},
		{name: "consumer-perf", tool: "kafka-consumer-perf-test", args: []string{"--topic", topic + "-perf", "--messages", "5000", "--timeout", "30000"}, want: []string{`\d, 5\d\d\d, `}},
		{name: "verifiable-producer", tool: "kafka-verifiable-producer", args: []string{"--topic", topic + "-verify", "--max-messages", "50"}, want: []string{`"sent":50,"acked":50`}},
		{name: "verifiable-consumer", tool: "kafka-verifiable-consumer", args: []string{"--topic", topic + "-verify", "--max-messages", "50", "--group-id", group + "-verify"}, want: []string{`"name":"partitions_assigned"`, `"name":"offsets_committed".*"success":true`, `"name":"shutdown_complete"`}},
		{name: "describe-producers", tool: "kafka-transactions", args: []string{"describe-producers", "--topic", topic + "-perf", "--partition", "0"}, want: []string{`ProducerId\s+ProducerEpoch\s+LatestCoordinatorEpoch`, `(?m)^\d+\s+0\s+-1`}},
		{name: "leader-election", tool: "kafka-leader-election", args: cat("--election-type", "preferred", t, "--partition", "0"), want: []string{`(?i)valid replica already elected|not needed|success`}},
		{name: "e2e-latency", tool: "kafka-e2e-latency", args: e2eArgs, want: []string{`Avg latency: `}},
		{name: "delete", tool: "kafka-topics", args: cat("--delete", t)},
		{name: "list-after", tool: "kafka-topics", args: []string{"--list"}, lacks: []string{`(?m)^` + regexp.QuoteMeta(topic) + `$`}},
		{name: "delete-again", tool: "kafka-topics", args: cat("--delete", t), fails: true, want: []string{`(?i)does not exist`}},
	}
}

// cat joins words and lists of words.
func cat(parts ...any) []string {
	var all []string
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			all = append(all, p)
		case []string:
			all = append(all, p...)
		}
	}
	return all
}

func (s *suite) runStep(version, libs string, st step) error {
	out, errOut, err := s.runTool(version, libs, st.tool, st.args, st.input)
	both := out + errOut
	if (err != nil) != st.fails {
		return fmt.Errorf("%s %s: exit %v: %s", st.tool, strings.Join(st.args, " "), err, brief2(both))
	}
	for _, w := range st.want {
		if !regexp.MustCompile(w).MatchString(both) {
			return fmt.Errorf("%s %s: no %s in: %s", st.tool, strings.Join(st.args, " "), w, brief2(both))
		}
	}
	for _, w := range st.lacks {
		if regexp.MustCompile(w).MatchString(both) {
			return fmt.Errorf("%s %s: %s in: %s", st.tool, strings.Join(st.args, " "), w, brief2(both))
		}
	}
	if st.sorted != nil {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		slices.Sort(lines)
		if !slices.Equal(lines, st.sorted) {
			return fmt.Errorf("%s %s: printed %s", st.tool, strings.Join(st.args, " "), brief2(out+errOut))
		}
	}
	return nil
}

func (s *suite) runTool(version, libs, tool string, args []string, input string) (out, errOut string, err error) {
	classes := toolClasses[tool]
	class := classes[0]
	if strings.HasPrefix(version, "4") && classes[1] != "" {
		class = classes[1]
	}
	classPath, err := s.cache.ToolClassPath(libs)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	command := slices.Concat(peers.ToolJVM, []string{"-cp", classPath, class}, s.withBootstrap(version, tool, args))
	cmd := exec.CommandContext(ctx, "java", command...)
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// withBootstrap puts the broker's address where the tool wants it.
func (s *suite) withBootstrap(version, tool string, args []string) []string {
	switch {
	case tool == "kafka-producer-perf-test":
		return args
	case tool == "kafka-e2e-latency" && strings.HasPrefix(version, "3"):
		return cat(s.addr, args)
	case tool == "kafka-cluster":
		return cat(args, "--bootstrap-server", s.addr)
	}
	return cat("--bootstrap-server", s.addr, args)
}

func brief2(out string) string {
	out = strings.TrimSpace(out)
	if len(out) > 1500 {
		out = "…" + out[len(out)-1500:]
	}
	return strings.ReplaceAll(out, "\n", " | ")
}
