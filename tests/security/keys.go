package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const storePassword = "store-secret"

// keys makes key material with openssl and keytool, as operators do, in one folder.
type keys struct{ dir string }

func newKeys(dir string) (*keys, error) {
	k := &keys{dir}
	return k, os.MkdirAll(dir, 0o700)
}

func (k *keys) path(name string) string { return filepath.Join(k.dir, name) }

// authority makes a certificate authority: NAME.pem and NAME.key.
func (k *keys) authority(name string) error {
	return k.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		"-subj", "/O=Barnabas test/CN="+name, "-keyout", name+".key", "-out", name+".pem")
}

// issue makes NAME.key and NAME.crt, and NAME.pem with both, signed by the authority. The
// file is made beside its place and renamed, so that nobody reads half of it.
func (k *keys) issue(authority, name, commonName, keyType string, days int) error {
	option := []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}
	if keyType == "ec" {
		option = []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}
	}
	extensions := name + ".ext"
	text := "subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature,keyEncipherment\n"
	if err := os.WriteFile(k.path(extensions), []byte(text), 0o600); err != nil {
		return err
	}
	if err := k.run("openssl", append([]string{"genpkey", "-out", name + ".key"}, option...)...); err != nil {
		return err
	}
	if err := k.run("openssl", "req", "-new", "-key", name+".key", "-subj", "/O=Barnabas test/OU=clients/CN="+commonName, "-out", name+".csr"); err != nil {
		return err
	}
	if err := k.run("openssl", "x509", "-req", "-in", name+".csr", "-CA", authority+".pem", "-CAkey", authority+".key", "-CAcreateserial",
		"-days", fmt.Sprint(days), "-extfile", extensions, "-out", name+".crt"); err != nil {
		return err
	}
	return k.join(name+".pem", name+".key", name+".crt")
}

// encrypt makes NAME.locked.pem, whose key has a password, of NAME.key and NAME.crt. The
// cipher is an old one that every Java reads.
func (k *keys) encrypt(name string) error {
	if err := k.run("openssl", "pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-in", name+".key", "-passout", "pass:"+storePassword, "-out", name+".locked.key"); err != nil {
		return err
	}
	return k.join(name+".locked.pem", name+".locked.key", name+".crt")
}

// join writes the files one after the other into one.
func (k *keys) join(to string, from ...string) error {
	var all []byte
	for _, name := range from {
		text, err := os.ReadFile(k.path(name))
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	return replaceFile(k.path(to), all)
}

// pkcs12 puts NAME.key and NAME.crt into a file, by openssl.
func (k *keys) pkcs12(name, to string) error {
	return k.run("openssl", "pkcs12", "-export", "-in", name+".crt", "-inkey", name+".key", "-name", name, "-passout", "pass:"+storePassword, "-out", to)
}

// jks puts NAME.key and NAME.crt into a Java key store of the old kind, by keytool.
func (k *keys) jks(name, to string) error {
	if err := k.pkcs12(name, name+".tmp.p12"); err != nil {
		return err
	}
	return k.run("keytool", "-importkeystore", "-noprompt", "-srckeystore", name+".tmp.p12", "-srcstoretype", "PKCS12", "-srcstorepass", storePassword,
		"-destkeystore", to, "-deststoretype", "JKS", "-deststorepass", storePassword, "-destkeypass", storePassword)
}

// trust puts an authority into a trust store of a type, by keytool.
func (k *keys) trust(authority, to, storeType string) error {
	return k.run("keytool", "-importcert", "-noprompt", "-file", authority+".pem", "-alias", authority, "-keystore", to,
		"-storetype", storeType, "-storepass", storePassword)
}

func (k *keys) run(program string, args ...string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = k.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// replaceFile puts a whole file in the place of another.
func replaceFile(path string, data []byte) error {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// storeTypes are the kinds of key stores: each has a listener of its own.
var storeTypes = []string{"JKS", "PKCS12", "PEM"}

// materials makes everything: the broker's stores, what clients trust, and the
// certificates of good and bad clients.
func (k *keys) materials(clients []string) error {
	for _, name := range []string{"ca", "stranger-ca"} {
		if err := k.authority(name); err != nil {
			return err
		}
	}
	steps := []func() error{
		func() error { return k.issue("ca", "broker", "broker", "rsa", 30) },
		func() error { return k.jks("broker", "broker.jks") },
		func() error { return k.pkcs12("broker", "broker.p12") },
		func() error { return k.trust("ca", "trust.jks", "JKS") },
		func() error { return k.trust("ca", "trust.p12", "PKCS12") },
		func() error { return k.join("trust.pem", "ca.pem") },
		func() error { return k.issue("stranger-ca", "stranger", clients[0], "ec", 30) },
		func() error { return k.jks("stranger", "stranger.jks") },
		func() error { return k.pkcs12("stranger", "stranger.p12") },
		func() error { return k.encrypt("stranger") },
		func() error { return k.issue("ca", "expired", clients[0], "ec", -1) },
	}
	for _, name := range clients {
		steps = append(steps,
			func() error { return k.issue("ca", name, name, "ec", 30) },
			func() error { return k.jks(name, name+".jks") },
			func() error { return k.pkcs12(name, name+".p12") },
			func() error { return k.encrypt(name) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// storeFile is the name of a store of a type.
func storeFile(name, storeType string) string {
	return name + "." + map[string]string{"JKS": "jks", "PKCS12": "p12", "PEM": "pem"}[storeType]
}
