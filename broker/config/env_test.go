package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestContainerVariablesBecomeKeys(t *testing.T) {
	got := asMap(EnvironmentProperties([]string{
		"KAFKA_LOG_RETENTION_HOURS=5",
		"KAFKA_LISTENER_NAME_TLS___9093_SSL_KEYSTORE_LOCATION=/x",
		"KAFKA_MY__KEY=v",
		"KAFKA_CFG_NUM_PARTITIONS=3",
		"KAFKA_NUM_PARTITIONS=4",
		"KAFKA_CFG_LISTENER_NAME_SASL_SSL_PLAIN_SASL_JAAS_CONFIG=j",
		"KAFKA_CFG_ZOOKEEPER_CLIENTCNXNSOCKET=c",
		"KAFKA_HEAP_OPTS=-Xmx1g",
		"KAFKA_OPTS=-Da=b",
		"KAFKA_=x",
		"PATH=/bin",
	}))
	want := map[string]string{
		"log.retention.hours":                          "5",
		"listener.name.tls-9093.ssl.keystore.location": "/x",
		"my_key":         "v",
		"num.partitions": "4",
		"listener.name.sasl_ssl.plain.sasl.jaas.config": "j",
		"zookeeper.clientCnxnSocket":                    "c",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestEnvironmentBeatsFileAndOverrideBeatsBoth(t *testing.T) {
	load := func(overrides ...string) *Config {
		c, err := Load(Options{File: "f", Overrides: overrides, MapEnvironment: true,
			Environ:  []string{"KAFKA_NUM_PARTITIONS=2", "KAFKA_SSL_KEYSTORE_FILENAME=k"},
			ReadFile: func(string) ([]byte, error) { return []byte("num.partitions=1"), nil }})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Notes()) != 0 {
			t.Errorf("helper variables are told: %v", c.Notes())
		}
		return c
	}
	if n := load().Broker().Topics.NumPartitions; n != 2 {
		t.Errorf("environment over file: %d", n)
	}
	c := load("num.partitions=3", "num.partitions = 4 ")
	if n := c.Broker().Topics.NumPartitions; n != 4 {
		t.Errorf("last override: %d", n)
	}
	if s, _ := c.Setting("num.partitions"); s.File != FromCommandLine {
		t.Errorf("source %+v", s)
	}
	if _, err := Load(Options{Overrides: []string{"num.partitions"}}); err == nil {
		t.Error("an override without = is accepted")
	}
}

func TestJVMOptions(t *testing.T) {
	got := ParseJVMOptions(`-Xmx1g -Djava.security.auth.login.config="/etc/my jaas.conf"  -Da -D= '-Dx=y z'`)
	want := map[string]string{"java.security.auth.login.config": "/etc/my jaas.conf", "a": "", "": "", "x": "y z"}
	if !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c, err := Load(Options{Environ: []string{"KAFKA_OPTS=-Djava.security.auth.login.config=/j", "KRB5_CONFIG=/etc/other.conf"}})
	if err != nil || c.JVMProperty("java.security.auth.login.config") != "/j" || c.Environment("KRB5_CONFIG") != "/etc/other.conf" || c.Environment("KRB5") != "" {
		t.Errorf("%v", err)
	}
}

func TestConfigProvidersReplaceVariables(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secrets := write("secrets.properties", "pw=ge\\u0068eim\nrack=ü1\n")
	write("rack.id", "rack-7\n")
	file := write("server.properties", fmt.Sprintf(strings.Join([]string{
		"config.providers=file,dir,env",
		"config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider",
		"config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider",
		"config.providers.dir.param.allowed.paths=%[1]s",
		"config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider",
		"config.providers.env.param.allowlist.pattern=PARTS|ID",
		"ssl.key.password=${file:%[2]s:pw}",
		"broker.rack=${dir:%[1]s:rack.id}-${file:%[2]s:rack}",
		"num.partitions=${env:PARTS}",
		"my.a=${env:HOME} ${nope:x} ${file:%[2]s:nope}",
		"my.b=${dir:/etc:passwd}${dir:%[1]s/../../etc:passwd}${dir:%[1]s:../x}",
	}, "\n"), dir, secrets))
	c, err := Load(Options{File: file, Environ: []string{"PARTS=12", "HOME=/root"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ssl.key.password": "geheim", "broker.rack": "rack-7\n-ü1", "num.partitions": "12",
		"my.a": "${env:HOME} ${nope:x} ${file:" + secrets + ":nope}",
		"my.b": "${dir:/etc:passwd}${dir:" + dir + "/../../etc:passwd}${dir:" + dir + ":../x}",
	} {
		if got, _ := c.Value(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, bad := range []string{
		"config.providers=x",
		"config.providers=x\nconfig.providers.x.class=com.example.Vault",
		"config.providers=x\nconfig.providers.x.class=org.apache.kafka.common.config.provider.FileConfigProvider\nconfig.providers.x.param.allowed.paths=rel",
		"config.providers=x\nconfig.providers.x.class=org.apache.kafka.common.config.provider.FileConfigProvider\nbroker.rack=${x:/nowhere:k}",
	} {
		if _, err := loadText(t, bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
