package config

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// alterDeviations are alterations on which we answer other than Apache 3.9.2, and why.
var alterDeviations = map[string]string{
	"1 =log.cleaner.threads=0":                                                    "Apache fails with / by zero; same code",
	"1 =listeners=PLAINTEXT://:1":                                                 "another sentence, same code",
	"1 =advertised.listeners=PLAINTEXT://foo:1":                                   "another sentence, same code",
	"1 =max.connections.per.ip.overrides=foo":                                     "a sentence instead of an index, same code",
	"1 =max.connections.per.ip.overrides=127.0.0.1:x":                             "a sentence instead of a parser's, same code",
	"1 =log.cleaner.min.compaction.lag.ms=5 =log.cleaner.max.compaction.lag.ms=4": "Apache takes it, and then refuses every alteration of every topic",
	"1 =metric.reporters=foo.Bar":                                                 "Java classes are kept and shown here, never loaded",
	"1 =log.local.retention.ms=-1":                                                "no tiered storage to protect yet",
	"s =interval.ms=x":                                                            "Apache answers UNKNOWN_SERVER_ERROR",
	"g =consumer.session.timeout.ms=50000":                                        "3.9 has no GROUP resource",
	"1 =node.id=5 =broker.rack=x":                                                 "names come sorted, same code",
	"own =segment.bytes=1048576 =message.format.version=2.8":                      "follows from Apache's taking of the compaction lags before",
}

// TestAlterationsAreJudgedAsApacheDoes replays SET alterations that Apache 3.9.2 judged.
func TestAlterationsAreJudgedAsApacheDoes(t *testing.T) {
	data, err := os.ReadFile("testdata/apache-3.9.2/alters.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := goldenConfig(t)
	schema := &Schema{Current: func() *Config { return c }}
	judged := 0
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		values, ok := sets(f[2])
		kind, err := strconv.Atoi(f[0])
		if f[0] == "create" {
			kind, err = int(metadata.TopicResource), nil
			values, ok = sets("=" + strings.ReplaceAll(f[2], " ", " ="))
		}
		if !ok || err != nil || f[1] == "missing" || kind == 99 || f[1] == "7" || f[1] == "x" {
			continue // judged by others: operations, duplicates, which resources there are
		}
		judged++
		err = schema.Validate(metadata.ConfigResource{Type: metadata.ResourceType(kind), Name: f[1]}, values, nil)
		code, message := protocol.None, "<null>"
		var pe *protocol.Error
		if errors.As(err, &pe) {
			code, message = pe.Code, pe.Message
		}
		wantCode, _ := strconv.Atoi(f[3])
		want := unwrapped(f[4])
		if int(code) == wantCode && (message == want || strings.TrimPrefix(want, "requirement failed: ") == message) {
			if alterDeviations[f[1]+" "+f[2]] != "" {
				t.Errorf("%s does not deviate any more", f[2])
			}
			continue
		}
		why := alterDeviations[f[1]+" "+f[2]]
		if why == "" || (strings.Contains(why, "same code") && int(code) != wantCode) {
			t.Errorf("%s %s %s:\n got %d %s\nwant %d %s", f[0], f[1], f[2], code, message, wantCode, want)
		}
	}
	if judged < 60 {
		t.Errorf("only %d alterations judged", judged)
	}
}

// sets reads "=a=b =c=d", alterations that only set.
func sets(ops string) (map[string]string, bool) {
	values := make(map[string]string)
	for _, op := range strings.Split(ops, " =") {
		op = strings.TrimPrefix(op, "=")
		name, value, ok := strings.Cut(op, "=")
		if _, twice := values[name]; !ok || twice || strings.HasPrefix(op, "+") || strings.HasPrefix(op, "~") || strings.HasPrefix(op, "-") {
			return nil, name == ""
		}
		values[name] = value
	}
	return values, true
}

// unwrapped takes off what Apache wraps round the message of some of its exceptions.
func unwrapped(message string) string {
	message = strings.TrimPrefix(message, "Invalid value org.apache.kafka.common.config.ConfigException: ")
	return strings.TrimSuffix(message, " for configuration Invalid dynamic configuration")
}

func TestListAppendAndSubtract(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{AppendList("delete", "compact"), "delete,compact"},
		{AppendList("delete", "delete"), "delete"},
		{AppendList("", "compact"), "compact"},
		{SubtractList("compact,delete", "delete"), "compact"},
		{SubtractList("compact", "delete"), "compact"},
		{SubtractList("compact", "compact"), ""},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// TestAlterationsOfGroupsAreJudgedAsApacheDoes replays what Apache 4.3.1 judged.
func TestAlterationsOfGroupsAreJudgedAsApacheDoes(t *testing.T) {
	data, err := os.ReadFile("testdata/apache-4.3.1/group-alters.txt")
	if err != nil {
		t.Fatal(err)
	}
	c := mustLoad(t, "group.share.partition.max.record.locks=2000\n")
	schema := &Schema{Current: func() *Config { return c }}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		f := strings.Split(line, "\t")
		kind, _ := strconv.Atoi(f[0])
		values, _ := sets(f[2])
		got := "0\t<null>"
		var pe *protocol.Error
		err := schema.Validate(metadata.ConfigResource{Type: metadata.ResourceType(kind), Name: f[1]}, values, nil)
		if errors.As(err, &pe) {
			got = strconv.Itoa(int(pe.Code)) + "\t" + pe.Message
		}
		if want := f[3] + "\t" + f[4]; got != want {
			t.Errorf("%s:\n got %s\nwant %s", f[2], got, want)
		}
	}
}
