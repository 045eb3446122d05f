package server

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
)

// A broker that cannot write what it decides says so to whoever runs it, and can be closed.
func TestALostMetadataDirectoryIsToldOf(t *testing.T) {
	meta := t.TempDir()
	c, err := config.Load(config.Options{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + t.TempDir(), "metadata.log.dir=" + meta, "barnabas.admin.listener="}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	s, err := Open(ctx, Options{Config: c, PanicsEnd: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(ctx)
	if err := os.RemoveAll(meta); err != nil {
		t.Skip(err)
	}
	// The file that is open takes some MiB more.
	large := strings.Repeat("0:1,", 1<<18)
	for i := range 20 {
		value := large + strconv.Itoa(i) + ":1"
		out, err := s.store.IncrementalAlterConfigs(ctx, metadata.IncrementalAlterConfigs{Alterations: []metadata.ConfigAlteration{{
			Resource: metadata.ConfigResource{Type: metadata.BrokerResource},
			Changes:  []metadata.ConfigChange{{Name: "plugin.key", Value: &value}}}}})
		if err != nil {
			break
		}
		if out[0].Err != nil {
			t.Fatal(out[0].Err)
		}
	}
	if err := <-s.Failed(); !strings.Contains(err.Error(), meta) {
		t.Error(err)
	}
	s.Close(ctx)
}
