package broker

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/barnabas-broker/barnabas/metadata"
	"github.com/barnabas-broker/barnabas/protocol"
)

// ensureScramUsers makes the SCRAM users that the configuration names, before anybody can
// connect. One who has a credential keeps it: a password that was changed since stays
// changed. Every broker does it; the later ones find it done.
func (b *Broker) ensureScramUsers(ctx context.Context) error {
	wanted, err := scramUsers(b.config())
	if err != nil {
		return err
	}
	if path, ok := b.config().Value(scramUsersFile); ok && path != "" {
		if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
			b.logger.Warn("the file of barnabas.scram.users.file holds secrets and others than its owner may read or change it", "mode", info.Mode().String())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, scramUsersTimeout)
	defer cancel()
	for _, u := range wanted {
		if err := b.ensureScramUser(ctx, u); err != nil {
			return fmt.Errorf("make the SCRAM credential of user %q: %w", u.Name, err)
		}
	}
	return nil
}

const scramUsersFile = "barnabas.scram.users.file"

// CheckScramUsers says why the SCRAM users that a configuration names cannot be read.
func CheckScramUsers(c *config.Config) error {
	_, err := scramUsers(c)
	return err
}

// scramUsers reads the SCRAM users that the configuration names, in itself and in a file.
func scramUsers(c *config.Config) (wanted []auth.ScramUser, err error) {
	add := func(key, text string) error {
		users, err := auth.ParseScramUsers(text)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		wanted = append(wanted, users...)
		return nil
	}
	if text, ok := c.Value("barnabas.scram.users"); ok {
		if err := add("barnabas.scram.users", text); err != nil {
			return nil, err
		}
	}
	if path, ok := c.Value(scramUsersFile); ok && path != "" {
		text, err := auth.ReadFile(path, 16<<20)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", scramUsersFile, err)
		}
		if err := add(scramUsersFile, string(text)); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// scramUsersTimeout is how long a start waits for the store to take its users.
const scramUsersTimeout = time.Minute

// ensureScramUser makes one user unless it is there. A store that has no controller at the
// moment, or does not answer in time, is asked again: what it was asked for may have
// happened meanwhile.
func (b *Broker) ensureScramUser(ctx context.Context, u auth.ScramUser) error {
	mechanism := metadata.ScramMechanism(u.Hash)
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		if b.store.Image().ScramCredential(u.Name, mechanism) != nil {
			return nil
		}
		results, err := b.store.AlterUserScramCredentials(ctx, nil, []metadata.ScramUpsertion{{User: u.Name, Mechanism: mechanism,
			Iterations: u.Iterations, Salt: u.Salt, SaltedPassword: u.SaltedPassword()}})
		if err == nil {
			err = results[0].Err
		}
		if err == nil {
			b.logger.Info("made a SCRAM credential that the configuration names", "user", u.Name, "mechanism", u.Hash.Mechanism())
			return nil
		}
		if code := codeOf(err); code != protocol.ErrNotController && code != protocol.ErrRequestTimedOut {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
	}
}
