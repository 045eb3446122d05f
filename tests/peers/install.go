package peers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Versions of everything that is not Apache Kafka. A new one is one line here.
const (
	kafkaPythonNewest = "3.0.12"
	kafkaPythonOld    = "0.9.4"
	kafkaJS           = "2.2.4"
	pythonGSSAPI      = "1.12.0"
)

// Jars returns the folder with Apache Kafka's broker and tools of a version, as jars.
func (c *Cache) Jars(version string) (string, error) {
	return c.maven("kafka-"+version, "broker.xml", version)
}

// ClientJars returns the folder with Apache's Java client of a version, as jars.
func (c *Cache) ClientJars(version string) (string, error) {
	pom := "client.xml"
	if strings.HasPrefix(version, "0.10.") {
		pom = "client-0.10.xml"
	}
	return c.maven("java-client-"+version, pom, version)
}

func (c *Cache) maven(name, pom, version string) (string, error) {
	if err := c.needCommand("java", "default-jdk-headless"); err != nil {
		return "", err
	}
	data, key, err := c.source(filepath.Join("tests/peers/maven", pom))
	if err != nil {
		return "", err
	}
	if !c.installed(name, key+" "+version) {
		if err := c.needCommand("mvn", "maven"); err != nil {
			return "", err
		}
	}
	dir, err := c.install(name, key+" "+version, func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), data, 0o644); err != nil {
			return err
		}
		return run(dir, "mvn", "-q", "-B", "-Dpeer.version="+version, "dependency:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory=libs")
	})
	return filepath.Join(dir, "libs"), err
}

// JavaAdapter compiles the Java adapter against one client version and returns the class
// path to run it with.
func (c *Cache) JavaAdapter(version string) (classPath string, err error) {
	libs, err := c.ClientJars(version)
	if err != nil {
		return "", err
	}
	if err := c.needCommand("javac", "default-jdk-headless"); err != nil {
		return "", err
	}
	sources := []string{"Adapter.java", "Producing.java", "Consuming.java"}
	if version == "0.8.2.2" {
		// Its consumer is an unfinished sketch of another interface.
		sources = []string{"Adapter.java", "Producing.java"}
	}
	keys := version
	args := []string{"-nowarn", "-Xlint:none", "-cp", filepath.Join(libs, "*"), "-d", "."}
	for _, s := range sources {
		path := filepath.Join("tests/interop/adapters/java", s)
		_, key, err := c.source(path)
		if err != nil {
			return "", err
		}
		keys += " " + key
		args = append(args, filepath.Join(c.Root, path))
	}
	dir, err := c.install("java-adapter-"+version, keys, func(dir string) error {
		return run(dir, "javac", args...)
	})
	return dir + ":" + filepath.Join(libs, "*"), err
}

// KafkaPython returns a folder for PYTHONPATH that holds the newest kafka-python and the
// codecs it can use.
func (c *Cache) KafkaPython() (string, error) {
	return c.pip("kafka-python-"+kafkaPythonNewest, "", nil,
		"kafka-python=="+kafkaPythonNewest, "python-snappy", "lz4", "zstandard")
}

// PythonGSSAPI returns a folder for PYTHONPATH that holds what kafka-python needs for
// Kerberos. It is built against MIT's library.
func (c *Cache) PythonGSSAPI() (string, error) {
	name, packages := "python-gssapi-"+pythonGSSAPI, "gssapi=="+pythonGSSAPI
	if !c.installed(name, packages) {
		if err := errors.Join(c.needCommand("gcc", "gcc"), c.needCommand("krb5-config", "libkrb5-dev")); err != nil {
			return "", err
		}
	}
	return c.pip(name, "", nil, packages)
}

// Kerberos makes sure that MIT's key distribution center and its tools are installed, and
// what librdkafka needs to speak with it.
func (c *Cache) Kerberos() error {
	for program, debianPackage := range map[string]string{"krb5kdc": "krb5-kdc", "kadmin.local": "krb5-admin-server", "kinit": "krb5-user"} {
		if err := c.needCommand(program, debianPackage); err != nil {
			return err
		}
	}
	if found, _ := filepath.Glob("/usr/lib/*/sasl2/libgssapiv2.so*"); len(found) == 0 {
		return c.needPackage("cyrus-sasl's GSSAPI", "libsasl2-modules-gssapi-mit")
	}
	return nil
}

// KeyTools makes sure that openssl and keytool are installed.
func (c *Cache) KeyTools() error {
	return errors.Join(c.needCommand("openssl", "openssl"), c.needCommand("keytool", "default-jdk-headless"))
}

