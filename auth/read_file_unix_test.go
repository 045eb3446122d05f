//go:build unix

package auth

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe that nobody writes to would keep whoever opens it waiting.
func TestReadFileDoesNotWaitForPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := ReadFile(path, 4096); err == nil {
		t.Error("a pipe was read")
	}
}
