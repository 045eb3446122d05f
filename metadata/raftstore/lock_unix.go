//go:build unix

package raftstore

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile keeps everybody else out until f is closed.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
