package loggers

import (
	"context"
	"log/slog"
	"sort"
	"strings"
	"sync"
)

// Root is the name of the logger that all others follow.
const Root = "root"

// NameKey is the attribute by which a named logger's records say whose they are.
const NameKey = "logger"

// Levels beyond slog's own, as Kafka names them.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelFatal = slog.LevelError + 4
)

// levels are Kafka's names; the order is that of its messages.
var levels = []struct {
	name  string
	level slog.Level
}{
	{"DEBUG", slog.LevelDebug}, {"ERROR", slog.LevelError}, {"FATAL", LevelFatal},
	{"INFO", slog.LevelInfo}, {"TRACE", LevelTrace}, {"WARN", slog.LevelWarn},
}

// ParseLevel reads a level's name, in capitals as Kafka wants it.
func ParseLevel(name string) (slog.Level, bool) {
	for _, l := range levels {
		if l.name == name {
			return l.level, true
		}
	}
	return 0, false
}

// LevelName is Kafka's name of a level, or of the next less severe one.
func LevelName(level slog.Level) string {
	name, best := "TRACE", LevelTrace
	for _, l := range levels {
		if l.level <= level && l.level > best {
			name, best = l.name, l.level
		}
	}
	return name
}

// LevelNames are the names that ParseLevel takes, in alphabetical order.
func LevelNames() []string {
	names := make([]string, len(levels))
	for i, l := range levels {
		names[i] = l.name
	}
	return names
}

// Registry is the loggers of one process and their levels. All methods may be called at
// any time from any goroutine.
type Registry struct {
	mu      sync.Mutex
	loggers map[string]*entry
}

// entry is one logger. effective is what counts, own and set are guarded by Registry.mu.
type entry struct {
	effective slog.LevelVar
	own       slog.Level
	set       bool
}

// New returns a registry whose root has the level.
func New(root slog.Level) *Registry {
	r := &Registry{loggers: map[string]*entry{Root: {own: root, set: true}}}
	r.settleLocked()
	return r
}

// Logger returns the logger of that name over the handler, which should let everything
// pass, or is that of another of the registry's loggers without a name. The name is
// registered if it is new; the root's records carry no name.
func (r *Registry) Logger(name string, h slog.Handler) *slog.Logger {
	r.mu.Lock()
	e := r.loggers[name]
	if e == nil {
		e = &entry{}
		r.loggers[name] = e
		r.settleLocked()
	}
	r.mu.Unlock()
	if inner, ok := h.(*handler); ok {
		h = inner.Handler
	}
	if name != Root {
		h = h.WithAttrs([]slog.Attr{slog.String(NameKey, name)})
	}
	return slog.New(&handler{Handler: h, level: &e.effective})
}

// Has says whether a logger of that name is registered.
func (r *Registry) Has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.loggers[name] != nil
}

// Set gives a registered logger a level of its own. It reports whether there is such a
// logger.
func (r *Registry) Set(name string, level slog.Level) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.loggers[name]
	if e == nil {
		return false
	}
	e.own, e.set = level, true
	r.settleLocked()
	return true
}

// Unset lets a registered logger follow those above it again. The root keeps its level.
func (r *Registry) Unset(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.loggers[name]
	if e == nil || name == Root {
		return false
	}
	e.set = false
	r.settleLocked()
	return true
}

// Level is one logger and the level that holds for it.
type Level struct{ Logger, Level string }

// Levels lists all loggers by name.
func (r *Registry) Levels() []Level {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Level, 0, len(r.loggers))
	for name, e := range r.loggers {
		list = append(list, Level{name, LevelName(e.effective.Level())})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Logger < list[j].Logger })
	return list
}

// settleLocked works out what holds for every logger.
func (r *Registry) settleLocked() {
	for name, e := range r.loggers {
		e.effective.Set(r.inheritedLocked(name))
	}
}

func (r *Registry) inheritedLocked(name string) slog.Level {
	for {
		if e := r.loggers[name]; e != nil && e.set {
			return e.own
		}
		i := strings.LastIndexByte(name, '.')
		if i <= 0 {
			return r.loggers[Root].own
		}
		name = name[:i]
	}
}

// handler lets pass what its logger's level wants.
type handler struct {
	slog.Handler
	level *slog.LevelVar
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level.Level() && h.Handler.Enabled(ctx, level)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{Handler: h.Handler.WithAttrs(attrs), level: h.level}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{Handler: h.Handler.WithGroup(name), level: h.level}
}
