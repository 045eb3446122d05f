package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// dumpComplaints are what DumpLogSegments prints instead of failing.
var dumpComplaints = regexp.MustCompile(`(?i)mismatch|isvalid: false|non-consecutive|exception|out of order|corrupt|could not|error`)

// dump runs Apache's DumpLogSegments over every file of a data directory, and holds the
// number of records that it finds against what a consumer read.
func (r *runner) dump(dataDir string, before *state) error {
	var files []string
	counts := map[string]int{}
	err := filepath.WalkDir(dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), "__cluster_metadata") {
			return fs.SkipDir
		}
		switch ext := filepath.Ext(path); ext {
		case ".log", ".index", ".timeindex", ".snapshot", ".txnindex":
			if strings.HasSuffix(filepath.Dir(path), "-delete") {
				return nil
			}
			files = append(files, path)
			counts[ext]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Printf("     dump     %v\n", counts)
	var wrong []error
	found := map[string]int{}
	for some := range slices.Chunk(files, 200) {
		out, err := r.dumpLog(some)
		if err != nil {
			return err
		}
		wrong = append(wrong, scanDump(out, found)...)
	}
	for name, t := range before.topics {
		for i, p := range t.partitions {
			at := fmt.Sprintf("%s-%d", name, i)
			// Records below the log start may still lie in its segment.
			if !strings.HasPrefix(name, "__") && (found[at] < len(p.records) || p.start == 0 && found[at] != len(p.records)) {
				wrong = append(wrong, fmt.Errorf("%s: %d records in the files, a consumer read %d", at, found[at], len(p.records)))
			}
		}
	}
	return errors.Join(wrong[:min(len(wrong), 20)]...)
}

func (r *runner) dumpLog(files []string) ([]byte, error) {
	libs, err := r.cache.Jars("3.9.2")
	if err != nil {
		return nil, err
	}
	classPath, err := r.cache.ToolClassPath(libs)
	if err != nil {
		return nil, err
	}
	args := slices.Concat(peers.ToolJVM, []string{"-cp", classPath, "kafka.tools.DumpLogSegments",
		"--deep-iteration", "--files", strings.Join(files, ",")})
	cmd := exec.Command("java", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("DumpLogSegments: %w: %s", err, out[max(0, len(out)-2000):])
	}
	return out, nil
}

var dumping = regexp.MustCompile(`^Dumping (.*)$`)

// scanDump counts records by partition folder and collects complaints.
func scanDump(out []byte, found map[string]int) []error {
	var wrong []error
	folder, file := "", ""
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := dumping.FindStringSubmatch(line); m != nil {
			file = m[1]
			folder = filepath.Base(filepath.Dir(file))
			continue
		}
		if strings.HasPrefix(line, "| offset:") && strings.HasSuffix(file, ".log") {
			found[folder]++
			continue
		}
		if dumpComplaints.MatchString(line) {
			wrong = append(wrong, fmt.Errorf("%s: %.300s", file, line))
		}
	}
	return append(wrong, lines.Err())[:len(wrong)+boolInt(lines.Err() != nil)]
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// properties reads a meta.properties.
func properties(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	p := map[string]string{}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			p[key] = value
		}
	}
	return p, nil
}
