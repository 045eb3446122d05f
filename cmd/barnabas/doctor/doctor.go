package doctor

import (
	"cmp"
	"context"
	"errors"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/acl"
	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/log"
)

// Options of an examination.
type Options struct {
	Load    config.Options // of the configuration
	Offline bool           // ask no other machine: no KDC, no issuer, no name server
	System  System
}

// examination is one run.
type examination struct {
	o Options
	s System
	c *config.Config
	Report
}

// Examine looks at a configuration.
func Examine(ctx context.Context, o Options) *Report {
	x := &examination{o: o, s: o.System.withDefaults()}
	x.Checks, x.Clients = []Check{}, []Client{}
	x.configuration()
	if x.c == nil {
		return &x.Report
	}
	for _, w := range x.c.Weaknesses() {
		if !w.Local {
			x.add("security", Warning, "Change "+w.Key+"; security.profile=strict refuses to start with it.", "%s: %s", w.Key, w.Text)
		}
	}
	for _, l := range x.c.Broker().Listeners {
		if !l.Controller {
			x.listener(ctx, l)
		}
	}
	x.acls()
	if err := broker.CheckScramUsers(x.c); err != nil {
		x.add("sasl", Problem, "", "%v", err)
	}
	x.files()
	x.storage()
	x.limits()
	return &x.Report
}

// configuration loads the configuration, which is checked whole by that.
func (x *examination) configuration() {
	c, err := config.Load(x.o.Load)
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		for _, p := range problems {
			x.add("configuration", Problem, "", "%s", p.Error())
		}
		return
	case err != nil:
		x.add("configuration", Problem, "", "%s", err)
		return
	}
	x.c = c
	for _, n := range config.Collapse(c.Notes()) {
		if n.Warn() {
			do := ""
			if n.Nearest != "" {
				do = "Perhaps " + n.Nearest + " is meant."
			}
			x.add("configuration", Warning, do, "%s", n.String())
		}
	}
	if x.o.Load.File != "" {
		x.fileMode()
	}
	x.add("configuration", OK, "", "the configuration is valid")
}

// fileMode warns of a file with secrets that others may read.
func (x *examination) fileMode() {
	info, err := x.s.Stat(x.o.Load.File)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return
	}
	for _, key := range []string{"ssl.keystore.password", "ssl.key.password", "ssl.keystore.key", "ssl.truststore.password", "sasl.jaas.config", "barnabas.scram.users", "delegation.token.secret.key"} {
		if x.secretInFile(key) {
			x.add("configuration", Warning, "chmod 600 "+x.o.Load.File, "%s holds secrets (%s) and others may read it: mode %v", x.o.Load.File, key, info.Mode().Perm())
			return
		}
	}
}

// secretInFile says whether the key stands in the file, plain or for a listener.
func (x *examination) secretInFile(key string) bool {
	if x.c.IsSet(key) {
		return true
	}
	for _, l := range x.c.Broker().Listeners {
		prefix := "listener.name." + strings.ToLower(l.Name) + "."
		if x.c.IsSet(prefix + key) {
			return true
		}
		mechanisms, _ := x.c.ListenerValue(l.Name, "", "sasl.enabled.mechanisms")
		for _, m := range strings.Split(mechanisms, ",") {
			if x.c.IsSet(prefix + strings.ToLower(strings.TrimSpace(m)) + "." + key) {
				return true
			}
		}
	}
	return false
}

// files looks whether those can be made that the broker opens at its start.
func (x *examination) files() {
	for _, key := range []string{"barnabas.audit.log.file", "barnabas.telemetry.receiver"} {
		path, _ := x.c.Value(key)
		if path == "" || path == "off" || path == "log" {
			continue
		}
		if dir := filepath.Dir(path); !x.s.Writable(dir) {
			x.add("storage", Problem, "Make the directory, owned by the broker's user.", "%s=%s: %s is not there or not writable", key, path, dir)
		}
	}
}

