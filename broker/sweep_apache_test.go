package broker_test

import (
	"flag"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/barnabas-broker/barnabas/protocol"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var apacheListener = flag.String("broker.apache", "",
	"host:port of a SASL_PLAINTEXT listener of Apache Kafka 3.9 with StandardAuthorizer and a PLAIN user nobody, password nobody, without ACLs")

// dialApache logs in as nobody.
func dialApache(t *testing.T) *wire {
	t.Helper()
	conn, err := net.Dial("tcp", *apacheListener)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	w := &wire{t: t, conn: conn}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.SetVersion(1)
	handshake.Mechanism = "PLAIN"
	w.call(handshake)
	token := kmsg.NewPtrSASLAuthenticateRequest()
	token.SetVersion(1)
	token.SASLAuthBytes = []byte("\x00nobody\x00nobody")
	if resp := w.call(token).(*kmsg.SASLAuthenticateResponse); resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	return w
}

// What the sweep expects of us is what Apache answers to the same requests.
func TestApacheRefusesAPrincipalWithoutACLsAsWeDo(t *testing.T) {
	if *apacheListener == "" {
		t.Skip("needs -broker.apache")
	}
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.SetVersion(3)
	versions.ClientSoftwareName, versions.ClientSoftwareVersion = "sweep", "1"
	asked := 0
	defer func() { t.Logf("%d requests asked", asked) }()
	for _, api := range dialApache(t).call(versions).(*kmsg.ApiVersionsResponse).ApiKeys {
		want := refusals[api.ApiKey]
		if want == nil || api.ApiKey >= protocol.KeyCreateDelegationToken && api.ApiKey <= protocol.KeyDescribeDelegationToken {
			continue // tokens are for whoever has logged in; delegation_tokens_apache_test.go compares them
		}
		row := kmsg.RequestForKey(api.ApiKey)
		for version := api.MinVersion; version <= min(api.MaxVersion, row.MaxVersion()); version++ {
			asked++
			w := dialApache(t)
			req := sweepRequest(api.ApiKey, version, missingName)
			w.send(req)
			_, body, err := w.receive()
			w.conn.Close()
			if err != nil {
				t.Errorf("%s v%d: %v", protocol.APIName(api.ApiKey), version, err)
				continue
			}
			resp := req.ResponseKind()
			resp.SetVersion(req.GetVersion())
			if resp.IsFlexible() && req.Key() != protocol.KeyAPIVersions {
				body = body[1:]
			}
			if err := resp.ReadFrom(body); err != nil {
				t.Errorf("%s v%d: %v", protocol.APIName(api.ApiKey), version, err)
				continue
			}
			seen := map[protocol.ErrorCode]int{}
			errorCodes(reflect.ValueOf(resp).Elem(), seen)
			delete(seen, protocol.None)
			code := want(version)
			if code == protocol.None && len(seen) > 0 || code != protocol.None && (seen[code] == 0 || len(seen) > 1) {
				t.Errorf("%s v%d: Apache gives %v, we expect %v", protocol.APIName(api.ApiKey), version, seen, code)
			}
		}
	}
}
