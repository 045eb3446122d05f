// Command walk runs the walk of docs/security.md that uses Apache Kafka's own tools, as it
// stands there, against our broker.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/walk"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// tools are the commands of the walk, by the classes of Apache Kafka 3.9.
var tools = map[string]string{
	"kafka-acls.sh":             "kafka.admin.AclCommand",
	"kafka-topics.sh":           "org.apache.kafka.tools.TopicCommand",
	"kafka-console-producer.sh": "kafka.tools.ConsoleProducer",
	"kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
}

const (
	toolsVersion = "3.9.2"
	patience     = 10 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "walk:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cache, err := peers.OpenCache(os.Stderr)
	if err != nil {
		return err
	}
	program, err := cache.Barnabas()
	if err != nil {
		return err
	}
	libs, err := cache.Jars(toolsVersion)
	if err != nil {
		return err
	}
	if err := cache.KeyTools(); err != nil {
		return err
	}
	classPath, err := cache.ToolClassPath(libs)
	if err != nil {
		return err
	}
	document, err := os.ReadFile(filepath.Join(cache.Root, "docs/security.md"))
	if err != nil {
		return err
	}
	w, err := walk.Parse(document, "s1").WithFreePorts()
	if err != nil {
		return err
	}
	top, err := os.MkdirTemp("", "security-walk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(top)
	bin, dir := filepath.Join(top, "bin"), filepath.Join(top, "walk")
	for _, d := range []string{bin, dir} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := os.Symlink(program, filepath.Join(bin, "barnabas")); err != nil {
		return err
	}
	for name, class := range tools {
		script := "#!/bin/sh\nexec java -Xmx256m -cp '" + strings.ReplaceAll(classPath, "'", `'\''`) + "' " + class + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
			return err
		}
	}
	out, err := w.Run(ctx, dir, bin)
	fmt.Print(out)
	if err != nil {
		if log, readErr := os.ReadFile(filepath.Join(dir, "broker.log")); readErr == nil {
			fmt.Printf("broker.log:\n%s", log)
		}
		return err
	}
	fmt.Println("walk: as written")
	return nil
}
