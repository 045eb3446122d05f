package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/clientconf"
)

// Exit codes.
const (
	exitOK         = 0
	exitError      = 1 // the cluster refused, or could not be reached
	exitUsage      = 2 // the command line makes no sense
	exitIncomplete = 3 // consume got fewer records than it was to wait for
	exitFound      = 4 // acl lint found something
)

const defaultBootstrap = "localhost:9092"

// env is what one call has to work with.
type env struct {
	ctx    context.Context
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string

	bootstrap     string // "": what the client's properties say, else defaultBootstrap
	commandConfig string // a file of a Kafka client's properties
	properties    []string
	output        string // table or json
	timeout       time.Duration

	lines *bufio.Reader      // of stdin, for questions
	conf  *clientconf.Client // made when it is first needed
}

// Streams are the outside of a call.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// Run runs one command line, without the program's name, and returns the exit code. A
// Kafka tool's name may stand first.
func Run(args []string, s Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	e := &env{ctx: ctx, stdin: s.Stdin, stdout: s.Stdout, stderr: s.Stderr, getenv: s.Getenv}
	if len(args) > 0 {
		if tool := ToolName(args[0]); tool != "" {
			return e.runTool(tool, args[1:])
		}
	}
	return e.exitCode(e.dispatch(args))
}

// Has says whether name is a command of this package.
func Has(name string) bool {
	return name == completeCommand || ToolName(name) != "" || slices.ContainsFunc(root().sub, func(c *command) bool { return c.name == name })
}

// Usage is the part of the program's help that names the commands of this package.
func Usage() string {
	var b strings.Builder
	for _, c := range root().sub {
		fmt.Fprintf(&b, "  barnabas %-19s %s\n", c.name, c.summary)
	}
	return b.String()
}

// root is the tree of commands.
func root() *command {
	return &command{name: "barnabas", sub: []*command{
		topicCommand(), groupCommand(), configCommand(), produceCommand(), consumeCommand(), clusterCommand(),
		aclCommand(), userCommand(), tokenCommand(), certCommand(), completionCommand(),
	}}
}

func (e *env) dispatch(args []string) error {
	if len(args) > 0 && args[0] == completeCommand {
		e.complete(args[1:])
		return nil
	}
	return e.run(root(), args)
}

// run finds the command that args name, reads its flags and runs it.
func (e *env) run(c *command, args []string) error {
	path := c.name
	for len(c.sub) > 0 {
		if len(args) == 0 || isHelp(args[0]) {
			if len(args) == 0 && c.name != "barnabas" {
				fmt.Fprint(e.stderr, c.help(path))
				return errSilentUsage
			}
			fmt.Fprint(e.stdout, c.help(path))
			return nil
		}
		next := c.find(args[0])
		if next == nil {
			return &usageError{path: path, message: fmt.Sprintf("there is no command %q; there are %s", args[0], strings.Join(c.subNames(), ", "))}
		}
		c, args = next, args[1:]
		path += " " + c.name
	}
	f := &flagSet{}
	e.globalFlags(f)
	if c.flags != nil {
		c.flags(f)
	}
	positional, err := f.parse(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(e.stdout, c.help(path))
		return nil
	}
	if err == nil {
		err = c.checkArgs(positional)
	}
	if err == nil && e.output != "table" && e.output != "json" {
		err = fmt.Errorf("-o is table or json, not %q", e.output)
	}
	if err != nil {
		return &usageError{path: path, message: err.Error()}
	}
	err = c.run(e, positional)
	var usage *usageError
	if errors.As(err, &usage) && usage.path == "" {
		usage.path = path
	}
	return err
}

// globalFlags are those that every command has.
func (e *env) globalFlags(f *flagSet) {
	e.bootstrap, e.output, e.timeout = e.getenv("BARNABAS_BOOTSTRAP"), "table", 10*time.Second
	e.commandConfig = e.getenv("BARNABAS_COMMAND_CONFIG")
	f.global = true
	f.string(&e.bootstrap, "bootstrap-server", 'b', "HOST:PORT,...", "brokers to ask first (BARNABAS_BOOTSTRAP, else "+defaultBootstrap+")")
	f.string(&e.commandConfig, "command-config", 'C', "FILE", "properties of the client: security.protocol, sasl.*, ssl.* (BARNABAS_COMMAND_CONFIG)")
	f.strings(&e.properties, "client-property", 'X', "KEY=VALUE", "a property of the client; may be repeated")
	f.string(&e.output, "output", 'o', "table|json", "how results are shown")
	f.duration(&e.timeout, "timeout", 0, "DURATION", "how long to wait for the cluster")
	f.global = false
}

// exitCode prints what went wrong, if anything, and says how the process ends.
func (e *env) exitCode(err error) int {
	var usage *usageError
	var incomplete *incompleteError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilentUsage):
		return exitUsage
	case errors.Is(err, syscall.EPIPE):
		return exitError // whoever read our output has gone and knows it
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "%s: %s\nSee: %s --help\n", usage.path, usage.message, usage.path)
		return exitUsage
	case errors.Is(err, errFound):
		return exitFound
	case errors.As(err, &incomplete):
		fmt.Fprintln(e.stderr, "barnabas:", incomplete)
		return exitIncomplete
	case errors.Is(err, context.Canceled) && e.ctx.Err() != nil:
		fmt.Fprintln(e.stderr, "barnabas: interrupted")
		return exitError
	}
	for _, one := range flatten(err) {
		f := e.explain(one)
		fmt.Fprintln(e.stderr, "barnabas:", f.Error())
		if f.do != "" {
			fmt.Fprintln(e.stderr, "  "+f.do)
		}
	}
	return exitError
}

// flatten takes joined errors apart, so that each gets its own line.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, one := range joined.Unwrap() {
			all = append(all, flatten(one)...)
		}
		return all
	}
	return []error{err}
}
