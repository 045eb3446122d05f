package broker_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker"
	"github.com/barnabas-broker/barnabas/broker/brokertest"
	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// largeMetadataRequest is admitted memory for.
func largeMetadataRequest() kmsg.Request {
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(4)
	for i := range 2000 {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(fmt.Sprintf("topic-%d", i))
		req.Topics = append(req.Topics, topic)
	}
	return req
}

func TestAPanicEndsItsConnectionAndNoOther(t *testing.T) {
	if broker.PanicsEnd {
		t.Skip("every panic ends the process")
	}
	for _, kind := range []string{"in the handler", "while the answer is put in its place", "in a goroutine of the request", "after the answer"} {
		t.Run(kind, func(t *testing.T) {
			b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0")
			other := dialAddress(t, b.address)
			makeTopic(other, "empty")
			b.Broker().PanicAt(protocol.KeyMetadata, kind)
			for n := int64(1); n <= 3; n++ {
				w := dialAddress(t, b.address)
				// What waits for its answer on the connection, before and behind, must not stay.
				if kind != "while the answer is put in its place" { // which would be the fetch's doing
					w.send(fetchOf("empty", 0, 1))
				}
				w.send(largeMetadataRequest())
				w.send(largeMetadataRequest())
				for {
					if _, _, err := w.receive(); err != nil {
						break
					}
				}
				eventually(t, func() bool {
					ended, held := b.Broker().Panics()
					return ended >= n && held == 0
				})
				other.call(kmsg.NewPtrListGroupsRequest())
			}
			text := b.log.String()
			if !strings.Contains(text, `"msg":"a panic ends this connection"`) {
				t.Fatal("the log does not say so")
			}
			for line := range strings.Lines(text) {
				var entry map[string]any
				if json.Unmarshal([]byte(line), &entry) != nil || entry["msg"] != "a panic ends this connection" {
					continue
				}
				if stack := fmt.Sprint(entry["stack"]); !strings.Contains(stack, "PanicAt") || strings.Contains(stack, "0x") {
					t.Errorf("stack %s", stack)
				}
				if entry["principal"] != "User:ANONYMOUS" || entry["peer"] == nil {
					t.Errorf("logged as %s", line)
				}
				known := kind == "in the handler" || kind == "in a goroutine of the request"
				if known && (entry["api"] != "Metadata" || entry["version"] != 4.0) {
					t.Errorf("logged as %s", line)
				}
			}
		})
	}
}

// A coordinator answers in whatever goroutine it is in, a timer's, an append's or another
// client's, and is done with its own work by then.
func TestAPanicInACoordinatorsAnswerEndsItsConnectionAndNoOther(t *testing.T) {
	if broker.PanicsEnd {
		t.Skip("every panic ends the process")
	}
	join := kmsg.NewPtrJoinGroupRequest() // answered by the timer of the initial delay
	join.Group, join.SessionTimeoutMillis, join.ProtocolType = "g", 6000, "consumer"
	protocols := kmsg.NewJoinGroupRequestProtocol()
	protocols.Name = "range"
	join.Protocols = append(join.Protocols, protocols)
	commit := kmsg.NewPtrOffsetCommitRequest() // answered when it is appended
	commit.SetVersion(2)
	commit.Group, commit.Generation = "g", -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = "t", append(topic.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	commit.Topics = append(commit.Topics, topic)
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"g"}
	remove := kmsg.NewPtrDeleteGroupsRequest()
	remove.Groups = []string{"g"}
	fetch := kmsg.NewPtrOffsetFetchRequest()
	fetch.SetVersion(2)
	fetch.Group = "g"
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group = "g"
	heartbeat := kmsg.NewPtrHeartbeatRequest()
	heartbeat.Group = "g"
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = "g"
	offsets := kmsg.NewPtrOffsetDeleteRequest()
	offsets.Group = "g"
	for _, req := range []kmsg.Request{join, commit, describe, remove, fetch, sync, heartbeat, leave, offsets, kmsg.NewPtrListGroupsRequest()} {
		t.Run(protocol.APIName(req.Key()), func(t *testing.T) {
			b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0", "group.initial.rebalance.delay.ms=50")
			b.Broker().PanicAt(req.Key(), "while a coordinator's answer is put in its place")
			other := dialAddress(t, b.address)
			makeTopic(other, "t")
			find := kmsg.NewPtrFindCoordinatorRequest() // makes the offsets topic
			find.CoordinatorKey = "g"
			other.call(find)
			for n := int64(1); n <= 2; n++ {
				w := dialAddress(t, b.address)
				w.send(req)
				if _, _, err := w.receive(); err == nil {
					t.Fatal("it was answered")
				}
				eventually(t, func() bool {
					ended, held := b.Broker().Panics()
					return ended >= n && held == 0
				})
			}
			// The coordinator goes on.
			if req.Key() != protocol.KeyOffsetFetch {
				fetch := *fetch
				other.call(&fetch)
			}
			if req.Key() != protocol.KeyOffsetCommit {
				commit := *commit
				if resp := other.call(&commit).(*kmsg.OffsetCommitResponse); len(resp.Topics) != 1 {
					t.Errorf("%+v", resp)
				}
			}
			// It is counted before it is told.
			eventually(t, func() bool { return strings.Contains(b.log.String(), "a panic ends this connection") })
		})
	}
}

