package loggers

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestALoggerWithoutALevelFollowsTheNearestAbove(t *testing.T) {
	var out bytes.Buffer
	h := slog.NewTextHandler(&out, &slog.HandlerOptions{Level: LevelTrace})
	r := New(slog.LevelInfo)
	top, below, other := r.Logger("a", h), r.Logger("a.b.c", h).With("x", 1), r.Logger("d", h)
	check := func(logger *slog.Logger, level slog.Level, want bool) {
		t.Helper()
		out.Reset()
		logger.Log(t.Context(), level, "m")
		if got := strings.Contains(out.String(), "msg=m"); got != want {
			t.Errorf("level %v: logged is %v, want %v", level, got, want)
		}
	}
	check(below, slog.LevelDebug, false)
	check(below, slog.LevelInfo, true)
	r.Set("a", slog.LevelDebug)
	check(below, slog.LevelDebug, true)
	check(top, slog.LevelDebug, true)
	check(other, slog.LevelDebug, false)
	r.Set("a.b.c", LevelFatal)
	check(below, slog.LevelError, false)
	check(below, LevelFatal, true)
	r.Unset("a.b.c")
	check(below, slog.LevelDebug, true)
	r.Set(Root, LevelTrace)
	check(other, LevelTrace, true)
	check(top, LevelTrace, false)
	if r.Unset(Root) || r.Set("none", slog.LevelInfo) || r.Unset("none") || r.Has("none") {
		t.Error("the root was unset, or an unknown logger was known")
	}
	want := []Level{{"a", "DEBUG"}, {"a.b.c", "DEBUG"}, {"d", "TRACE"}, {"root", "TRACE"}}
	if got := r.Levels(); len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Error(got)
	}
}

func TestLevelsHaveKafkasNames(t *testing.T) {
	for _, name := range LevelNames() {
		level, ok := ParseLevel(name)
		if !ok || LevelName(level) != name {
			t.Errorf("%s is %v, which is %s", name, level, LevelName(level))
		}
	}
	if _, ok := ParseLevel("info"); ok {
		t.Error("info is not INFO")
	}
}
