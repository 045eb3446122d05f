package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

// intoApache opens a copy of our directory in Apache 3.9.2 and compares. Apache keeps its
// topics in its own metadata log, which is made here: a formatted metadata directory
// whose bootstrap file names the topics with our ids. Its first start, on an empty data
// directory, takes the bootstrap file into that log; one that found our partitions before
// it had done so would set them aside as strays. The second start finds our directory.
func (r *runner) intoApache(ctx context.Context, from string, before *state) error {
	to := filepath.Join(r.dir, "into-apache")
	data := filepath.Join(to, "data")
	if err := copyFile(filepath.Join(from, "data", "meta.properties"), filepath.Join(data, "meta.properties")); err != nil {
		return err
	}
	meta, err := properties(filepath.Join(to, "data", "meta.properties"))
	if err != nil {
		return err
	}
	metadataDir := filepath.Join(to, "metadata")
	if err := os.MkdirAll(metadataDir, 0o755); err != nil {
		return err
	}
	if err := r.format(to, metadataDir, meta["cluster.id"]); err != nil {
		return err
	}
	if err := r.writeBootstrap(metadataDir, meta["directory.id"], before); err != nil {
		return err
	}
	config := stillConfig()
	config["metadata.log.dir"] = metadataDir
	b, err := r.cache.StartBroker(peers.Apache39, peers.BrokerOptions{Dir: to, Config: config})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Stop(patience); err != nil {
		return err
	}
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := copyData(from, to); err != nil {
		return err
	}
	if err := b.Start(); err != nil {
		return err
	}
	after, err := capture(ctx, b.Addr)
	if err != nil {
		return fmt.Errorf("read Apache: %w; its log is %s", err, b.LogPath)
	}
	return before.compare(after)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o644)
}

// format formats Apache's metadata directory for our cluster. Our data directory is
// formatted already: it has a meta.properties.
func (r *runner) format(dir, metadataDir, clusterID string) error {
	path := filepath.Join(dir, "format.properties")
	config := fmt.Sprintf("process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:1\n"+
		"listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1\ncontroller.listener.names=CONTROLLER\n"+
		"log.dirs=%s\nmetadata.log.dir=%s\n", filepath.Join(dir, "data"), metadataDir)
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	return r.java("", "", "kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", clusterID, "-c", path)
}

func (r *runner) writeBootstrap(metadataDir, directoryID string, s *state) error {
	var in strings.Builder
	for name, t := range s.topics {
		fmt.Fprintf(&in, "topic %s %s\n", name, t.id)
		for i, p := range t.partitions {
			fmt.Fprintf(&in, "partition %s %d 1 %s %d\n", t.id, i, directoryID, max(p.leaderEpoch, 0))
		}
		for key, value := range t.configs {
			fmt.Fprintf(&in, "config %s %s %s\n", name, key, value)
		}
	}
	libs, err := r.cache.Jars("3.9.2")
	if err != nil {
		return err
	}
	classes := filepath.Join(r.dir, "classes")
	source := filepath.Join(r.cache.Root, "tests/kafkadisk/java/WriteBootstrap.java")
	if out, err := exec.Command("javac", "-nowarn", "-cp", filepath.Join(libs, "*"), "-d", classes, source).CombinedOutput(); err != nil {
		return fmt.Errorf("javac: %w: %s", err, out)
	}
	return r.java(classes, in.String(), "WriteBootstrap", metadataDir)
}

func (r *runner) java(classes, input string, args ...string) error {
	libs, err := r.cache.Jars("3.9.2")
	if err != nil {
		return err
	}
	classPath, err := r.cache.ToolClassPath(libs)
	if err != nil {
		return err
	}
	if classes != "" {
		classPath = classes + ":" + classPath
	}
	cmd := exec.Command("java", slices.Concat(peers.ToolJVM, []string{"-cp", classPath}, args)...)
	cmd.Stdin = strings.NewReader(input)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", args[0], err, out)
	}
	return nil
}