// A panic may quote what it stumbled over.
func TestAPanicIsQuotedOnlyWhereItHoldsNoSecret(t *testing.T) {
	if broker.PanicsEnd {
		t.Skip("every panic ends the process")
	}
	for _, tt := range []struct {
		req    kmsg.Request
		quoted bool
	}{{kmsg.NewPtrMetadataRequest(), true}, {kmsg.NewPtrAlterUserSCRAMCredentialsRequest(), false}} {
		b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0")
		b.Broker().PanicAt(tt.req.Key(), "in the handler")
		w := dialAddress(t, b.address)
		w.send(tt.req)
		w.receive()
		eventually(t, func() bool { return strings.Contains(b.log.String(), "a panic ends this connection") })
		if quoted := strings.Contains(b.log.String(), "a-secret"); quoted != tt.quoted {
			t.Errorf("%T: quoted %v", tt.req, quoted)
		}
	}
}

func TestAPanicInAnAuthenticationEndsItsConnectionAndNoOther(t *testing.T) {
	if broker.PanicsEnd {
		t.Skip("every panic ends the process")
	}
	b := startLogged(t, saslOptions("SASL_PLAINTEXT")...)
	other := dialAddress(t, b.address)
	other.authenticate("alice", "secret")
	over := b.Broker().PanicInAuthentication()
	for range 5 {
		w := dialAddress(t, b.address)
		w.send(handshake("PLAIN", 1))
		if _, _, err := w.receive(); err == nil {
			t.Fatal("it was answered")
		}
		other.call(kmsg.NewPtrMetadataRequest())
	}
	eventually(t, func() bool {
		ended, _ := b.Broker().Panics()
		clients, turns := b.Broker().Strangers()
		return ended == 5 && clients == 0 && turns == 0 && b.Broker().StrangersBytes() == 0
	})
	over()
	if resp := dialAddress(t, b.address).authenticate("alice", "secret"); resp.ErrorCode != 0 {
		t.Fatalf("nobody gets in any more: %+v", resp)
	}
	if text := b.log.String(); !strings.Contains(text, "a panic ends this connection") || strings.Contains(text, "a-secret") {
		t.Error("the log says too little, or too much")
	}
}

