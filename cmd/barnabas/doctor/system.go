package doctor

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/probe"
	"golang.org/x/sys/unix"
)

// System is the machine and the network, as far as they are looked at. The zero value of a
// field is the real one.
type System struct {
	// Listen says whether an address can be bound.
	Listen func(ctx context.Context, address string) error
	// Resolve looks a host name up.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// Probe asks an address what it speaks.
	Probe func(ctx context.Context, address string) (probe.Result, error)
	Stat  func(path string) (fs.FileInfo, error)
	// Writable says whether this process may write to a directory that exists.
	Writable func(dir string) bool
	// Free is the room on the file system of a directory.
	Free func(dir string) (freeBytes, totalBytes uint64, err error)
	// MaxFiles is how many files and connections this process may have open.
	MaxFiles func() (uint64, error)
	Now      func() time.Time
	HostName func() (string, error)
}

func (s System) withDefaults() System {
	if s.Listen == nil {
		s.Listen = func(ctx context.Context, address string) error {
			l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
			if err == nil {
				l.Close()
			}
			return err
		}
	}
	if s.Resolve == nil {
		s.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if s.Probe == nil {
		s.Probe = probe.Ask
	}
	if s.Stat == nil {
		s.Stat = os.Stat
	}
	if s.Writable == nil {
		s.Writable = func(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }
	}
	if s.Free == nil {
		s.Free = func(dir string) (uint64, uint64, error) {
			var st unix.Statfs_t
			err := unix.Statfs(dir, &st)
			return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), err
		}
	}
	if s.MaxFiles == nil {
		s.MaxFiles = func() (uint64, error) {
			var limit unix.Rlimit
			err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
			return limit.Max, err // Go raises the soft limit to the hard one
		}
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.HostName == nil {
		s.HostName = os.Hostname
	}
	return s
}
