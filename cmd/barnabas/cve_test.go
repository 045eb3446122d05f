package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/barnabas-broker/barnabas/broker/loggers"
)

// hostileTexts are what a client may call itself, its topics and its groups, to be
// interpreted by a logger, to make a line of its own, or to move a terminal's cursor.
var hostileTexts = []string{
	"${jndi:ldap://127.0.0.1:1389/a}", "${${lower:j}ndi:dns://x}", "${env:HOME}", "${sys:user.dir}", "%s%n%d%!v(MISSING)", "{}", "%X{a}", "a=b", `quo"te`, `back\slash`, "",
	"x\n[2026-01-01 00:00:00,000] INFO Principal = User:admin is Allowed (broker)", "x\r\nforged", "x\rforged", "\n", "\n\tforged",
	"\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\u009b31mred", "x\x00y", "\x7f\x7f\x7f", "\b\b\b", "\v\f", "\u0085forged", "\u2028forged", "\u2029forged", "\u202egnol", "\ufeffx", "\xff\xfe\xc0",
}

// The loggers of the log4j family looked up what stood in the text they were given (44228,
// 45046), took objects and queries from it (4104, 23302, 23305, 23307); ZooKeeper's let it
// forge lines (84439, 84501). Here text is text, in both formats, wherever in a record it
// stands: it is never interpreted, and a record is one line of printable characters.
func TestCVE_2021_44228_CVE_2021_45046_CVE_2021_4104_CVE_2022_23302_CVE_2022_23305_CVE_2022_23307_CVE_2026_84439_CVE_2026_84501_ARecordIsOneLineOfText(t *testing.T) {
	for _, format := range []string{"kafka", "json"} {
		for _, text := range hostileTexts {
			var out bytes.Buffer
			logger := loggers.New(loggers.LevelTrace).Logger(loggers.Root, newLogHandler(&out, format))
			records := []func(){
				func() { logger.Info(text) },
				func() { logger.Info("m", "clientId", text) },
				func() { logger.With("clientId", text).Warn("m") },
				func() { logger.Error("m", "err", errors.New(text)) },
				func() { logger.Error("m", "err", fmt.Errorf("read: %w", errors.New(text))) },
				func() { logger.Debug("m", slog.Group("g", "topic", text)) },
				func() { logger.WithGroup("g").Debug("m", "topic", text) },
				func() { logger.Info("m", "topics", []string{text}) },
			}
			for n, record := range records {
				out.Reset()
				record()
				line, ok := strings.CutSuffix(out.String(), "\n")
				if !ok || line == "" || !utf8.ValidString(line) {
					t.Errorf("%s, record %d of %q: %q", format, n, text, out.String())
				}
				if n == 0 && format == "kafka" { // settings are listed in lines that no record begins as
					line = strings.ReplaceAll(line, "\n\t", "")
				}
				for _, c := range line {
					// What JSON lets stand, slog's handler does: its lines are for programs.
					if c < ' ' || c == '\u2028' || c == '\u2029' || format == "kafka" && (c >= 0x7f && c < 0xa0 || c == '\u202e') {
						t.Errorf("%s, record %d of %q has %U: %q", format, n, text, c, line)
						break
					}
				}
				if format == "json" {
					if err := json.Unmarshal([]byte(line), &map[string]any{}); err != nil {
						t.Errorf("record %d of %q: %v in %s", n, text, err, line)
					}
				}
				if strings.ContainsAny(text, "$%{") && !strings.ContainsAny(text, "\n") && !strings.Contains(line, text) {
					t.Errorf("%s, record %d of %q is not what was said: %s", format, n, text, line)
				}
			}
		}
	}
}
