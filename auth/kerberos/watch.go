package kerberos

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"time"
)

// WatchKeytab reads the key table again when its content has changed, until ctx is done. It
// looks every interval, and takes a change once two looks in a row agree: a file is not
// read half written. A key table that is not good leaves the old keys in use.
func (m *Mechanism) WatchKeytab(ctx context.Context, path string, interval time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	inUse := *m.keytab.Load()
	last := inUse
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		data, err := ReadKeytab(path)
		digest := sha256.Sum256(data)
		settled := err == nil && digest == last
		last = digest
		if !settled || digest == inUse {
			continue
		}
		inUse = digest
		if err := m.SetKeytab(data); err != nil {
			logger.Error("the key table changed and is not good; the old keys stay in use", "keyTab", path, "err", err)
			continue
		}
		logger.Info("key table reloaded", "keyTab", path, "kvno", m.KeyVersion())
	}
}
