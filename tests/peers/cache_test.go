package peers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestInstallRunsOncePerKey(t *testing.T) {
	c := &Cache{Dir: t.TempDir(), Log: t.Output()}
	runs := 0
	fill := func(dir string) error {
		runs++
		return os.WriteFile(filepath.Join(dir, "file"), nil, 0o644)
	}
	for _, step := range []struct {
		key  string
		runs int
	}{{"1", 1}, {"1", 1}, {"2", 2}, {"2", 2}} {
		if _, err := c.install("thing", step.key, fill); err != nil {
			t.Fatal(err)
		}
		if runs != step.runs {
			t.Errorf("key %s: installed %d times, want %d", step.key, runs, step.runs)
		}
	}
}

func TestFailedInstallIsTriedAgain(t *testing.T) {
	c := &Cache{Dir: t.TempDir(), Log: t.Output()}
	if _, err := c.install("thing", "1", func(string) error { return errors.New("no") }); err == nil {
		t.Fatal("no error")
	}
	if _, err := c.install("thing", "1", func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestRenameAsyncLeavesOtherNamesAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.py")
	os.WriteFile(path, []byte("def f(async=True, async_send=1):\n    self.async = async or is_async\n"), 0o644)
	if err := renameAsync(path); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(path)
	if want := "def f(async_=True, async_send=1):\n    self.async_ = async_ or is_async\n"; string(got) != want {
		t.Errorf("got %q", got)
	}
}
