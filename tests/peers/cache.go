package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Cache is the folder that holds everything the tests install. Two processes may share
// one: installing holds a lock on the folder.
type Cache struct {
	Dir  string    // the folder itself
	Root string    // the repo, whose sources the installs are made from
	Log  io.Writer // gets one line per install; nil discards
}

// OpenCache opens the cache named by BARNABAS_CACHE, or the default one in the user's
// home. It needs to run inside the repo.
func OpenCache(log io.Writer) (*Cache, error) {
	root, err := findRoot()
	if err != nil {
		return nil, err
	}
	dir := os.Getenv("BARNABAS_CACHE")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("find the home directory for the cache (or set BARNABAS_CACHE): %w", err)
		}
		dir = filepath.Join(home, ".cache", "barnabas-tests")
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if log == nil {
		log = io.Discard
	}
	return &Cache{Dir: dir, Root: root, Log: log}, nil
}

// findRoot walks up from the working directory to the go.mod of the broker.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.Contains(string(mod), "module github.com/barnabas-broker/barnabas\n") {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("not inside the barnabas repo: no go.mod of it above the working directory")
		}
		dir = up
	}
}

// install returns the folder name in the cache after making sure that it was filled
// completely by install, for this key. Another key means that the recipe changed, and
// the folder is made anew.
func (c *Cache) install(name, key string, install func(dir string) error) (string, error) {
	dir := filepath.Join(c.Dir, name)
	if c.installed(name, key) {
		return dir, nil
	}
	unlock, err := c.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if c.installed(name, key) {
		return dir, nil
	}
	fmt.Fprintf(c.Log, "installing %s\n", name)
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := install(dir); err != nil {
		return "", fmt.Errorf("install %s: %w", name, err)
	}
	return dir, os.WriteFile(filepath.Join(dir, completeMark), []byte(key), 0o644)
}

// completeMark is written last into a folder of the cache and holds its key.
const completeMark = ".complete"

func (c *Cache) installed(name, key string) bool {
	done, err := os.ReadFile(filepath.Join(c.Dir, name, completeMark))
	return err == nil && string(done) == key
}

func (c *Cache) lock() (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(c.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// source reads a file of the repo and returns it with a key that changes when it does.
func (c *Cache) source(path string) (data []byte, key string, err error) {
	data, err = os.ReadFile(filepath.Join(c.Root, path))
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(data)
	return data, hex.EncodeToString(sum[:8]), nil
}

// needCommand makes sure that a program is there, installing its Debian package when we
// may. The package clients themselves come from there too.
func (c *Cache) needCommand(program, debianPackage string) error {
	if _, err := exec.LookPath(program); err == nil {
		return nil
	}
	return c.needPackage(program, debianPackage)
}

// needPackage installs a Debian package, for want of something in it.
func (c *Cache) needPackage(wanted, debianPackage string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s is not installed; install the package %s", wanted, debianPackage)
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintf(c.Log, "installing %s\n", debianPackage)
	install := func() error { // without questions, such as which realm this machine is of
		return run("", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends", debianPackage)
	}
	if err := install(); err != nil {
		// A fresh machine has no package lists yet.
		if err := run("", "apt-get", "update"); err != nil {
			return err
		}
		return install()
	}
	return nil
}

// run runs a program to its end and shows its output only when it failed.
func run(dir, program string, args ...string) error {
	cmd := exec.CommandContext(context.Background(), program, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, tail(out, 4000))
	}
	return nil
}

func tail(b []byte, size int) []byte {
	if len(b) > size {
		return b[len(b)-size:]
	}
	return b
}
