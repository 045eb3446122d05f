package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/clientconf"
	"github.com/twmb/franz-go/pkg/kgo"
)

// properties reads key=value options into a map.
func properties(list []string) (map[string]string, error) {
	pairs, err := keyValues(list)
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for _, kv := range pairs {
		m[kv[0]] = kv[1]
	}
	return m, nil
}

// toolProperties are the properties in a tool's configuration file, and on its command line.
// Those that say how to connect are put aside for that.
func (e *env) toolProperties(pairs []string) (map[string]string, error) {
	m := map[string]string{}
	if e.commandConfig != "" {
		var err error
		if m, err = readProperties(e.commandConfig); err != nil {
			return nil, err
		}
	}
	given, err := properties(pairs)
	if err != nil {
		return nil, err
	}
	for key, value := range given {
		m[key] = value
		if clientconf.Known(key) {
			e.properties = append(e.properties, key+"="+value)
		}
	}
	return m, nil
}

// runKafkaConsoleProducer writes the lines of standard input.
func runKafkaConsoleProducer(e *env, args []string) error {
	o := produceOptions{partition: -1, timestampMs: -1, acks: "all"}
	var props, readerProps, producerProps []string
	var ignored string
	var sync bool
	f := e.newToolFlags()
	f.string(&e.bootstrap, "broker-list", 0, "HOST:PORT,...", "older name of --bootstrap-server")
	f.string(&o.topic, "topic", 0, "NAME", "the topic")
	f.strings(&props, "property", 0, "KEY=VALUE", "parse.key, key.separator, null.marker")
	f.strings(&readerProps, "reader-property", 0, "KEY=VALUE", "the same")
	f.strings(&producerProps, "producer-property", 0, "KEY=VALUE", "acks, compression.type, enable.idempotence, security.protocol, sasl.* and ssl.* count")
	f.string(&e.commandConfig, "producer.config", 0, "FILE", "properties of the producer")
	f.string(&o.acks, "request-required-acks", 0, "ACKS", "all, 1 or 0")
	f.bool(&sync, "sync", 0, "taken and ignored")
	for _, name := range []string{"batch-size", "line-reader", "max-block-ms", "max-memory-bytes", "max-partition-memory-bytes", "message-send-max-retries",
		"metadata-expiry-ms", "request-timeout-ms", "retry-backoff-ms", "socket-buffer-size", "timeout", "reader-config"} {
		f.string(&ignored, name, 0, "VALUE", "taken and ignored")
	}
	f.string(&o.codec, "compression-codec", 0, "CODEC", "none, gzip, snappy, lz4 or zstd")
	// Alone, --compression-codec means gzip.
	for i, arg := range args {
		if arg == "--compression-codec" && (i+1 == len(args) || strings.HasPrefix(args[i+1], "--")) {
			args = append(append(append([]string{}, args[:i]...), "--compression-codec=gzip"), args[i+1:]...)
			break
		}
	}
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if o.topic == "" {
		return &usageError{message: "Missing required argument \"[topic]\""}
	}
	reader, err := properties(append(props, readerProps...))
	if err != nil {
		return err
	}
	producer, err := e.toolProperties(producerProps)
	if err != nil {
		return err
	}
	if strings.EqualFold(reader["parse.key"], "true") {
		o.keySeparator = "\t"
		if s, ok := reader["key.separator"]; ok {
			o.keySeparator = s
		}
	}
	if strings.EqualFold(reader["parse.headers"], "true") {
		return &usageError{message: "parse.headers is not supported here: barnabas produce --json reads headers"}
	}
	o.null = reader["null.marker"]
	if v := producer["acks"]; v != "" {
		o.acks = v
	}
	if v := producer["compression.type"]; v != "" {
		o.codec = v
	}
	o.repeatable = strings.EqualFold(producer["enable.idempotence"], "false")
	_, err = e.produce(e.stdin, o, func(*kgo.Record) {})
	return err
}

