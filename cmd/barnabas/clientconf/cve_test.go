package clientconf

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/broker/config"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// kafka-python did as many iterations of SCRAM as a server told it to (10143), and took its
// word for the length of a frame (10142). Our command line's clients do neither, nor do they
// fall back to less than the server must prove.
func TestCVE_2026_10143_AServerSetsNoEndlessTask(t *testing.T) {
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		c, err := parse(t, "security.protocol=SASL_SSL\nsasl.mechanism="+mechanism+"\n"+scramLogin)
		if err != nil {
			t.Fatal(err)
		}
		for _, iterations := range []string{"1000001", "2147483647", "4294967296", "9223372036854775807", "99999999999999999999", "0", "-1", "4095", "1e9", ""} {
			for _, form := range []string{"r=%sserver,s=c2FsdA==,i=%s", "r=%sserver,s=c2FsdA==,i=%s,x=y"} {
				s, first, err := c.Mechanism.Authenticate(context.Background(), "localhost:9092")
				if err != nil {
					t.Fatal(err)
				}
				_, nonce, ok := strings.Cut(string(first), ",r=")
				if !ok {
					t.Fatalf("%q", first)
				}
				nonce, _, _ = strings.Cut(nonce, ",")
				if _, answer, err := s.Challenge(fmt.Appendf(nil, form, nonce, iterations)); err == nil {
					t.Errorf("%s: asked for %q iterations, the client answers %q", mechanism, iterations, answer)
				} else if strings.Contains(err.Error(), "hush-hush") {
					t.Error(err)
				}
			}
		}
		s, _, err := c.Mechanism.Authenticate(context.Background(), "localhost:9092")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Challenge(bytes.Repeat([]byte("x"), 1<<20)); err == nil {
			t.Errorf("%s: a message of a megabyte is read", mechanism)
		}
	}
}

func TestCVE_2026_10142_AServersLengthIsNotAllocated(t *testing.T) {
	for _, length := range []uint32{101 << 20, 1 << 30, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					if _, err := io.ReadFull(c, make([]byte, 8)); err != nil {
						return
					}
					c.Write(binary.BigEndian.AppendUint32(nil, length))
					io.Copy(io.Discard, c)
				}()
			}
		}()
		c, err := parse(t, "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"+plainLogin)
		if err != nil {
			t.Fatal(err)
		}
		client, err := kgo.NewClient(append(c.Kgo(), kgo.SeedBrokers(l.Addr().String()), kgo.RequestRetries(0), kgo.DisableClientMetrics())...)
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		_, err = client.Request(ctx, kmsg.NewPtrMetadataRequest())
		cancel()
		runtime.ReadMemStats(&after)
		client.Close()
		if err == nil || ctx.Err() == context.DeadlineExceeded {
			t.Errorf("a frame of %d bytes: %v", length, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 16<<20 {
			t.Errorf("a frame of %d bytes was worth %d", length, cost)
		}
	}
}

// Redpanda's tool wrote secrets to its log. Whatever is wrong with a client's properties, and
// whatever prints what was read from them, shows none.
func TestCVE_2023_24619_PropertiesAreToldWithoutTheirSecrets(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "store.p12")
	if err := os.WriteFile(store, []byte("hush-hush"), 0o600); err != nil {
		t.Fatal(err)
	}
	sasl := "security.protocol=SASL_SSL\nsasl.mechanism="
	for _, properties := range []string{
		sasl + "PLAIN\n" + plainLogin, sasl + "SCRAM-SHA-256\n" + scramLogin, sasl + "OAUTHBEARER\n" + bearerLogin + `clientId="hush-hush" clientSecret="hush-hush";`,
		sasl + "PLAIN\n" + scramLogin, sasl + "hush\n" + plainLogin, sasl + "PLAIN\n" + strings.ReplaceAll(plainLogin, ";", ""), sasl + "PLAIN\n" + strings.ReplaceAll(plainLogin, `"hush-hush"`, `"hush-hush`),
		sasl + "PLAIN\n" + strings.ReplaceAll(plainLogin, "password", "pasword"), sasl + "PLAIN\n" + strings.ReplaceAll(plainLogin, "required", "hush-hush required"),
		"security.protocol=SSL\nssl.keystore.location=" + store + "\nssl.keystore.password=hush-hush\nssl.key.password=hush-hush",
		"security.protocol=SSL\nssl.truststore.location=" + store + "\nssl.truststore.type=PKCS12\nssl.truststore.password=hush-hush",
		"security.protocol=SSL\nssl.keystore.type=PEM\nssl.keystore.key=hush-hush\nssl.keystore.certificate.chain=hush-hush",
		"security.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.certificates=hush-hush",
		"security.protocol=SSL\nssl.keystore.key=-----BEGIN PRIVATE KEY-----\\nhush-hush\\n-----END PRIVATE KEY-----",
	} {
		path := filepath.Join(dir, "client.properties")
		if err := os.WriteFile(path, []byte(properties), 0o600); err != nil {
			t.Fatal(err)
		}
		var c *Client
		var err error
		for _, load := range []func(){
			func() { c, err = parse(t, properties) },
			func() {
				c, err = Load(path, []config.Property{{Name: "sasl.jaas.config", Value: strings.TrimPrefix(plainLogin, "sasl.jaas.config=")}}, Options{Getenv: func(string) string { return "" }})
			},
		} {
			load()
			text := fmt.Sprint(err)
			if c != nil && c.Mechanism != nil {
				text += fmt.Sprintf("%v %s %+v", c.Protocol, c.Mechanism.Name(), c.Warnings)
			}
			if strings.Contains(text, "hush-hush") {
				t.Errorf("%s: %s", properties, text)
			}
		}
	}
}
