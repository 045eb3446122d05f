package peers

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Security is how a client proves who it is and what it trusts. The zero value is a
// plaintext connection without a login. Paths are absolute.
type Security struct {
	TLS       bool
	Mechanism string // of SASL; "" is none

	User     string `json:",omitempty"` // of PLAIN and SCRAM, the token id of TokenAuth, the client id of OAUTHBEARER
	Password string `json:",omitempty"`
	// TokenAuth says that User and Password are a delegation token's id and HMAC.
	TokenAuth bool `json:",omitempty"`
	// Token is an access token, for clients that are given theirs; the others fetch one from
	// TokenURL with User and Password.
	Token    string `json:",omitempty"`
	TokenURL string `json:",omitempty"`

	Krb5Conf  string `json:",omitempty"`
	Keytab    string `json:",omitempty"` // with a key of Principal
	Principal string `json:",omitempty"` // without its realm
	Realm     string `json:",omitempty"`
	Tickets   string `json:",omitempty"` // a file with tickets of Principal

	CA          string `json:",omitempty"` // PEM
	Certificate string `json:",omitempty"` // PEM, the client's own chain
	Key         string `json:",omitempty"` // PEM

	// For Java: stores of one type, with one password. PEM stores have none, only their key
	// may have one.
	StoreType     string `json:"-"`
	TrustStore    string `json:"-"`
	KeyStore      string `json:"-"`
	StorePassword string `json:"-"`
	KeyPassword   string `json:"-"`

	// ConfigFile is a configuration in the client's own words, instead of all the above: for
	// Java, for librdkafka, and for kafka-python a program that sets config.
	ConfigFile string `json:",omitempty"`
}

func (s *Security) none() bool { return !s.TLS && s.Mechanism == "" && s.ConfigFile == "" }

// Protocol is Kafka's name for it.
func (s *Security) Protocol() string {
	switch {
	case s.Mechanism != "" && s.TLS:
		return "SASL_SSL"
	case s.Mechanism != "":
		return "SASL_PLAINTEXT"
	case s.TLS:
		return "SSL"
	}
	return "PLAINTEXT"
}

// env is what C libraries and Java read.
func (s *Security) env() []string {
	var env []string
	if s.Krb5Conf != "" {
		env = append(env, "KRB5_CONFIG="+s.Krb5Conf)
	}
	if s.Tickets != "" {
		env = append(env, "KRB5CCNAME=FILE:"+s.Tickets)
	}
	return env
}

// file writes it where an adapter is told to look, and returns what the adapter's
// environment must hold: see tests/interop/adapters/PROTOCOL.md.
func (s *Security) file(path string, text []byte) ([]string, error) {
	if s.none() {
		return nil, nil
	}
	return append(s.env(), "ADAPTER_SECURITY="+path), os.WriteFile(path, text, 0o600)
}

func (s *Security) json(logPath string) ([]string, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return s.file(logPath+".security.json", text)
}

// properties writes it as a Java client's properties file.
func (s *Security) properties(logPath string) ([]string, error) {
	if s.ConfigFile != "" {
		return append(s.env(), "ADAPTER_SECURITY="+s.ConfigFile), nil
	}
	var out strings.Builder
	p := s.JavaProperties()
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&out, "%s=", key)
		for _, r := range strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(p[key]) {
			if r < 0x80 {
				out.WriteRune(r)
			} else {
				fmt.Fprintf(&out, "\\u%04x", r) // Java reads such files as Latin 1
			}
		}
		out.WriteByte('\n')
	}
	return s.file(logPath+".security.properties", []byte(out.String()))
}

// oauthHandler fetches tokens; Java clients from 3.4 on have it by this name.
const oauthHandler = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"

