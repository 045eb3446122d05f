package peers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is one started program whose output goes to a file.
type Process struct {
	Pid     int
	LogPath string

	cmd  *exec.Cmd
	done chan struct{} // closed once the process has been waited for
	err  error         // what Wait said; read after done
}

// startProcess starts a program in its own process group. It dies with us.
func startProcess(logPath, dir string, env []string, program string, args ...string) (*Process, error) {
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{Pid: cmd.Process.Pid, LogPath: logPath, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is how the process ended; nil for exit code 0. Only after Done.
func (p *Process) Err() error { return p.err }

// Kill ends the process as a power cut would, and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process to end and waits for it; after the patience is spent it kills it
// and says so.
func (p *Process) Stop(patience time.Duration) error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(patience):
		p.Kill()
		return fmt.Errorf("process %d did not stop within %v of SIGTERM", p.Pid, patience)
	}
}

// waitForPort waits until something listens on addr, as long as the process lives.
func (p *Process) waitForPort(addr string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			conn.Close()
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("process ended before it listened on %s: %v\n%s", addr, p.err, p.logTail())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing listens on %s after %v\n%s", addr, patience, p.logTail())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (p *Process) logTail() []byte {
	data, err := os.ReadFile(p.LogPath)
	if err != nil {
		return []byte(err.Error())
	}
	return tail(data, 4000)
}

func mkdirs(paths ...string) error {
	for _, p := range paths {
		if err := os.MkdirAll(filepath.Clean(p), 0o755); err != nil {
			return err
		}
	}
	return nil
}
