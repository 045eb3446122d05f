package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

const partConfigs = "Configurations that barnabas cert writes, used by the clients they are for"

// readyConfigs are the files that `barnabas cert client NAME` writes, behind NAME, and a
// client for each; "" stands for a program of its own.
var readyConfigs = []struct{ suffix, client string }{
	{".properties", "java-3.9.2"},
	{".properties", "java-4.3.1"},
	{"-p12.properties", "java-0.10.2.2"},
	{"-p12.properties", "java-1.1.1"},
	{"-p12.properties", "java-2.8.2"},
	{"-p12.properties", "java-4.3.1"},
	{"-librdkafka.properties", "kcat"},
	{".py", "kafka-python-3.0"},
	{".go", ""},
}

// configs has `barnabas cert` make an authority, a broker's certificate and those of three
// clients, starts a broker with the lines that it wrote, and connects with the rest as it
// stands. One of the clients may do nothing, and is refused.
func (m *matrix) configs() {
	r, err := m.world.startReady()
	if err != nil {
		m.check(partConfigs, "a broker", err)
		return
	}
	defer r.broker.Close()
	all := peers.All()
	for _, c := range readyConfigs {
		for _, name := range []string{"reader", "stranger"} {
			what := fmt.Sprintf("NAME%s with %s", c.suffix, c.client)
			var err error
			if c.client == "" {
				what = "NAME.go with franz-go"
				err = r.goProgram(name)
			} else {
				i := slices.IndexFunc(all, func(p *peers.Peer) bool { return p.Name == c.client })
				err = r.client(name, name+c.suffix, all[i])
			}
			if name == "stranger" {
				what += ", of a client without ACLs"
				if err == nil {
					err = errors.New("was served")
				} else if denied.MatchString(err.Error()) {
					err = nil
				}
			}
			m.check(partConfigs, what, err)
		}
	}
	err = r.run("topic", "create", "by-admin", "-C", filepath.Join(r.dir, "admin.properties"))
	m.check(partConfigs, "NAME.properties with barnabas", err)
}

// ready is a broker that was set up by `barnabas cert`.
type ready struct {
	w       *world
	dir     string // of the certificates and configurations
	program string
	addr    string
	broker  *peers.Broker
}

func (w *world) startReady() (*ready, error) {
	program, err := w.cache.Barnabas()
	if err != nil {
		return nil, err
	}
	ports, err := peers.FreePorts(1)
	if err != nil {
		return nil, err
	}
	r := &ready{w: w, dir: filepath.Join(w.dir, "ready"), program: program, addr: fmt.Sprintf("localhost:%d", ports[0])}
	steps := [][]string{{"cert", "ca", "-d", r.dir}, {"cert", "server", "localhost", "127.0.0.1", "--name", "broker", "-d", r.dir}}
	for _, name := range []string{"admin", "reader", "stranger"} {
		steps = append(steps, []string{"cert", "client", name, "-d", r.dir, "-b", r.addr})
	}
	for _, args := range steps {
		if err := r.run(args...); err != nil {
			return nil, err
		}
	}
	config := map[string]string{"listeners": "SSL://127.0.0.1:" + fmt.Sprint(ports[0]), "advertised.listeners": "SSL://" + r.addr, "security.inter.broker.protocol": "SSL",
		"ssl.client.auth": "required", "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/", "auto.create.topics.enable": "false", "barnabas.admin.listener": "",
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:admin;User:localhost"}
	lines, err := os.ReadFile(filepath.Join(r.dir, "broker.properties"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(lines)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			config[key] = value
		}
	}
	if r.broker, err = w.cache.StartBroker(peers.Barnabas, peers.BrokerOptions{Dir: filepath.Join(w.dir, "ready-broker"), Port: ports[0], Config: config}); err != nil {
		return nil, err
	}
	admin := filepath.Join(r.dir, "admin.properties")
	for _, args := range [][]string{
		{"acl", "create", "--allow-principal", "User:reader", "--producer", "--topic", "ready-", "--resource-pattern-type", "prefixed", "-C", admin},
		{"acl", "create", "--allow-principal", "User:reader", "--consumer", "--topic", "ready-", "--group", "ready-", "--resource-pattern-type", "prefixed", "-C", admin},
	} {
		if err := r.run(args...); err != nil {
			r.broker.Close()
			return nil, err
		}
	}
	return r, nil
}

// run runs a command of ours.
func (r *ready) run(args ...string) error {
	_, err := command(nil, "", r.program, args...)
	return err
}

// client writes and reads with a client that has nothing but the file.
func (r *ready) client(name, file string, p *peers.Peer) error {
	place := "ready-" + p.Name + "-" + file
	c, err := p.OpenAs(r.w.cache, r.addr, filepath.Join(r.w.dir, place+".log"), peers.Security{ConfigFile: filepath.Join(r.dir, file)})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := r.run("topic", "create", place, "--partitions", "2", "-C", filepath.Join(r.dir, "admin.properties")); err != nil {
		return err
	}
	want := cellRecords(place)
	if err := c.Produce(place, "none", want, patient); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	got, err := c.Consume("ready-group-"+place, []string{place}, len(want), 40*time.Second)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	return sameRecords(want, got)
}

// goProgram is the Go file with a main beside it.
func (r *ready) goProgram(name string) error {
	dir := filepath.Join(r.w.dir, "ready-go-"+name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for from, to := range map[string]string{filepath.Join(r.dir, name+".go"): "options.go",
		filepath.Join(r.w.cache.Root, "tests/security/testdata/ready_client.go"): "main.go"} {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			return err
		}
	}
	topic := filepath.Base(dir)
	if err := r.run("topic", "create", topic, "-C", filepath.Join(r.dir, "admin.properties")); err != nil {
		return err
	}
	_, err := command(nil, r.w.cache.Root, "go", "run", filepath.Join(dir, "main.go"), filepath.Join(dir, "options.go"), topic, "ready-group-go")
	return err
}

// command runs a program in a folder and returns what it prints, which is the error if it
// fails.
func command(env []string, dir, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}
