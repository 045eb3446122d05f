package peers

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Versions of the peers whose own test suites run against the broker (tests/suites).
const (
	franzGo         = "v1.22.2"
	kafkaGo         = "v0.4.51"
	kafkaJavascript = "1.10.1" // contains librdkafka 2.15.1 with its tests
)

// KgoTests returns the folder of franz-go's package kgo and the program of its tests.
func (c *Cache) KgoTests() (dir, program string, err error) {
	return c.goTests("github.com/twmb/franz-go", franzGo, "pkg/kgo")
}

// KafkaGoTests returns the folder of kafka-go's root package and the program of its tests.
func (c *Cache) KafkaGoTests() (dir, program string, err error) {
	return c.goTests("github.com/segmentio/kafka-go", kafkaGo, ".")
}

// goTests copies a module out of Go's module cache, which is read only, and builds the
// tests of one of its packages.
func (c *Cache) goTests(module, version, pkg string) (dir, program string, err error) {
	name := "suite-" + filepath.Base(module) + "-" + version
	dir, err = c.install(name, pkg, func(dir string) error {
		download := exec.Command("go", "mod", "download", "-json", module+"@"+version)
		download.Dir = dir // outside the repo: its go.mod stays as it is
		out, err := download.Output()
		var info struct{ Dir, Error string }
		if jsonErr := json.Unmarshal(out, &info); jsonErr == nil && info.Error != "" {
			return fmt.Errorf("go mod download %s@%s: %s", module, version, info.Error)
		}
		if err != nil {
			return fmt.Errorf("go mod download %s@%s: %w", module, version, err)
		}
		src := filepath.Join(dir, "src")
		if err := os.CopyFS(src, os.DirFS(info.Dir)); err != nil {
			return err
		}
		if err := makeWritable(src); err != nil {
			return err
		}
		return run(filepath.Join(src, pkg), "go", "test", "-mod=mod", "-c", "-o", filepath.Join(dir, "suite.test"), ".")
	})
	return filepath.Join(dir, "src", pkg), filepath.Join(dir, "suite.test"), err
}

func makeWritable(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()|0o200)
	})
}

// KafkaPythonTests returns the folder of kafka-python's sources with its tests, and a
// PYTHONPATH with what the tests need. One module of the test suite, which starts Apache's
// scripts, is not in the package that the registry has; service is ours in its place.
func (c *Cache) KafkaPythonTests(service string) (dir, pythonPath string, err error) {
	tools, err := c.pip("pytest", "1", nil, "pytest==9.2.0", "pytest-timeout", "pytest-mock", "py",
		"python-snappy", "lz4", "zstandard", "crc32c")
	if err != nil {
		return "", "", err
	}
	data, key, err := c.source(service)
	if err != nil {
		return "", "", err
	}
	dir, err = c.install("suite-kafka-python-"+kafkaPythonNewest, key, func(dir string) error {
		if err := run(dir, "python3", "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:",
			"kafka-python=="+kafkaPythonNewest); err != nil {
			return err
		}
		archive := "kafka_python-" + kafkaPythonNewest + ".tar.gz"
		if err := run(dir, "tar", "xzf", archive, "--strip-components=1"); err != nil {
			return err
		}
		// The folder test is a package of the suite; without this file pytest would find
		// Python's own package of that name.
		if err := os.WriteFile(filepath.Join(dir, "test/__init__.py"), nil, 0o644); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "test/service.py"), data, 0o644)
	})
	return dir, dir + ":" + tools, err
}

// librdkafkaNeeds are the headers that librdkafka's tests are built with, and where they
// come from.
var librdkafkaNeeds = map[string]string{
	"openssl/ssl.h":        "libssl-dev",
	"zstd.h":               "libzstd-dev",
	"lz4.h":                "liblz4-dev",
	"sasl/sasl.h":          "libsasl2-dev",
	"rapidjson/document.h": "rapidjson-dev",
}

// LibrdkafkaTests returns the folder of librdkafka's tests, in which its test-runner is.
// The build takes some minutes.
func (c *Cache) LibrdkafkaTests() (string, error) {
	for program, pkg := range map[string]string{"g++": "g++", "make": "make", "npm": "npm"} {
		if err := c.needCommand(program, pkg); err != nil {
			return "", err
		}
	}
	for header, pkg := range librdkafkaNeeds {
		if err := c.needHeader(header, pkg); err != nil {
			return "", err
		}
	}
	dir, err := c.install("suite-librdkafka-"+kafkaJavascript, "1", func(dir string) error {
		if err := run(dir, "npm", "pack", "--silent", "@confluentinc/kafka-javascript@"+kafkaJavascript); err != nil {
			return err
		}
		archive := "confluentinc-kafka-javascript-" + kafkaJavascript + ".tgz"
		if err := run(dir, "tar", "xzf", archive, "--strip-components=3", "package/deps/librdkafka"); err != nil {
			return err
		}
		if err := run(dir, "./configure"); err != nil {
			return err
		}
		if err := run(dir, "nice", "-n", "10", "make", "-j1", "libs"); err != nil {
			return err
		}
		return run(dir, "nice", "-n", "10", "make", "-j1", "-C", "tests", "test-runner")
	})
	return filepath.Join(dir, "tests"), err
}

// needHeader makes sure that a C header is there.
func (c *Cache) needHeader(header, debianPackage string) error {
	check := exec.Command("g++", "-x", "c++", "-fsyntax-only", "-")
	check.Stdin = strings.NewReader("#include <" + header + ">\n")
	if check.Run() == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("<%s> is not installed; install the package %s", header, debianPackage)
	}
	fmt.Fprintf(c.Log, "installing %s\n", debianPackage)
	return run("", "apt-get", "install", "-y", "--no-install-recommends", debianPackage)
}
