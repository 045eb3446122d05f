//go:build !unix

package raftstore

import "os"

// lockFile does nothing where there is no flock: the lock on the log directory has to do.
func lockFile(*os.File) error { return nil }
