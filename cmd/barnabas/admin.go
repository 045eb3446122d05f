package main

import (
	"context"
	"log/slog"

	"github.com/barnabas-broker/barnabas/broker/admin"
	"github.com/barnabas-broker/barnabas/broker/config"
)

// adminListenerKey is where the administration port is to be; empty turns it off.
const adminListenerKey = "barnabas.admin.listener"

// openAdmin opens the administration port, before anything that takes time, so that a
// long recovery is not taken for a dead process. If nobody asked for the default port and
// another broker on the machine has it, this broker does without.
func openAdmin(ctx context.Context, c *config.Config, logger *slog.Logger) (*admin.Server, error) {
	address := c.Broker().AdminListener
	if address == "" {
		return nil, nil
	}
	port, err := admin.Listen(ctx, admin.Options{Address: address, Version: versionString(), Logger: logger})
	if err != nil {
		if c.IsSet(adminListenerKey) {
			return nil, err
		}
		logger.Warn("No administration port: set "+adminListenerKey+" to a free one", "err", err)
		return nil, nil
	}
	logger.Info("Administration port on http://" + port.Address())
	return port, nil
}
