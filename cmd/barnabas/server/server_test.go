package server_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
)

// A data directory that cannot be made takes only itself out of service.
func TestADataDirectoryThatCannotBeMadeIsOffline(t *testing.T) {
	good, file := filepath.Join(t.TempDir(), "good"), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open := func(dirs string) (*server.Server, error) {
		c, err := config.Load(config.Options{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + dirs, "barnabas.admin.listener="}})
		if err != nil {
			t.Fatal(err)
		}
		return server.Open(context.Background(), server.Options{Config: c, PanicsEnd: true})
	}
	bad := filepath.Join(file, "x")
	s, err := open(good + "," + bad)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(context.Background()) // its error tells of the directory again
	if !s.Broker().Ready() {
		t.Error("the broker does not serve")
	}
	if s, err := open(bad); err == nil {
		s.Close(context.Background())
		t.Error("a broker was started without any directory")
	} else {
		t.Log(err)
	}
}
