package auth

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestReadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 4096} {
		want := bytes.Repeat([]byte{7}, size)
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{path, link} {
			if data, err := ReadFile(name, 4096); err != nil || !bytes.Equal(data, want) {
				t.Errorf("%s: %d bytes and %v, want %d", name, len(data), err, size)
			}
		}
	}
	for _, name := range []string{os.DevNull, "/dev/zero", filepath.Dir(path)} {
		if data, err := ReadFile(name, 4096); err == nil {
			t.Errorf("%s gave %d bytes", name, len(data))
		}
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip(err) // the file system has no such files
	}
	if _, err := ReadFile(path, 4096); err == nil {
		t.Error("a file that is too large was read")
	}
}
