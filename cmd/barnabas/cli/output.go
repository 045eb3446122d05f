package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table is rows of text under headings. A heading that begins with > is set to the right.
type table struct {
	headings []string
	rows     [][]string
}

func newTable(headings ...string) *table { return &table{headings: headings} }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// writeTo writes the table with its columns aligned. Control characters are shown
// escaped: names and values come from other people.
func (t *table) writeTo(w io.Writer) error {
	right := make([]bool, len(t.headings))
	widths := make([]int, len(t.headings))
	headings := make([]string, len(t.headings))
	for i, h := range t.headings {
		headings[i] = strings.TrimPrefix(h, ">")
		right[i] = h != headings[i]
		widths[i] = len(headings[i])
	}
	for _, row := range t.rows {
		for i := range row {
			row[i] = printable(row[i])
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	b := bufio.NewWriter(w)
	var text []byte
	line := func(cells []string) {
		text = text[:0]
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if right[i] {
				text = append(append(text, pad...), cell...)
			} else {
				text = append(append(text, cell...), pad...)
			}
			text = append(text, "  "...)
		}
		b.Write(bytes.TrimRight(text, " "))
		b.WriteByte('\n')
	}
	line(headings)
	for _, row := range t.rows {
		line(row)
	}
	return b.Flush()
}

// printable escapes what would move a terminal's cursor.
func printable(s string) string {
	for _, r := range s {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError {
			quoted := strconv.Quote(s)
			return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
		}
	}
	return s
}

// show writes a result: v as JSON, or what text makes of it.
func (e *env) show(v any, text func(w io.Writer) error) error {
	if e.output != "json" {
		return text(e.stdout)
	}
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// done reports something that was done, for people; -o json has results instead.
func (e *env) done(results any, lines ...string) error {
	return e.show(results, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
		return err
	})
}

func number[T ~int | ~int16 | ~int32 | ~int64](n T) string { return strconv.FormatInt(int64(n), 10) }

// orDash is - for numbers that are not known.
func orDash(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

func textOrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func numbers(list []int32) string {
	var b strings.Builder
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(int(n)))
	}
	return textOrDash(b.String())
}

// size writes bytes as people read them.
func size(n int64) string {
	if n < 0 {
		return "-"
	}
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n), 0
	for value >= 1024 && unit < 5 {
		value /= 1024
		unit++
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + "KMGTP"[unit-1:unit] + "iB"
}

func timestamp(ms int64) string {
	if ms < 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}