func TestAPanicInWhatConnectionsShareEndsTheProcess(t *testing.T) {
	const name = "BARNABAS_TEST_PANIC"
	if kind := os.Getenv(name); kind != "" {
		// The tests' own broker lets every panic end the process.
		if kind == "in the handler" {
			b := brokertest.Start(t)
			b.Broker().PanicAt(protocol.KeyMetadata, kind)
			w := dial(t, b)
			w.send(kmsg.NewPtrMetadataRequest())
			w.receive()
			time.Sleep(10 * time.Second) // the process is about to end
			return
		}
		b := startLogged(t, "listeners=PLAINTEXT://127.0.0.1:0")
		b.Broker().PanicAt(protocol.KeyMetadata, kind)
		w := dialAddress(t, b.address)
		w.send(kmsg.NewPtrMetadataRequest())
		w.receive()
		time.Sleep(10 * time.Second)
		return
	}
	for _, kind := range []string{"in what is shared", "in the log", "in the handler"} {
		t.Run(kind, func(t *testing.T) {
			var out bytes.Buffer
			cmd := exec.Command(os.Args[0], "-test.run=^TestAPanicInWhatConnectionsShareEndsTheProcess$")
			cmd.Env = append(os.Environ(), name+"="+kind)
			cmd.Stdout, cmd.Stderr = &out, &out
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(out.String(), "PanicAt") {
				t.Fatalf("it went on, or ended otherwise: %v\n%s", err, out.String())
			}
		})
	}
}

// lookedAt are the functions, in packages in which a panic costs no more than a connection,
// that take a lock without a defer to give it back: nothing between the two can panic.
var lookedAt = []string{
	"broker.conn.refuseFrame", "broker.conn.close", "broker.conn.hangUpAfter", "broker.conn.flush", "broker.conn.writeLoop",
	"broker.conn.handshake", "broker.conn.look", "broker.conn.waitMuted",
	"broker.fetch.expire",
	"broker.produce.done", "broker.produce.expire", // of one request; called by what is shared
	"broker.telemetry.apply", "broker.telemetry.push",
	"broker.Broker.serve", // of the acceptor, where every panic ends the process
	"broker.Broker.Close", "broker.Broker.closeTokenSessions", "broker.Broker.forget", "broker.Broker.closeExcess",
	"broker.Broker.sweepConnections", "broker.conn.took", "broker.Broker.writeConnections",
}

// A lock that a panic leaves behind stops whoever wants it next. So it is given back by a
// defer, or held where a panic ends the process (see sharedTypes), or the function is on
// the list of those that were looked at.
func TestLocksAreGivenBackByAPanic(t *testing.T) {
	shared := map[string]bool{}
	for _, t := range broker.SharedTypes() {
		shared[t] = true
	}
	seen := map[string]bool{}
	for _, dir := range []string{".", "config", "../protocol", "../protocol/compress", "../protocol/schema", "../auth", "../auth/*", "../acl"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := gotoken.NewFileSet()
			f, err := parser.ParseFile(set, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Body == nil {
					continue
				}
				name, receiver := fn.Name.Name, ""
				if fn.Recv != nil {
					star, ok := fn.Recv.List[0].Type.(*ast.StarExpr)
					if !ok {
						continue
					}
					receiver = f.Name.Name + "." + star.X.(*ast.Ident).Name
					name = star.X.(*ast.Ident).Name + "." + name
				}
				name = f.Name.Name + "." + name
				if !locksWithoutDefer(fn.Body) || shared[receiver] {
					continue
				}
				seen[name] = true
				if !slices.Contains(lookedAt, name) {
					t.Errorf("%s: %s takes a lock that a panic would not give back", set.Position(fn.Pos()), name)
				}
			}
		}
	}
	for _, name := range lookedAt {
		if !seen[name] {
			t.Errorf("%s takes no such lock any more", name)
		}
	}
}

// locksWithoutDefer says whether a call of Lock or RLock is not followed by a defer.
func locksWithoutDefer(body ast.Node) (found bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		var list []ast.Stmt
		switch n := n.(type) {
		case *ast.BlockStmt:
			list = n.List
		case *ast.CaseClause:
			list = n.Body
		case *ast.CommClause:
			list = n.Body
		}
		for i, s := range list {
			e, ok := s.(*ast.ExprStmt)
			if !ok {
				continue
			}
			call, ok := e.X.(*ast.CallExpr)
			if !ok {
				continue
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Lock" && sel.Sel.Name != "RLock" {
				continue
			}
			if i+1 < len(list) {
				if _, ok := list[i+1].(*ast.DeferStmt); ok {
					continue
				}
			}
			found = true
		}
		return true
	})
	return found
}
