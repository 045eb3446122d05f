package raftstore

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft-wal/types"

	"github.com/barnabas-broker/barnabas/tests/fuzzcost"
)

func TestMetaStoreSurvivesATornWrite(t *testing.T) {
	dir := t.TempDir()
	s := &metaStore{}
	if _, err := s.Load(dir); err != nil {
		t.Fatal(err)
	}
	for i := range byte(6) {
		if err := s.SetStable([]byte("k"), []byte{i}); err != nil {
			t.Fatal(err)
		}
		if err := s.CommitState(types.PersistentState{NextSegmentID: uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	newest := filepath.Join(dir, metaNames[s.generation%2])
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	for size := range whole {
		if err := os.WriteFile(newest, whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		s := &metaStore{}
		state, err := s.Load(dir)
		value, _ := s.GetStable([]byte("k"))
		if err != nil || state.NextSegmentID != 4 || !bytes.Equal(value, []byte{5}) {
			t.Fatalf("%d bytes: %+v, %v, %v", size, state, value, err)
		}
		s.Close()
	}
}

func TestTwoStoresCannotHaveOneDirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, testOptions(t, dir))
	if s, err := Open(context.Background(), testOptions(t, dir)); err == nil {
		s.Close()
		t.Error("opened twice")
	}
}

func FuzzReadMeta(f *testing.F) {
	dir := f.TempDir()
	s := &metaStore{}
	if _, err := s.Load(dir); err != nil {
		f.Fatal(err)
	}
	if err := s.SetStable([]byte("k"), []byte("v")); err != nil {
		f.Fatal(err)
	}
	s.Close()
	seed, err := os.ReadFile(filepath.Join(dir, metaNames[1]))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		readMeta(bytes.NewReader(b))
	})
}

func FuzzReadSnapshot(f *testing.F) {
	s := open(f, testOptions(f, f.TempDir()))
	register(f, s)
	create(f, s, "t", 3)
	var out bytes.Buffer
	if err := (&snapshot{image: s.Image(), requests: []requestID{{1, 2, 3}}}).write(&out); err != nil {
		f.Fatal(err)
	}
	s.Close()
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		readSnapshot(bytes.NewReader(b))
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add((&entry{controllerEpoch: 3, request: requestID{1, 2, 3}}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer fuzzcost.Bound(t, len(b), 64)()
		parseEntry(b)
	})
}
