package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/log"
	"github.com/barnabas-broker/barnabas/metadata/controller"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
)

// shutdownTimeout is how long a stop may take before the process gives up; the next start
// then recovers.
const shutdownTimeout = 5 * time.Minute

// start runs a broker until a signal stops it.
func start(args []string, stdout, stderr io.Writer) int {
	options, err := parseStart(args)
	if err != nil {
		fmt.Fprintf(stderr, "barnabas start: %v\n\n%s", err, usage)
		return 1
	}
	options.Environ = os.Environ()
	c, err := config.Load(options)
	if err != nil {
		explainConfigError(stderr, err)
		return 1
	}
	logger := slog.New(newLogHandler(stdout, c.Broker().LogFormat, c.Broker().LogLevel))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		// The live heap is small; fewer cycles cost little memory.
		debug.SetGCPercent(200)
	}
	if err := serve(ctx, c, logger); err != nil {
		logger.Error("Exiting Kafka due to fatal exception", "err", err)
		fmt.Fprintln(stderr, "barnabas:", err)
		return 1
	}
	return 0
}

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

// serve opens everything, in order, runs until ctx ends, and closes in reverse.
func serve(ctx context.Context, c *config.Config, logger *slog.Logger) error {
	began := time.Now()
	b := c.Broker()
	for _, note := range config.Collapse(c.Notes()) {
		if note.Warn() {
			logger.Warn(note.String())
		} else {
			logger.Info(note.String())
		}
	}
	logger.Info("KafkaConfig values:\n\t" + strings.Join(c.Print(false), "\n\t"))
	_, _, _, clamped := c.ClampReplicationFactors(1)
	for _, note := range clamped {
		logger.Warn(note.String())
	}
	for _, dir := range append([]string{b.MetadataLogDir}, b.LogDirs...) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}

	logs, err := log.OpenManager(ctx, log.ManagerOptions{
		Dirs: b.LogDirs, NodeID: b.NodeID, Config: c.Topic(nil), Logger: logger,
		RecoveryThreads:         0,
		RetentionInterval:       b.Log.RetentionCheckInterval,
		FlushCheckInterval:      b.Log.FlushSchedulerInterval,
		CheckpointInterval:      b.Log.FlushOffsetCheckpointInterval,
		StartCheckpointInterval: b.Log.FlushStartOffsetCheckpointInterval,
		WatermarkInterval:       b.Replication.HighWatermarkCheckpointInterval,
		ProducerExpirationCheck: b.Log.ProducerIDExpirationCheckInterval,
	})
	if err != nil {
		return err
	}
	running := &runningBroker{logger: logger, logs: logs}
	defer running.close()
	schema := &config.Schema{Current: func() *config.Config {
		if running.broker != nil {
			return running.broker.Config()
		}
		return c
	}}
	dirs := logs.Dirs()
	running.store, err = raftstore.Open(ctx, raftstore.Options{
		Dir: filepath.Join(b.MetadataLogDir, raftstore.DirName), NodeID: logs.NodeID(),
		DirectoryID: dirs[0].ID, ClusterID: logs.ClusterID(),
		Controller: controller.Options{
			DefaultPartitions: b.Topics.NumPartitions, DefaultReplicationFactor: min(b.Topics.DefaultReplicationFactor, 1),
			Schema: schema, SessionTimeout: b.Metadata.BrokerSessionTimeout,
			Features: broker.SupportedFeatures(),
		},
		RebalanceInterval: b.Replication.LeaderImbalanceCheckInterval,
		NoRebalance:       !b.Replication.AutoLeaderRebalanceEnable,
		Logger:            logger,
	})
	if err != nil {
		return err
	}
	running.broker, err = broker.Start(ctx, broker.Options{
		NodeID: logs.NodeID(), HostName: host, Config: c, Logs: logs, Store: running.store,
		Version: versionString(), Logger: logger,
	})
	if err != nil {
		return err
	}
	addresses := running.broker.Addresses()
	for name, address := range addresses {
		logger.Info("Awaiting socket connections on " + address + " (" + name + ")")
	}
	logger.Info(fmt.Sprintf("[KafkaRaftServer nodeId=%d] Kafka Server started", logs.NodeID()), "took", time.Since(began).Round(time.Microsecond).String())
	<-ctx.Done()
	logger.Info(fmt.Sprintf("[KafkaRaftServer nodeId=%d] shutting down", logs.NodeID()))
	return running.close()
}

// runningBroker is what close has to close, in reverse order of opening.
type runningBroker struct {
	logger *slog.Logger
	logs   *log.Manager
	store  *raftstore.Store
	broker *broker.Broker
	closed bool
}

func (r *runningBroker) close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var errs []error
	if r.broker != nil {
		errs = append(errs, r.broker.Close(ctx))
	}
	if r.logs != nil {
		errs = append(errs, r.logs.Close(ctx))
	}
	if r.store != nil {
		errs = append(errs, r.store.Close())
	}
	err := errors.Join(errs...)
	if err == nil {
		r.logger.Info("shut down completed")
	}
	return err
}
