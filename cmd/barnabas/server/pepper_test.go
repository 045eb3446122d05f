package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What salts are made of stays over restarts, is nobody else's to read, and is made anew
// only where nothing usable is left.
func TestPepperStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, pepperName)
	if err := os.WriteFile(path+".tmp", []byte("of a start that was killed"), 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := pepper(dir)
	if err != nil || len(first.Reveal()) < 32 || strings.Trim(first.Reveal(), "\x00") == "" {
		t.Fatalf("%d bytes, %v", len(first.Reveal()), err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if again, err := pepper(dir); err != nil || !again.Equal(first) {
		t.Fatalf("it changed: %v", err)
	}
	if other, err := pepper(t.TempDir()); err != nil || other.Equal(first) {
		t.Fatalf("another directory has the same: %v", err)
	}
	if err := os.Truncate(path, 5); err != nil {
		t.Fatal(err)
	}
	if anew, err := pepper(dir); err != nil || anew.Equal(first) || len(anew.Reveal()) != len(first.Reveal()) {
		t.Fatalf("after it was cut: %d bytes, %v", len(anew.Reveal()), err)
	}
	if p, err := pepper(filepath.Join(dir, "not there")); err == nil || !p.IsEmpty() {
		t.Fatal("a pepper without a directory")
	}
}
