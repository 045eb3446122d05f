package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/broker/loggers"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
)

// shutdownTimeout is how long a stop may take before the process gives up; the next start
// then recovers.
const shutdownTimeout = 5 * time.Minute

// start runs a broker until a signal stops it.
func start(args []string, stdout, stderr io.Writer) int {
	options, err := parseStart(args)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, usage)
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "barnabas start: %v\n\n%s", err, usage)
		return 1
	}
	options.Environ = os.Environ()
	options.SecureListeners = true
	c, err := config.Load(options)
	if err != nil {
		explainConfigError(stderr, err)
		return 1
	}
	registry := loggers.New(rootLevel(c.Broker().LogLevel))
	logger := registry.Logger(loggers.Root, newLogHandler(stdout, c.Broker().LogFormat))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		// The live heap is small; fewer cycles cost little memory.
		debug.SetGCPercent(200)
	}
	if err := serve(ctx, c, logger, registry); err != nil {
		logger.Error("Exiting Kafka due to fatal exception", "err", err)
		fmt.Fprintln(stderr, "barnabas:", err)
		return 1
	}
	return 0
}

var errHelp = errors.New("help")

// parseStart reads the arguments of start: a file and overrides, in Kafka's form.
func parseStart(args []string) (config.Options, error) {
	var o config.Options
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--override":
			if i++; i == len(args) {
				return o, errors.New("--override needs key=value")
			}
			o.Overrides = append(o.Overrides, args[i])
		case strings.HasPrefix(arg, "--override="):
			o.Overrides = append(o.Overrides, strings.TrimPrefix(arg, "--override="))
		case arg == "--env":
			o.MapEnvironment = true
		case arg == "-h" || arg == "--help":
			return o, errHelp
		case strings.HasPrefix(arg, "-"):
			return o, fmt.Errorf("unknown flag %s", arg)
		case o.File != "":
			return o, fmt.Errorf("two files, %s and %s", o.File, arg)
		default:
			o.File = arg
		}
	}
	return o, nil
}

func explainConfigError(stderr io.Writer, err error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			fmt.Fprintln(stderr, "barnabas:", p)
		}
		return
	}
	fmt.Fprintln(stderr, "barnabas:", err)
}

// serve runs a broker until ctx ends.
func serve(ctx context.Context, c *config.Config, logger *slog.Logger, registry *loggers.Registry) error {
	began := time.Now()
	for _, note := range server.Notes(c) {
		if note.Warn() {
			logger.Warn(note.String())
		} else {
			logger.Info(note.String())
		}
	}
	for _, w := range c.Weaknesses() {
		if !w.Local && w.Key != adminListenerKey { // that port warns of itself
			logger.Warn("Insecure: "+w.Text, "key", w.Key)
		}
	}
	logger.Info(server.EffectiveConfig(c))
	port, err := openAdmin(ctx, c, logger)
	if err != nil {
		return err
	}
	if port != nil {
		defer port.Close()
	}
	s, err := server.Open(ctx, server.Options{Config: c, Version: versionString(), Logger: logger, Loggers: registry})
	if err != nil {
		return err
	}
	if port != nil {
		port.SetBroker(s.Broker())
	}
	for name, address := range s.Broker().Addresses() {
		logger.Info("Awaiting socket connections on " + address + " (" + name + ")")
	}
	logger.Info(fmt.Sprintf("[KafkaRaftServer nodeId=%d] Kafka Server started", s.NodeID()), "took", time.Since(began).Round(time.Microsecond).String())
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.Failed():
		logger.Error("Shutdown broker because the metadata log dir has failed", "err", failure)
	}
	logger.Info(fmt.Sprintf("[KafkaRaftServer nodeId=%d] shutting down", s.NodeID()))
	closing, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := errors.Join(failure, s.Close(closing)); err != nil {
		return err
	}
	logger.Info("shut down completed")
	return nil
}
