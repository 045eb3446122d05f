package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/cmd/barnabas/server"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/metadata/kraftimport"
	"github.com/barnabas-broker/barnabas/metadata/raftstore"
	"github.com/barnabas-broker/barnabas/protocol"
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
	if !s.Broker().Ready() {
		t.Error("the broker does not serve")
	}
	if err := s.Close(context.Background()); err != nil {
		t.Errorf("the stop is not a clean one: %v", err) // it ends the process with 1
	}
	if s, err := open(bad); err == nil {
		s.Close(context.Background())
		t.Error("a broker was started without any directory")
	} else {
		t.Log(err)
	}
}

// A metadata store in a directory of its own is not bound to the data directories.
func TestAMetadataDirectoryOfItsOwn(t *testing.T) {
	a, b, meta := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), t.TempDir()
	run := func(dirs ...string) {
		t.Helper()
		c, err := config.Load(config.Options{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + strings.Join(dirs, ","),
			"metadata.log.dir=" + meta, "barnabas.admin.listener="}})
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.Open(context.Background(), server.Options{Config: c, PanicsEnd: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	run(a, b)
	run(b, a)
	run(b)
	if err := os.RemoveAll(a); err != nil {
		t.Fatal(err)
	}
	run(a, b)
}

// A first start on a directory of Apache Kafka that ended before the import was stored is
// taken up by the next, however far it had come.
func TestAnInterruptedImportIsTakenUp(t *testing.T) {
	const directoryID = "xQT49qIqFfMcnp38KWpo7w"
	for name, interrupted := range map[string]func(t *testing.T, storeDir string){
		"directory made": func(t *testing.T, storeDir string) {
			if err := os.Mkdir(storeDir, 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"no cluster in the store": func(t *testing.T, storeDir string) {
			id, err := protocol.ParseUUID(directoryID)
			if err != nil {
				t.Fatal(err)
			}
			killed := errors.New("killed")
			s, err := raftstore.Open(context.Background(), raftstore.Options{Dir: storeDir, NodeID: 1, DirectoryID: id,
				Initial: func() ([]metadata.Record, error) { return nil, killed }})
			if !errors.Is(err, killed) {
				s.Close()
				t.Fatal(err)
			}
			if !raftstore.Exists(storeDir) {
				t.Fatal("there is no store")
			}
		},
	} {
		for _, imports := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/%v", name, imports), func(t *testing.T) {
				dir := t.TempDir()
				meta := "version=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nnode.id=1\ndirectory.id=" + directoryID + "\n"
				if err := os.WriteFile(filepath.Join(dir, "meta.properties"), []byte(meta), 0o644); err != nil {
					t.Fatal(err)
				}
				apache := os.DirFS("../../../metadata/kraftimport/testdata/3.9.2")
				m, err := kraftimport.Read(apache)
				if err != nil {
					t.Fatal(err)
				}
				var partition string
				for _, r := range m.Records {
					if topic, ok := r.(*metadata.TopicRecord); ok {
						partition = filepath.Join(dir, topic.Name+"-0")
						break
					}
				}
				if err := os.Mkdir(partition, 0o755); err != nil {
					t.Fatal(err)
				}
				if imports {
					if err := os.CopyFS(filepath.Join(dir, kraftimport.DirName), apache); err != nil {
						t.Fatal(err)
					}
				}
				interrupted(t, filepath.Join(dir, raftstore.DirName))
				c, err := config.Load(config.Options{Overrides: []string{"listeners=PLAINTEXT://127.0.0.1:0", "log.dirs=" + dir, "barnabas.admin.listener="}})
				if err != nil {
					t.Fatal(err)
				}
				s, err := server.Open(context.Background(), server.Options{Config: c, PanicsEnd: true})
				if err == nil {
					err = s.Close(context.Background())
				} else if imports {
					t.Error(err)
				} else {
					t.Log(err)
				}
				if s == nil == imports {
					t.Errorf("server %v, %v", s, err)
				}
				if _, err := os.Stat(partition); err != nil {
					t.Errorf("the partition was set aside: %v", err)
				}
			})
		}
	}
}
