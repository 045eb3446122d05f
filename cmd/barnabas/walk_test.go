package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/cmd/barnabas/walk"
)

// asProgram makes the test's own binary the program.
const asProgram = "BARNABAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestTheWalkOfTheSecurityPageRunsAsWritten(t *testing.T) {
	document, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	w, err := walk.Parse(document, "").WithFreePorts()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(program, filepath.Join(bin, "barnabas")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	dir := t.TempDir()
	out, err := w.Run(ctx, dir, bin, asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "broker.log"))
		t.Fatalf("%v\n%s\nbroker.log:\n%s", err, out, log)
	}
}
