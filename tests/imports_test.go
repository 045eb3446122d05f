// Package tests holds what concerns the repository as a whole.
package tests

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/barnabas-broker/barnabas/"

// allowed lists, for each room, the rooms that it may import: the arrows of design.md.
// Packages of one room may import each other.
var allowed = map[string][]string{
	"protocol":    {},
	"log":         {"protocol"},
	"metadata":    {"protocol"},
	"auth":        {"protocol"},
	"acl":         {"auth", "protocol"},
	"replication": {"log", "metadata", "protocol"},
	"zkstore":     {"metadata", "protocol"},
	"broker":      {"replication", "log", "metadata", "auth", "acl", "protocol"},
	"cmd":         {"broker", "replication", "log", "metadata", "zkstore", "auth", "acl", "protocol"},
	"tests":       {"cmd", "broker", "replication", "log", "metadata", "zkstore", "auth", "acl", "protocol"},
}

// hidden are packages that only some rooms may know: which store runs is cmd's to know.
var hidden = map[string][]string{
	"metadata/raftstore": {"cmd", "tests", "metadata"},
	"zkstore":            {"cmd", "tests", "zkstore"},
}

func TestImportsPointOneWay(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		rel, _ := filepath.Rel(root, path)
		room, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
		if strings.HasPrefix(filepath.ToSlash(rel), "broker/brokertest/") {
			return nil // wires a whole program, as cmd does
		}
		may, known := allowed[room]
		if !known || strings.HasPrefix(filepath.ToSlash(rel), "tests/interop/goclients/") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		isTest := strings.HasSuffix(path, "_test.go")
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			imported, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			to, _, _ := strings.Cut(imported, "/")
			if to != room && !contains(may, to) && !isTest {
				t.Errorf("%s imports %s: %s may import %v", rel, imported, room, may)
			}
			for secret, knowers := range hidden {
				if strings.HasPrefix(imported, secret) && !contains(knowers, room) && !isTest {
					t.Errorf("%s imports %s, which only %v may", rel, imported, knowers)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
