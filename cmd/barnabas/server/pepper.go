package server

import (
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/barnabas-broker/barnabas/auth"
	"github.com/barnabas-broker/barnabas/log"
)

// pepperName is the file beside the metadata store, readable for its owner alone, that the
// salts of SCRAM users that do not exist are made of. One that changed at a restart would
// tell them from those that exist, whose salts stay.
const pepperName = "scram-salts"

// pepper returns what is in the file of dir, and makes it if it is not there. A file of
// another size, which only a hand or a failing disk leaves, is made anew.
func pepper(dir string) (auth.Secret, error) {
	path := filepath.Join(dir, pepperName)
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Size() == sha512.Size {
		b, err := os.ReadFile(path)
		return auth.NewSecret(string(b)), err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return auth.Secret{}, err
	}
	b := make([]byte, sha512.Size)
	rand.Read(b)
	half := path + ".tmp"
	os.Remove(half) // of a start that was killed; if it cannot be removed, the next line says so
	f, err := os.OpenFile(half, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return auth.Secret{}, err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(half, path)
	}
	if err == nil {
		err = log.OS{}.SyncDir(dir)
	}
	if err != nil {
		return auth.Secret{}, fmt.Errorf("make %s: %w", path, err)
	}
	return auth.NewSecret(string(b)), nil
}