// KafkaPythonOld returns a folder for PYTHONPATH that holds kafka-python 0.9.4 of 2015,
// with the two changes that make it load on a Python of today: a parameter named async,
// which has become a keyword, and generators that end by raising StopIteration, which has
// become an error.
func (c *Cache) KafkaPythonOld() (string, error) {
	return c.pip("kafka-python-"+kafkaPythonOld, "2", func(dir string) error {
		for _, name := range []string{"base.py", "simple.py", "keyed.py"} {
			path := filepath.Join(dir, "kafka/producer", name)
			if err := renameAsync(path); err != nil {
				return err
			}
		}
		return replaceInFile(filepath.Join(dir, "kafka/protocol.py"), "raise StopIteration()", "return")
	}, "kafka-python=="+kafkaPythonOld, "six", "python-snappy")
}

func (c *Cache) pip(name, key string, after func(dir string) error, packages ...string) (string, error) {
	if err := c.needCommand("python3", "python3"); err != nil {
		return "", err
	}
	key += strings.Join(packages, " ")
	if !c.installed(name, key) && run("", "python3", "-m", "pip", "--version") != nil {
		if err := c.needCommand("pip3", "python3-pip"); err != nil {
			return "", err
		}
	}
	return c.install(name, key, func(dir string) error {
		args := append([]string{"-m", "pip", "install", "-q", "--no-warn-script-location", "--target", dir}, packages...)
		if err := run("", "python3", args...); err != nil {
			return err
		}
		if after == nil {
			return nil
		}
		return after(dir)
	})
}

func renameAsync(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// As a whole word only: async_, _async and is_async are names already.
	var out strings.Builder
	text := string(data)
	for {
		i := strings.Index(text, "async")
		if i < 0 {
			break
		}
		end := i + len("async")
		out.WriteString(text[:end])
		before := i > 0 && isWord(text[i-1])
		after := end < len(text) && isWord(text[end])
		if !before && !after {
			out.WriteString("_")
		}
		text = text[end:]
	}
	out.WriteString(text)
	return os.WriteFile(path, []byte(out.String()), 0o644)
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

func replaceInFile(path, old, new string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), old) {
		return fmt.Errorf("%s: nothing to change: no %q in it", path, old)
	}
	return os.WriteFile(path, []byte(strings.ReplaceAll(string(data), old, new)), 0o644)
}

// KafkaJS returns a folder whose node_modules holds KafkaJS and codecs for it.
func (c *Cache) KafkaJS() (string, error) {
	if err := c.needCommand("node", "nodejs"); err != nil {
		return "", err
	}
	packages := []string{"kafkajs@" + kafkaJS, "kafkajs-snappy@1.1.0", "lz4js@0.2.0", "@bokuweb/zstd-wasm@0.0.27"}
	name, key := "kafkajs-"+kafkaJS, strings.Join(packages, " ")
	if !c.installed(name, key) {
		if err := c.needCommand("npm", "npm"); err != nil {
			return "", err
		}
	}
	return c.install(name, key, func(dir string) error {
		if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
			return err
		}
		return run(dir, "npm", append([]string{"install", "--no-audit", "--no-fund", "--silent"}, packages...)...)
	})
}

// GoClients builds the adapter of the Go clients and returns the program. Go's own build
// cache knows what is up to date.
func (c *Cache) GoClients() (string, error) {
	out := filepath.Join(c.Root, "bin", "goclients-tests") // not in the cache, see Barnabas
	return out, run(filepath.Join(c.Root, "tests/interop/goclients"), "go", "build", "-o", out, ".")
}

// Kcat makes sure that kcat is installed and returns the program.
func (c *Cache) Kcat() (string, error) {
	return "kcat", c.needCommand("kcat", "kcat")
}

// Barnabas builds the broker and returns the program. Go's own build cache knows what is
// up to date. BARNABAS_PROGRAM names one that is built already.
func (c *Cache) Barnabas() (string, error) {
	if program := os.Getenv("BARNABAS_PROGRAM"); program != "" {
		return filepath.Abs(program)
	}
	out := filepath.Join(c.Root, "bin", "barnabas-tests") // not in the cache: other checkouts share that
	cmd := exec.Command("go", "build", "-o", out, "./cmd/barnabas")
	cmd.Dir = c.Root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ./cmd/barnabas: %w\n%s", err, tail(msg, 4000))
	}
	return out, nil
}
