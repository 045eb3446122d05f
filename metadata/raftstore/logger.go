package raftstore

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger passes what Raft has to say to slog, one level more quietly: what Raft calls
// information is its own business, and a single node warns of the elections it has with
// itself.
type raftLogger struct {
	logger *slog.Logger
	name   string
	quiet  bool // warnings are nothing to worry about
}

func (l *raftLogger) level(level hclog.Level) slog.Level {
	switch {
	case level >= hclog.Error:
		return slog.LevelError
	case level == hclog.Warn && !l.quiet:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (l *raftLogger) Log(level hclog.Level, msg string, args ...any) {
	if level <= hclog.Trace {
		return
	}
	if to := l.level(level); l.logger.Enabled(context.Background(), to) {
		l.logger.Log(context.Background(), to, "Raft: "+msg, args...)
	}
}

func (l *raftLogger) Trace(msg string, args ...any) {}
func (l *raftLogger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLogger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLogger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLogger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLogger) IsTrace() bool { return false }
func (l *raftLogger) IsDebug() bool {
	return l.logger.Enabled(context.Background(), slog.LevelDebug)
}
func (l *raftLogger) IsInfo() bool  { return l.IsDebug() }
func (l *raftLogger) IsWarn() bool  { return true }
func (l *raftLogger) IsError() bool { return true }

func (l *raftLogger) ImpliedArgs() []any { return nil }
func (l *raftLogger) With(args ...any) hclog.Logger {
	return &raftLogger{l.logger.With(args...), l.name, l.quiet}
}
func (l *raftLogger) Name() string { return l.name }
func (l *raftLogger) Named(name string) hclog.Logger {
	return &raftLogger{l.logger, name, l.quiet}
}
func (l *raftLogger) ResetNamed(name string) hclog.Logger { return l.Named(name) }
func (l *raftLogger) SetLevel(hclog.Level)                {}
func (l *raftLogger) GetLevel() hclog.Level               { return hclog.Debug }
func (l *raftLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(nil), "", 0)
}

// StandardWriter discards: nothing that we use asks for it.
func (l *raftLogger) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }
