package main

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// newLogHandler returns slog's JSON handler, or one that writes the lines of Kafka's
// log4j pattern:
//
//	[2026-01-02 15:04:05,000] INFO message key=value ... (barnabas)
func newLogHandler(w io.Writer, format, level string) slog.Handler {
	var least slog.Level
	switch strings.ToUpper(level) {
	case "ERROR":
		least = slog.LevelError
	case "WARN":
		least = slog.LevelWarn
	case "DEBUG":
		least = slog.LevelDebug
	}
	if format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})
	}
	return &kafkaHandler{out: &lockedWriter{w: w}, least: least}
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// kafkaHandler writes one line per record, in one write.
type kafkaHandler struct {
	out   *lockedWriter
	least slog.Level
	attrs string // " key=value" of WithAttrs
	group string // "group." of WithGroup
}

func (h *kafkaHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

func (h *kafkaHandler) Handle(_ context.Context, r slog.Record) error {
	b := make([]byte, 0, 256)
	b = append(b, '[')
	b = r.Time.AppendFormat(b, "2006-01-02 15:04:05,000")
	b = append(b, "] "...)
	b = append(b, r.Level.String()...)
	b = append(b, ' ')
	b = append(b, r.Message...)
	b = append(b, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		b = appendAttr(b, h.group, a)
		return true
	})
	b = append(b, " (barnabas)\n"...)
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	_, err := h.out.w.Write(b)
	return err
}

func (h *kafkaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	var b []byte
	for _, a := range attrs {
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
	if strings.ContainsAny(s, " \t\n\"=") || s == "" {
		return strconv.AppendQuote(b, s)
	}
	return append(b, s...)
}