// runKafkaConsoleConsumer prints records.
func runKafkaConsoleConsumer(e *env, args []string) error {
	o := consumeOptions{tail: -1, max: -1}
	var topic, include, offset, isolation, ignored string
	var props, formatterProps, consumerProps []string
	var skip bool
	partition, timeoutMs := int32(-1), int64(-1)
	f := e.newToolFlags()
	f.string(&topic, "topic", 0, "NAME", "the topic")
	f.string(&include, "include", 0, "REGEX", "not supported here")
	f.bool(&o.fromBeginning, "from-beginning", 0, "from the first record there is, unless the group has offsets")
	f.int32(&partition, "partition", 0, "N", "only this partition")
	f.string(&offset, "offset", 0, "OFFSET", "earliest, latest or a number; needs --partition")
	f.string(&o.group, "group", 0, "GROUP", "the consumer group")
	f.int64(&o.max, "max-messages", 0, "N", "stop after so many")
	f.int64(&timeoutMs, "timeout-ms", 0, "MS", "stop when nothing has come for so long")
	f.strings(&props, "property", 0, "KEY=VALUE", "print.timestamp, print.partition, print.offset, print.headers, print.key, print.value, key.separator, line.separator, headers.separator, null.literal")
	f.strings(&formatterProps, "formatter-property", 0, "KEY=VALUE", "the same")
	f.strings(&consumerProps, "consumer-property", 0, "KEY=VALUE", "group.id, auto.offset.reset, isolation.level, security.protocol, sasl.* and ssl.* count")
	f.string(&e.commandConfig, "consumer.config", 0, "FILE", "properties of the consumer")
	f.string(&isolation, "isolation-level", 0, "LEVEL", "read_committed or read_uncommitted")
	f.bool(&skip, "skip-message-on-error", 0, "taken and ignored")
	for _, name := range []string{"formatter", "formatter-config", "key-deserializer", "value-deserializer"} {
		f.string(&ignored, name, 0, "VALUE", "taken and ignored")
	}
	if err := e.parseTool(f, args); err != nil {
		return err
	}
	if include != "" || topic == "" {
		return &usageError{message: "Exactly one of --include/--topic is required; here it has to be --topic"}
	}
	consumer, err := e.toolProperties(consumerProps)
	if err != nil {
		return err
	}
	formatter, err := properties(append(props, formatterProps...))
	if err != nil {
		return err
	}
	o.topics = []string{topic}
	if o.group == "" {
		o.group = consumer["group.id"]
	}
	if consumer["auto.offset.reset"] == "earliest" {
		o.fromBeginning = true
	}
	o.readCommitted = isolation == "read_committed" || consumer["isolation.level"] == "read_committed"
	if partition >= 0 {
		o.partitions, o.group = []int32{partition}, ""
	}
	switch offset {
	case "", "latest":
	case "earliest":
		o.fromBeginning = true
	default:
		if o.offset, err = strconv.ParseInt(offset, 10, 64); err != nil || partition < 0 {
			return &usageError{message: "--offset is earliest, latest or a number, and needs --partition"}
		}
		o.hasOffset, o.fromBeginning = true, false
	}
	if timeoutMs >= 0 {
		o.wait = max(time.Duration(timeoutMs)*time.Millisecond, time.Millisecond)
	}
	n, err := e.consume(o, consoleFormat(formatter))
	if incomplete, ok := err.(*incompleteError); ok && incomplete != nil {
		err = nil // Kafka's consumer does not mind
	}
	if err == nil {
		fmt.Fprintf(e.stderr, "Processed a total of %d messages\n", n)
	}
	return err
}

// consoleFormat writes records as Kafka's default formatter does.
func consoleFormat(p map[string]string) func([]byte, *kgo.Record) ([]byte, error) {
	is := func(name string) bool { return strings.EqualFold(p[name], "true") }
	or := func(name, otherwise string) string {
		if s, ok := p[name]; ok {
			return s
		}
		return otherwise
	}
	separator, line := or("key.separator", "\t"), or("line.separator", "\n")
	headersSeparator, null := or("headers.separator", ","), or("null.literal", "null")
	_, chosen := p["print.value"]
	value := !chosen || is("print.value")
	text := func(b, data []byte) []byte {
		if data == nil {
			return append(b, null...)
		}
		return append(b, data...)
	}
	return func(b []byte, r *kgo.Record) ([]byte, error) {
		start := len(b)
		next := func() {
			if len(b) > start {
				b = append(b, separator...)
			}
		}
		if is("print.timestamp") {
			switch r.Attrs.TimestampType() {
			case 0:
				b = append(b, "CreateTime:"+strconv.FormatInt(r.Timestamp.UnixMilli(), 10)...)
			case 1:
				b = append(b, "LogAppendTime:"+strconv.FormatInt(r.Timestamp.UnixMilli(), 10)...)
			default:
				b = append(b, "NO_TIMESTAMP"...)
			}
		}
		if is("print.partition") {
			next()
			b = append(b, "Partition:"+strconv.Itoa(int(r.Partition))...)
		}
		if is("print.offset") {
			next()
			b = append(b, "Offset:"+strconv.FormatInt(r.Offset, 10)...)
		}
		if is("print.headers") {
			next()
			if len(r.Headers) == 0 {
				b = append(b, "NO_HEADERS"...)
			}
			for i, h := range r.Headers {
				if i > 0 {
					b = append(b, headersSeparator...)
				}
				b = text(append(b, h.Key+":"...), h.Value)
			}
		}
		if is("print.key") {
			next()
			b = text(b, r.Key)
		}
		if value {
			next()
			b = text(b, r.Value)
		}
		return append(b, line...), nil
	}
}
