package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// program calls fn for every source of the program itself: no tests, and nothing that only
// tests run.
func program(t *testing.T, fn func(path string, file *ast.File)) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, room := range []string{"acl", "auth", "broker", "cmd", "log", "metadata", "protocol", "replication"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, path)
			rel = filepath.ToSlash(rel)
			switch {
			case err != nil:
				return err
			case d.IsDir() && (d.Name() == "testdata" || rel == "auth/internal/authtest" || rel == "broker/brokertest" || rel == "cmd/barnabas/walk"):
				return filepath.SkipDir
			case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			seen++
			fn(rel, file)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 100 {
		t.Fatalf("only %d sources were found", seen)
	}
}

// calls lists the files that use a function or type of a package: net.Listen.
func calls(t *testing.T, names ...string) (files []string) {
	t.Helper()
	program(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if p, ok := s.X.(*ast.Ident); ok && slices.Contains(names, p.Name+"."+s.Sel.Name) && !slices.Contains(files, path) {
					files = append(files, path)
				}
			}
			return true
		})
	})
	return files
}

// ActiveMQ made objects of whatever class a message named, and log4j of whatever a line
// named. The program links nothing in that makes types or code of names or bytes, or runs
// other programs.
func TestCVE_2023_46604_CVE_2021_4104_CVE_2022_23302_NothingFromOutsideSelectsCode(t *testing.T) {
	program(t, func(path string, file *ast.File) {
		for _, spec := range file.Imports {
			switch imported, _ := strconv.Unquote(spec.Path.Value); imported {
			case "plugin", "encoding/gob", "os/exec", "net/rpc", "net/rpc/jsonrpc", "text/template", "html/template", "net/http/pprof", "net/http/cgi", "net/http/fcgi", "expvar", "C":
				t.Errorf("%s imports %s", path, imported)
			}
		}
	})
	if files := calls(t, "os.StartProcess", "syscall.Exec", "syscall.ForkExec", "unix.Exec"); len(files) > 0 {
		t.Errorf("%v", files)
	}
}

// ZooKeeper's quorum let servers in that had proved nothing (2018-8012), or whose proof
// lacked a part (2023-44981), and its words of four letters were for everybody (2017-5637);
// Pulsar's gateway asked nobody (2023-37544).
// There is no second door here: nothing listens but Kafka's listeners, behind their gate,
// and the administration port. Raft has one voter and no network.
func TestCVE_2023_44981_CVE_2018_8012_CVE_2017_5637_CVE_2023_37544_ThereIsNoOtherDoor(t *testing.T) {
	known := []string{"broker/admin/server.go", "broker/listener.go",
		"cmd/barnabas/doctor/system.go"} // sees whether a port is free, and closes it
	files := calls(t, "net.Listen", "net.ListenTCP", "net.ListenUDP", "net.ListenPacket", "net.ListenUnix", "net.ListenConfig", "net.FileListener", "tls.Listen",
		"http.ListenAndServe", "http.ListenAndServeTLS", "http.Handle", "http.HandleFunc", "raft.NewTCPTransport", "raft.NewNetworkTransport", "raft.NewTCPTransportWithConfig")
	for _, f := range files {
		if !slices.Contains(known, f) {
			t.Errorf("%s listens", f)
		}
	}
	if len(files) != len(known) {
		t.Errorf("what is known to listen is %v, what does is %v", known, files)
	}
}

// ZooKeeper took the name that the sender's reverse lookup gave for the one that its
// certificate had to have. No name of a peer's address is ever looked up.
func TestCVE_2026_24281_NoAddressIsLookedUpForItsName(t *testing.T) {
	if files := calls(t, "net.LookupAddr", "net.DefaultResolver.LookupAddr"); len(files) > 0 {
		t.Errorf("%v", files)
	}
	program(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "LookupAddr" {
				t.Errorf("%s looks an address up", path)
			}
			return true
		})
	})
}

// Pulsar's clients did not check, in some of their roles, that a certificate names the host
// they had called. Two places here do not: where ssl.endpoint.identification.algorithm is
// empty, which verifies the rest itself, and the doctor's probe, which tells no secret.
func TestCVE_2022_33683_CertificatesAreVerified(t *testing.T) {
	known := []string{"auth/tlsconf/client.go", "cmd/barnabas/probe/probe.go"}
	program(t, func(path string, file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if i, ok := n.(*ast.Ident); ok && i.Name == "InsecureSkipVerify" && !slices.Contains(known, path) {
				t.Errorf("%s does not verify", path)
			}
			return true
		})
	})
}

// The table of docs/security.md names every test that is called after a CVE, and no test that
// there is not; the CVEs of a line are those of its tests.
func TestDocumentSecurityListsTheTestsOfCVEs(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				there[f.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(Test\\w+)`")
	for _, m := range names.FindAllStringSubmatch(string(text), -1) {
		if !there[m[1]] {
			t.Errorf("docs/security.md names %s, which there is not", m[1])
		}
	}
	for name := range there {
		if (strings.HasPrefix(name, "TestCVE_") || strings.HasPrefix(name, "TestGHSA_")) && !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/security.md does not name %s", name)
		}
	}
	number := regexp.MustCompile(`\b(\d{4})-(\d{4,6})\b`)
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !names.MatchString(cells[4]) {
			continue
		}
		for _, m := range number.FindAllStringSubmatch(cells[1], -1) {
			if !strings.Contains(cells[4], "CVE_"+m[1]+"_"+m[2]+"_") {
				t.Errorf("no test in its line is called after CVE-%s-%s", m[1], m[2])
			}
		}
	}
}
