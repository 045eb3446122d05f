// Package procfs samples what a process has used, from Linux's /proc.
package procfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is what Linux counts processor time in for user space, on all machines.
const ticksPerSecond = 100

// Sample is what a process has used so far, with its children that have ended.
type Sample struct {
	CPU       time.Duration // user and system
	User      time.Duration // user alone
	RSSAnon   int64         // bytes
	RSS       int64         // bytes, with mapped files
	PeakRSS   int64         // bytes, the highest RSS ever
	OpenFiles int
	Threads   int
	At        time.Time
}

// Read samples a process.
func Read(pid int) (Sample, error) {
	s := Sample{At: time.Now()}
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return s, err
	}
	// The name, in parentheses, may hold blanks.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 15 {
		return s, fmt.Errorf("process %d: stat has %d fields", pid, len(f))
	}
	var ticks [4]int64 // utime, stime, cutime, cstime
	for i := range ticks {
		if ticks[i], err = strconv.ParseInt(f[11+i], 10, 64); err != nil {
			return s, err
		}
	}
	s.User = time.Duration(ticks[0]+ticks[2]) * time.Second / ticksPerSecond
	s.CPU = s.User + time.Duration(ticks[1]+ticks[3])*time.Second/ticksPerSecond
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, _ := strconv.ParseInt(number, 10, 64)
		switch key {
		case "RssAnon":
			s.RSSAnon = n << 10
		case "VmRSS":
			s.RSS = n << 10
		case "VmHWM":
			s.PeakRSS = n << 10
		case "Threads":
			s.Threads = int(n)
		}
	}
	if files, err := os.ReadDir(filepath.Join(dir, "fd")); err == nil {
		s.OpenFiles = len(files)
	}
	return s, nil
}
