package kerberos

import (
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/config"
)

func loadConf(path string) (*config.Config, error) {
	conf, err := config.Load(path)
	var skipped config.UnsupportedDirective // includes: the library passes over them
	if err != nil && !errors.As(err, &skipped) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return conf, nil
}

// DefaultRealm returns default_realm of a krb5.conf.
func DefaultRealm(krb5Conf string) (string, error) {
	conf, err := loadConf(krb5Conf)
	if err != nil {
		return "", err
	}
	if conf.LibDefaults.DefaultRealm == "" {
		return "", fmt.Errorf("%s has no default_realm", krb5Conf)
	}
	return conf.LibDefaults.DefaultRealm, nil
}
