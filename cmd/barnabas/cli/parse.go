package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// splitList splits at commas and drops what is empty.
func splitList(s string) []string {
	var list []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// keyValues reads key=value arguments. The value may hold anything, commas included.
func keyValues(args []string) ([][2]string, error) {
	var out [][2]string
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, badUsage("%q is not key=value", arg)
		}
		out = append(out, [2]string{key, value})
	}
	return out, nil
}

// partitionList reads partition numbers: 0,3,5-7.
func partitionList(s string) ([]int32, error) {
	var list []int32
	for _, item := range splitList(s) {
		from, to, isRange := strings.Cut(item, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.ParseInt(from, 10, 32)
		last, err2 := strconv.ParseInt(to, 10, 32)
		if err1 != nil || err2 != nil || first < 0 || last < first || last-first > 1_000_000 {
			return nil, badUsage("%q is not a list of partitions such as 0,3,5-7", s)
		}
		for n := first; n <= last; n++ {
			list = append(list, int32(n))
		}
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

// topicPartitions reads TOPIC or TOPIC:0,3,5-7.
func topicPartitions(s string) (topic string, partitions []int32, err error) {
	topic, list, some := strings.Cut(s, ":")
	if !some {
		return topic, nil, nil
	}
	partitions, err = partitionList(list)
	if err == nil && len(partitions) == 0 {
		err = badUsage("%q names no partition after its colon", s)
	}
	return topic, partitions, err
}

// moment reads a point in time: milliseconds since 1970, RFC 3339 with or without a zone
// (local time without), a date, or a duration before now such as -1h.
func moment(s string, now time.Time) (time.Time, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms >= 0 {
		return time.UnixMilli(ms), nil
	}
	if before, ok := strings.CutPrefix(s, "-"); ok {
		if d, err := time.ParseDuration(before); err == nil {
			return now.Add(-d), nil
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.999Z0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: milliseconds since 1970, 2026-01-31T12:00:00Z, 2026-01-31, or -1h for an hour ago", s)
}

// isoDuration reads PnDTnHnMnS, as Kafka's own tools write durations.
func isoDuration(s string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(strings.ToUpper(s), "P")
	if !ok || rest == "" {
		return 0, false
	}
	var total float64
	inTime := false
	for rest != "" {
		if rest[0] == 'T' && !inTime {
			inTime, rest = true, rest[1:]
			continue
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
		if n <= 0 {
			return 0, false
		}
		value, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, false
		}
		var seconds float64
		switch {
		case rest[n] == 'D' && !inTime:
			seconds = 86400
		case rest[n] == 'H' && inTime:
			seconds = 3600
		case rest[n] == 'M' && inTime:
			seconds = 60
		case rest[n] == 'S' && inTime:
			seconds = 1
		default:
			return 0, false
		}
		total += value * seconds
		rest = rest[n+1:]
	}
	if total > float64(1<<62)/1e9 {
		return 0, false
	}
	return time.Duration(total * float64(time.Second)), true
}
