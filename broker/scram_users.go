package broker

import (
	"context"
	"fmt"
	"os"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/metadata"
)

// ensureScramUsers makes the SCRAM users that the configuration names, before anybody can
// connect. One who has a credential keeps it: a password that was changed since stays
// changed. Every broker does it; the later ones find it done.
func (b *Broker) ensureScramUsers(ctx context.Context) error {
	var wanted []auth.ScramUser
	add := func(key, text string) error {
		users, err := auth.ParseScramUsers(text)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		wanted = append(wanted, users...)
		return nil
	}
	if text, ok := b.config().Value("barnabas.scram.users"); ok {
		if err := add("barnabas.scram.users", text); err != nil {
			return err
		}
	}
	if path, ok := b.config().Value("barnabas.scram.users.file"); ok && path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("barnabas.scram.users.file: %w", err)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			b.logger.Warn("the file of barnabas.scram.users.file holds secrets and others than its owner may read or change it", "mode", info.Mode().String())
		}
		if err := add("barnabas.scram.users.file", string(text)); err != nil {
			return err
		}
	}
	image := b.store.Image()
	for _, u := range wanted {
		mechanism := metadata.ScramMechanism(u.Hash)
		if image.ScramCredential(u.Name, mechanism) != nil {
			continue
		}
		results, err := b.store.AlterUserScramCredentials(ctx, nil, []metadata.ScramUpsertion{{User: u.Name, Mechanism: mechanism,
			Iterations: u.Iterations, Salt: u.Salt, SaltedPassword: u.SaltedPassword()}})
		if err == nil {
			err = results[0].Err
		}
		if err != nil {
			return fmt.Errorf("make the SCRAM credential of user %q: %w", u.Name, err)
		}
		b.logger.Info("made a SCRAM credential that the configuration names", "user", u.Name, "mechanism", u.Hash.Mechanism())
	}
	return nil
}