// JavaProperties is it in the words of Apache's clients and tools, from 0.10.2 on.
func (s *Security) JavaProperties() map[string]string {
	p := map[string]string{"security.protocol": s.Protocol()}
	if s.TLS {
		p["ssl.truststore.type"], p["ssl.truststore.location"] = s.StoreType, s.TrustStore
		if s.StoreType != "PEM" {
			p["ssl.truststore.password"] = s.StorePassword
		}
		if s.KeyStore != "" {
			p["ssl.keystore.type"], p["ssl.keystore.location"] = s.StoreType, s.KeyStore
			if s.StoreType != "PEM" {
				p["ssl.keystore.password"], p["ssl.key.password"] = s.StorePassword, s.StorePassword
			} else if s.KeyPassword != "" {
				p["ssl.key.password"] = s.KeyPassword
			}
		}
		p["ssl.endpoint.identification.algorithm"] = "https"
	}
	if s.Mechanism == "" {
		return p
	}
	p["sasl.mechanism"] = s.Mechanism
	quote := func(text string) string {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
	}
	switch s.Mechanism {
	case "PLAIN":
		p["sasl.jaas.config"] = fmt.Sprintf("org.apache.kafka.common.security.plain.PlainLoginModule required username=%s password=%s;",
			quote(s.User), quote(s.Password))
	case "GSSAPI":
		p["sasl.kerberos.service.name"] = "kafka"
		login := fmt.Sprintf("useKeyTab=true storeKey=true keyTab=%s principal=%s", quote(s.Keytab), quote(s.Principal+"@"+s.Realm))
		if s.Keytab == "" {
			login = fmt.Sprintf("useTicketCache=true renewTGT=false doNotPrompt=true ticketCache=%s principal=%s", quote(s.Tickets), quote(s.Principal+"@"+s.Realm))
		}
		p["sasl.jaas.config"] = "com.sun.security.auth.module.Krb5LoginModule required " + login + ";"
	case "OAUTHBEARER":
		p["sasl.login.callback.handler.class"] = oauthHandler
		p["sasl.oauthbearer.token.endpoint.url"] = s.TokenURL
		jaas := fmt.Sprintf("org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required clientId=%s clientSecret=%s",
			quote(s.User), quote(s.Password))
		if strings.HasPrefix(s.TokenURL, "https") {
			jaas += fmt.Sprintf(" ssl.truststore.type=%s ssl.truststore.location=%s", quote("PEM"), quote(s.CA))
		}
		p["sasl.jaas.config"] = jaas + ";"
	default:
		token := ""
		if s.TokenAuth {
			token = ` tokenauth="true"`
		}
		p["sasl.jaas.config"] = fmt.Sprintf("org.apache.kafka.common.security.scram.ScramLoginModule required username=%s password=%s%s;",
			quote(s.User), quote(s.Password), token)
	}
	return p
}

// JVM are the options that a Java program needs for it.
func (s *Security) JVM() []string {
	var o []string
	if s.Krb5Conf != "" {
		o = append(o, "-Djava.security.krb5.conf="+s.Krb5Conf)
	}
	if s.TokenURL != "" {
		o = append(o, "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls="+s.TokenURL)
	}
	return o
}

// Librdkafka is it in the words of librdkafka, as key=value.
func (s *Security) Librdkafka() []string {
	if s.none() || s.ConfigFile != "" {
		return nil
	}
	o := []string{"security.protocol=" + s.Protocol(), "broker.address.family=v4"}
	if s.TLS {
		o = append(o, "ssl.ca.location="+s.CA)
		if s.Certificate != "" {
			o = append(o, "ssl.certificate.location="+s.Certificate, "ssl.key.location="+s.Key)
		}
		o = append(o, "ssl.endpoint.identification.algorithm=https")
	}
	switch s.Mechanism {
	case "":
	case "GSSAPI":
		o = append(o, "sasl.mechanisms=GSSAPI", "sasl.kerberos.service.name=kafka", "sasl.kerberos.kinit.cmd=true")
	case "OAUTHBEARER":
		// Debian's librdkafka has no OpenID Connect; what it makes itself is not signed.
		o = append(o, "sasl.mechanisms=OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt=true", "sasl.oauthbearer.config=principal="+s.User)
	default:
		o = append(o, "sasl.mechanisms="+s.Mechanism, "sasl.username="+s.User, "sasl.password="+s.Password)
	}
	return o
}

// javaSecurityJars are the jars of a broker's folder that a client needs for OAUTHBEARER.
func javaSecurityJars(libs string) []string {
	var jars []string
	for _, pattern := range []string{"jackson-*.jar", "jose4j-*.jar"} {
		found, _ := filepath.Glob(filepath.Join(libs, pattern)) // the pattern is good
		jars = append(jars, found...)
	}
	return jars
}
