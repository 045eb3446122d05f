package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// kafkaTool is one of Apache Kafka's own commands: its flags, output and exit codes are
// theirs as far as scripts use them.
type kafkaTool func(e *env, args []string) error

// ToolName returns the name of the Kafka tool that a program name stands for, "" for
// none. It is called at every start of the process and does next to nothing.
func ToolName(program string) string {
	name := filepath.Base(program)
	if !strings.HasPrefix(name, "kafka-") {
		return ""
	}
	return strings.TrimSuffix(name, ".sh")
}

func kafkaTools() map[string]kafkaTool {
	return map[string]kafkaTool{
		"kafka-acls":              runKafkaACLs,
		"kafka-delegation-tokens": runKafkaDelegationTokens,
		"kafka-topics":            runKafkaTopics,
		"kafka-configs":           runKafkaConfigs,
		"kafka-consumer-groups":   runKafkaConsumerGroups,
		"kafka-console-producer":  runKafkaConsoleProducer,
		"kafka-console-consumer":  runKafkaConsoleConsumer,
		"kafka-get-offsets":       runKafkaGetOffsets,
	}
}

// toolError is an error that a Kafka tool words itself, on the stream it uses for that.
type toolError struct {
	text   string
	stdout bool
}

func (e *toolError) Error() string { return e.text }

// runTool runs a Kafka tool and returns its exit code: 0 or 1, as theirs.
func (e *env) runTool(name string, args []string) int {
	tool := kafkaTools()[name]
	if tool == nil {
		fmt.Fprintf(e.stderr, "%s is not among the Kafka commands that this program has: %s\n", name, strings.Join(sortedKeys(kafkaTools()), ", "))
		return exitError
	}
	e.output, e.timeout = "table", 30*time.Second
	err := tool(e, args)
	var own *toolError
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errHelp):
		return exitOK
	case errors.As(err, &own):
		if own.stdout {
			fmt.Fprintln(e.stdout, own.text)
		} else {
			fmt.Fprintln(e.stderr, own.text)
		}
		return exitError
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "%s\n%s --help shows its options\n", usage.message, name)
		return exitError
	}
	return min(e.exitCode(err), exitError)
}

// toolFlags are the flags that all tools have, and help made of all.
type toolFlags struct {
	flagSet
	version bool
}

func (e *env) newToolFlags() *toolFlags {
	f := &toolFlags{}
	e.bootstrap, e.commandConfig = e.getenv("BARNABAS_BOOTSTRAP"), e.getenv("BARNABAS_COMMAND_CONFIG")
	f.string(&e.bootstrap, "bootstrap-server", 0, "HOST:PORT,...", "brokers to ask first")
	f.string(&e.commandConfig, "command-config", 0, "FILE", "properties of the client")
	f.bool(&f.version, "version", 0, "show the version")
	return f
}

// parseTool reads a tool's command line. Nothing may stand beside the flags.
func (e *env) parseTool(f *toolFlags, args []string) error {
	positional, err := f.parse(args)
	if errors.Is(err, errHelp) {
		fmt.Fprintln(e.stdout, "Options:")
		for i := range f.flags {
			fmt.Fprintf(e.stdout, "  --%-38s %s\n", f.flags[i].name+" "+f.flags[i].value, f.flags[i].usage)
		}
		return errHelp
	}
	if err == nil && len(positional) > 0 {
		err = fmt.Errorf("%q is not an option", positional[0])
	}
	if err != nil {
		return &usageError{message: err.Error()}
	}
	if f.version {
		fmt.Fprintln(e.stdout, "barnabas")
		return errHelp
	}
	if e.bootstrap == "" {
		return &usageError{message: "Missing required argument \"[bootstrap-server]\""}
	}
	return nil
}

// nameFilter is Kafka's way to name topics in tools: a regular expression in which a
// comma parts alternatives.
func nameFilter(pattern string) (func(string) bool, error) {
	if pattern == "" {
		return func(string) bool { return true }, nil
	}
	cleaned := strings.Trim(strings.NewReplacer(",", "|", " ", "").Replace(pattern), `"'`)
	re, err := regexp.Compile("^(?:" + cleaned + ")$")
	if err != nil {
		return nil, &usageError{message: fmt.Sprintf("%s is an invalid regex.", pattern)}
	}
	return re.MatchString, nil
}

// brokerMessage is what the broker said against a request, in its own words.
func brokerMessage(code int16, message *string) string {
	if message != nil && *message != "" {
		return *message
	}
	if e := kerr.TypedErrorForCode(code); e != nil {
		return e.Description
	}
	return fmt.Sprintf("error %d", code)
}
