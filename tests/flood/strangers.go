package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// strangers is the process that they are.
type strangers struct {
	cmd    *exec.Cmd
	once   sync.Once
	opened atomic.Int64 // connections so far
}

func startStrangers(what string, t *target, o options) (*strangers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "-attack", what+","+t.plaintext+","+t.encrypted,
		"-connections", strconv.Itoa(o.connections), "-rate", strconv.Itoa(o.rate))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &strangers{cmd: cmd}
	go func() {
		var n int64
		for {
			if _, err := fmt.Fscanln(said, &n); err != nil {
				return
			}
			s.opened.Store(n)
		}
	}()
	return s, nil
}

func (s *strangers) pid() int { return s.cmd.Process.Pid }

func (s *strangers) stop() {
	s.once.Do(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
}

// beStrangers is the other process. It ends by being killed, and in any case after ten
// minutes.
func beStrangers(args []string, o options) error {
	if len(args) != 3 {
		return fmt.Errorf("%d words where three were to be", len(args))
	}
	// All its threads, those to come too: Linux has a policy for each.
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			if err := unix.SchedSetAttr(id, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
				return err
			}
		}
	}
	leave := time.After(10 * time.Minute)
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	places := make(chan int, o.connections)
	for i := range o.connections {
		places <- i
	}
	opened := 0
	for credit := 0; ; {
		select {
		case <-leave:
			return nil
		case <-tick.C:
			credit = min(credit+o.rate/50, o.rate/50)
			fmt.Println(opened)
		}
		for ; credit > 0; credit-- {
			select {
			case i := <-places:
				opened++
				go func() {
					one := stranger{id: i, what: args[0], encrypted: i%2 == 1, address: args[1+i%2]}
					one.live()
					places <- i
				}()
			default:
			}
		}
	}
}

// stranger is one connection.
type stranger struct {
	id        int
	what      string
	encrypted bool
	address   string
}

func (s *stranger) live() {
	// Ten addresses, none of which is that of those who have logged in.
	from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+s.id/2%10))}
	dialer := net.Dialer{LocalAddr: from, Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			// Their own memory, and room for the kernel's.
			syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 8<<10)
		})
	}}
	conn, err := dialer.Dial("tcp", s.address)
	if err != nil {
		time.Sleep(100 * time.Millisecond)
		return
	}
	defer conn.Close()
	what := s.what
	if what == "all of it" {
		what = []string{"garbage", "slow bytes", "huge lengths"}[s.id/2%3]
	}
	switch what {
	case "garbage":
		garbage := make([]byte, 200+rand.IntN(2000))
		for i := range garbage {
			garbage[i] = byte(rand.Uint32())
		}
		conn.Write(garbage)
	case "slow bytes":
		// What an honest client sends, a byte a second.
		bytes := []byte{0, 0, 0, 26, 0, 17, 0, 1, 0, 0, 0, 1, 0, 4, 's', 'l', 'o', 'w', 0, 13}
		if s.encrypted {
			bytes = []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		}
		for i := 0; ; i++ {
			if _, err := conn.Write(bytes[i%len(bytes):][:1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	case "huge lengths":
		switch {
		case s.encrypted && s.id/2%2 == 0:
			// A handshake, whole and right, and then a size of 100 MB.
			t := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			t.SetDeadline(time.Now().Add(20 * time.Second))
			if t.Handshake() == nil {
				t.Write(append([]byte{6, 0, 0, 0}, make([]byte, 1000)...))
			}
			t.SetDeadline(time.Time{})
		case s.encrypted:
			// A record of 16 KiB that is a handshake message of 16 MB.
			conn.Write(append([]byte{22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff}, make([]byte, 1000)...))
		default:
			conn.Write(append([]byte{0x7f, 0xff, 0xff, byte(s.id)}, make([]byte, 1000)...))
		}
	}
	io.Copy(io.Discard, conn) // until the broker has had enough
}
