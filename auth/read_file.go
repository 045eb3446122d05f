package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ReadFile reads a file that a setting names: a key store, a key table, the keys of an
// issuer. Settings come from clients too, so that it neither waits nor takes more memory
// than maxBytes, whatever the name leads to: only a regular file is read, and no further
// than its size.
func ReadFile(path string, maxBytes int64) ([]byte, error) {
	// Before it is opened, which some devices take for an order; and after it, for the name
	// may lead elsewhere by then.
	info, err := os.Stat(path)
	if err == nil {
		err = readable(path, info, maxBytes)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err == nil {
		err = readable(path, info, maxBytes)
	}
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		err = nil // it has become shorter
	}
	return data[:n], err
}

func readable(path string, info os.FileInfo, maxBytes int64) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	if info.Size() > maxBytes {
		return fmt.Errorf("%s has %d bytes, more than %d", path, info.Size(), maxBytes)
	}
	return nil
}