// acls looks at who may do anything at all.
func (x *examination) acls() {
	a := x.c.Broker().Authorization
	if a.ClassName == "" {
		return // the weaknesses say so
	}
	users, err := acl.ParseSuperUsers(a.SuperUsers)
	if err != nil {
		x.add("acl", Problem, "It is super.users=User:admin;User:broker.", "super.users: %v", err)
		return
	}
	if _, err := acl.ParseGroups(a.PrincipalGroups); err != nil {
		x.add("acl", Problem, "", "barnabas.acl.principal.groups: %v", err)
	}
	for _, u := range users {
		if strings.Contains(u.Name, ",User:") {
			x.add("acl", Warning, "Principals are separated by semicolons: a certificate's name may hold commas.", "super.users: %s is one principal", u)
		}
		if u.Type != "User" {
			x.add("acl", Warning, "Principals of connections are of type User.", "super.users: nobody is %s", u)
		}
	}
	if len(users) == 0 && !a.AllowEveryoneIfNoACLFound {
		x.add("acl", Problem, "super.users=User:NAME, with the name that an administrator logs in by.", "ACLs are on and there is no super user: nobody can create the first ACL")
		return
	}
	x.add("acl", OK, "", "%d super users", len(users))
}

const (
	lowSpaceBytes = 1 << 30
	lowSpaceParts = 20 // less than a twentieth
)

// storage looks at the data directories.
func (x *examination) storage() {
	b := x.c.Broker()
	for _, dir := range b.LogDirs {
		info, err := x.s.Stat(dir)
		switch {
		case err != nil:
			parent := x.existing(dir)
			if !x.s.Writable(parent) {
				x.add("storage", Problem, "Make the directory, owned by the broker's user.", "log directory %s is not there and cannot be made: %s is not writable", dir, parent)
				continue
			}
			x.add("storage", OK, "", "log directory %s will be made", dir)
			dir = parent
		case !info.IsDir():
			x.add("storage", Problem, "", "log directory %s is not a directory", dir)
			continue
		case !x.s.Writable(dir):
			x.add("storage", Problem, "Give it to the broker's user.", "log directory %s is not writable for this user", dir)
			continue
		default:
			if info.Mode().Perm()&0o002 != 0 {
				x.add("storage", Warning, "chmod o-w "+dir, "anybody on this machine can write to log directory %s", dir)
			}
			x.nodeID(dir)
		}
		free, total, err := x.s.Free(dir)
		if err == nil && (free < lowSpaceBytes || free < total/lowSpaceParts) {
			x.add("storage", Warning, "", "only %d MiB are free where log directory %s is", free>>20, dir)
		} else if err == nil {
			x.add("storage", OK, "", "log directory %s: %d MiB free", dir, free>>20)
		}
	}
}

// existing is the nearest directory above that is there.
func (x *examination) existing(dir string) string {
	for dir != "/" && dir != "." {
		if _, err := x.s.Stat(dir); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// nodeID holds the directory's owner against the configuration.
func (x *examination) nodeID(dir string) {
	p, err := log.ReadMetaProperties(log.OS{}, dir)
	if id := x.c.Broker().NodeID; err == nil && p.NodeID >= 0 && id >= 0 && p.NodeID != id {
		x.add("storage", Problem, "node.id="+strconv.Itoa(int(p.NodeID))+", or another log.dirs.", "log directory %s belongs to node %d, and node.id is %d", dir, p.NodeID, id)
	}
}

// wantedFiles is what Apache recommends for a broker.
const wantedFiles = 100_000

func (x *examination) limits() {
	n, err := x.s.MaxFiles()
	switch {
	case err != nil:
	case n < wantedFiles:
		x.add("limits", Warning, "LimitNOFILE=1048576 in the systemd unit, or ulimit -n.", "at most %d files and connections may be open; each partition takes some, each client one", n)
	default:
		x.add("limits", OK, "", "%d files and connections may be open", n)
	}
}

// address is where a listener binds.
func address(l config.Listener) string { return net.JoinHostPort(l.Host, strconv.Itoa(l.Port)) }

// advertised is what clients are told.
func (x *examination) advertised(l config.Listener) (host, port string) {
	own, _ := x.s.HostName()
	host = cmp.Or(l.AdvertisedHost, own, "localhost")
	return host, strconv.Itoa(cmp.Or(l.AdvertisedPort, l.Port))
}
