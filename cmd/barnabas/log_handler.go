package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/barnabas-broker/barnabas/broker/loggers"
)

// newLogHandler returns slog's JSON handler, or one that writes the lines of Kafka's
// log4j pattern:
//
//	[2026-01-02 15:04:05,000] INFO message key=value ... (logger)
//
// It lets every level pass: the registry of loggers is what filters.
func newLogHandler(w io.Writer, format string) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: loggers.LevelTrace, ReplaceAttr: kafkaLevel})
	}
	return &kafkaHandler{out: &lockedWriter{w: w}, name: "barnabas"}
}

// kafkaLevel names levels as Kafka does.
func kafkaLevel(groups []string, a slog.Attr) slog.Attr {
	if level, ok := a.Value.Any().(slog.Level); ok && a.Key == slog.LevelKey && len(groups) == 0 {
		a.Value = slog.StringValue(loggers.LevelName(level))
	}
	return a
}

// rootLevel reads barnabas.log.level.
func rootLevel(name string) slog.Level {
	level, ok := loggers.ParseLevel(strings.ToUpper(name))
	if !ok {
		return slog.LevelInfo
	}
	return level
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// kafkaHandler writes one line per record, in one write.
type kafkaHandler struct {
	out   *lockedWriter
	name  string // of the logger
	attrs string // " key=value" of WithAttrs
	group string // "group." of WithGroup
}

func (h *kafkaHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *kafkaHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	b = append(b, '[')
	b = r.Time.AppendFormat(b, "2006-01-02 15:04:05,000")
	b = append(b, "] "...)
	b = append(b, loggers.LevelName(r.Level)...)
	b = append(b, ' ')
	b = appendMessage(b, r.Message)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.group, a)
		return true
	})
	b = append(b, " ("...)
	b = append(b, h.name...)
	b = append(b, ")\n"...)
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(b)
	return err
}

func (h *kafkaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	var b []byte
	for _, a := range attrs {
		if a.Key == loggers.NameKey && h.group == "" {
			next.name = a.Value.String()
			continue
		}
		b = appendAttr(b, h.group, a)
	}
	next.attrs += string(b)
	return &next
}

func (h *kafkaHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.group += name + "."
	return &next
}

func appendAttr(b []byte, group string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		for _, inner := range v.Group() {
			b = appendAttr(b, group+a.Key+".", inner)
		}
		return b
	}
	if a.Equal(slog.Attr{}) {
		return b
	}
	b = append(b, ' ')
	b = append(b, group...)
	b = append(b, a.Key...)
	b = append(b, '=')
	var s string
	if v.Kind() == slog.KindTime {
		s = v.Time().Format(time.RFC3339Nano)
	} else {
		s = v.String()
	}
	if strings.ContainsAny(s, " \"=") || s == "" || !printable(s) {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}

// appendMessage writes a message, what is not printable in it as escapes: names that clients
// choose stand in some, and none may begin a line or move a terminal's cursor. A line that
// is indented by a tab stays, as in the list of settings: no record begins so.
func appendMessage(b []byte, s string) []byte {
	if printable(s) {
		return append(b, s...)
	}
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		if strings.HasPrefix(s, "\n\t") {
			size = len("\n\t")
			b = append(b, s[:size]...)
		} else if c := s[:size]; printable(c) {
			b = append(b, c...)
		} else {
			quoted := strconv.Quote(c)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		s = s[size:]
	}
	return b
}

// printable says whether the text is UTF-8 that leaves a terminal's cursor on its line.
func printable(s string) bool {
	for i, c := range s {
		if !strconv.IsPrint(c) || c == utf8.RuneError && s[i] != "\ufffd"[0] {
			return false
		}
	}
	return true
}
