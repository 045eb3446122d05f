package kerberos

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"time"
)

// WatchKeytab reads the key table again when its content has changed, until ctx is done. It
// looks every interval, and takes a change once two looks in a row agree: a file is not
// read half written. A key table that is not good leaves the old keys in use.
func (m *Mechanism) WatchKeytab(ctx context.Context, path string, interval time.Duration, logger *slog.Logger) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	inUse, _ := os.ReadFile(path)
	last := inUse
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		data, err := os.ReadFile(path)
		settled := err == nil && bytes.Equal(data, last)
		last = data
		if !settled || bytes.Equal(data, inUse) {
			continue
		}
		inUse = data
		if err := m.SetKeytab(data); err != nil {
			logger.Error("the key table changed and is not good; the old keys stay in use", "keyTab", path, "err", err)
			continue
		}
		logger.Info("key table reloaded", "keyTab", path, "kvno", m.KeyVersion())
	}
}
