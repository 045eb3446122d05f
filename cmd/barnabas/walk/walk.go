// Package walk runs the commands of a document as they stand in it.
//
// A document's blocks of ```sh are one script, run by bash in an empty directory; its blocks
// of ```text are lines that the script has to print, in that order, each somewhere in a line.
// A word behind sh and text tells several scripts of one document apart. Only ports are
// replaced: those of localhost: and :// by free ones, so that a walk stands in nobody's way.
package walk

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Walk is the script of a document.
type Walk struct {
	Script string
	Want   []string
}

// Parse takes the walk of a name out of a document.
func Parse(document []byte, name string) Walk {
	var w Walk
	kind := ""
	for line := range strings.Lines(string(document)) {
		line = strings.TrimSuffix(line, "\n")
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && kind != "":
			kind = ""
		case isFence:
			kind = "other"
			for _, k := range []string{"sh", "text"} {
				if fence == strings.TrimSpace(k+" "+name) {
					kind = k
				}
			}
		case kind == "sh":
			w.Script += line + "\n"
		case kind == "text":
			w.Want = append(w.Want, line)
		}
	}
	return w
}

var port = regexp.MustCompile(`(localhost:|://[a-z0-9.]*:)(9[0-9]{3})\b`)

// WithFreePorts replaces each port by a free one.
func (w Walk) WithFreePorts() (Walk, error) {
	free := map[string]string{}
	var failed error
	replace := func(s string) string {
		return port.ReplaceAllStringFunc(s, func(m string) string {
			parts := port.FindStringSubmatch(m)
			if free[parts[2]] == "" {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					failed = err
					return m
				}
				defer l.Close()
				_, free[parts[2]], _ = net.SplitHostPort(l.Addr().String())
			}
			return parts[1] + free[parts[2]]
		})
	}
	out := Walk{Script: replace(w.Script)}
	for _, line := range w.Want {
		out.Want = append(out.Want, replace(line))
	}
	return out, failed
}

// Run runs the walk in dir, with bin first on the PATH, and returns what it printed. What it
// leaves running is ended.
func (w Walk) Run(ctx context.Context, dir, bin string, env ...string) (output string, err error) {
	if w.Script == "" {
		return "", fmt.Errorf("the document has no such walk")
	}
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", w.Script)
	var out bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err = cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // a broker that the script did not come to stop
	if err != nil {
		return out.String(), fmt.Errorf("the script of the document: %w", err)
	}
	rest := out.String()
	for _, want := range w.Want {
		i := strings.Index(rest, want)
		if i < 0 {
			return out.String(), fmt.Errorf("%q is not printed, or not in its place", want)
		}
		if end := strings.IndexByte(rest[i:], '\n'); end >= 0 {
			rest = rest[i+end:]
		} else {
			rest = ""
		}
	}
	return out.String(), nil
}
