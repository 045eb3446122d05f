package cli

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMomentReadsTheFormsThatPeopleWrite(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, zone)
	for _, tt := range []struct{ text, want string }{
		{"1767225600000", "2026-01-01T00:00:00Z"},
		{"2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"},
		{"2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00Z"},
		{"2026-01-31T12:00:00.000+0100", "2026-01-31T11:00:00Z"},
		{"2026-01-31T12:00:00.500", "2026-01-31T10:00:00.5Z"},
		{"2026-01-31 12:00:00", "2026-01-31T10:00:00Z"},
		{"2026-01-31", "2026-01-30T22:00:00Z"},
		{"-1h30m", "2026-11-23T08:30:00Z"},
		{"0", "1970-01-01T00:00:00Z"},
		{"tomorrow", ""}, {"", ""}, {"-", ""}, {"-5", ""}, {"2026-13-01", ""},
	} {
		got, err := moment(tt.text, now)
		if (err != nil) != (tt.want == "") || err == nil && got.UTC().Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%q is %v, %v, not %s", tt.text, got.UTC().Format(time.RFC3339Nano), err, tt.want)
		}
	}
}

func TestISODurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT1H30M": 90 * time.Minute, "P1D": 24 * time.Hour, "P1DT0H0M0.5S": 24*time.Hour + 500*time.Millisecond, "pt5s": 5 * time.Second,
		"P": 0, "1H": 0, "PT": 0, "P1H": 0, "PT1D": 0, "PTxS": 0, "P999999999999D": 0,
	} {
		got, ok := isoDuration(text)
		if ok != (want != 0 || text == "PT") || got != want {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
}

func TestPartitionLists(t *testing.T) {
	got, err := partitionList("5, 0,3-4,4")
	if err != nil || !slices.Equal(got, []int32{0, 3, 4, 5}) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"a", "-1", "3-1", "1-", "0-99999999", "4294967296"} {
		if got, err := partitionList(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestFlagsMixWithArguments(t *testing.T) {
	var s string
	var n int64
	var a, b bool
	f := &flagSet{}
	f.string(&s, "name", 'n', "NAME", "")
	f.int64(&n, "count", 0, "N", "")
	f.bool(&a, "all", 'a', "")
	f.bool(&b, "big", 'b', "")
	rest, err := f.parse(strings.Fields("one --count=-3 -nval two -ab three -- -x --y"))
	if err != nil || s != "val" || n != -3 || !a || !b || !slices.Equal(rest, []string{"one", "two", "three", "-x", "--y"}) {
		t.Errorf("%q %d %v %v %q %v", s, n, a, b, rest, err)
	}
	if _, err := f.parse([]string{"--all=false", "-"}); err != nil || a {
		t.Errorf("%v, %v", a, err)
	}
	for _, bad := range []string{"--nothing", "-x", "--name", "--count=x", "--all=perhaps", "-axb"} {
		if _, err := f.parse([]string{bad}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestTablesCannotMoveTheCursor(t *testing.T) {
	table := newTable("NAME", ">N")
	table.row("a\x1b[2Jb\n", "1")
	table.row("plain ü", "22")
	var b strings.Builder
	if err := table.writeTo(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME          N\n" + `a\x1b[2Jb\n   1` + "\n" + "plain ü      22\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestToolNames(t *testing.T) {
	for program, want := range map[string]string{
		"/opt/kafka/bin/kafka-topics.sh": "kafka-topics", "kafka-configs": "kafka-configs", "barnabas": "", "./bin/barnabas": "", "/kafka-x/barnabas": "",
	} {
		if got := ToolName(program); got != want {
			t.Errorf("%s is %q", program, got)
		}
	}
}

func TestEveryCommandHasHelpAndNoFlagTwice(t *testing.T) {
	var walk func(c *command, path string)
	walk = func(c *command, path string) {
		for _, sub := range c.sub {
			walk(sub, path+" "+sub.name)
		}
		if len(c.sub) > 0 {
			return
		}
		if c.summary == "" || c.run == nil || !strings.Contains(c.help(path), "Usage: "+path) {
			t.Errorf("%s lacks help", path)
		}
		seen := map[string]bool{}
		for _, f := range c.allFlags().flags {
			for _, name := range []string{"--" + f.name, "-" + string(f.short)} {
				if name != "-\x00" && seen[name] {
					t.Errorf("%s has %s twice", path, name)
				}
				seen[name] = true
			}
		}
	}
	walk(root(), "barnabas")
}
