package kerberos

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestAChangedKeyTableIsReadAgain(t *testing.T) {
	old := testKeytab(t, 18)
	m := testMechanism(t, old, nil)
	path := filepath.Join(t.TempDir(), "keytab")
	write := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := old.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(data)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go m.WatchKeytab(ctx, path, 10*time.Second, slog.New(slog.DiscardHandler))
		defer synctest.Wait()
		defer cancel()
		write([]byte("nonsense"))
		time.Sleep(time.Minute)
		if got := m.KeyVersion(); got != 3 {
			t.Errorf("after nonsense: version %d", got)
		}
		next := testKeytab(t, 18)
		if err := next.AddEntry("kafka/broker.example.com", testRealm, "another password", testNow, 4, 18); err != nil {
			t.Fatal(err)
		}
		if data, err = next.Marshal(); err != nil {
			t.Fatal(err)
		}
		write(data)
		time.Sleep(time.Minute)
		if got := m.KeyVersion(); got != 4 {
			t.Errorf("version %d", got)
		}
	})
	// Tickets of the old version are still good.
	if _, err := newInitiator(t, old, 18).run(t, m, ""); err != nil {
		t.Error(err)
	}
}

// The login at the KDC stands between the reading of the key table and the first look at
// its file: what comes meanwhile is not taken for what is in use.
func TestAKeyTableThatChangedBeforeTheFirstLookIsReadAgain(t *testing.T) {
	m := testMechanism(t, testKeytab(t, 18), nil)
	next := testKeytab(t, 18)
	if err := next.AddEntry("kafka/broker.example.com", testRealm, "another password", testNow, 4, 18); err != nil {
		t.Fatal(err)
	}
	data, err := next.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "keytab")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go m.WatchKeytab(ctx, path, 10*time.Second, slog.New(slog.DiscardHandler))
		defer synctest.Wait()
		defer cancel()
		time.Sleep(time.Minute)
		if got := m.KeyVersion(); got != 4 {
			t.Errorf("version %d", got)
		}
	})
}
