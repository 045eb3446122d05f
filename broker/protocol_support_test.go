package broker

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/barnabas-broker/barnabas/protocol/schema"
)

// update has the tests of generated documents write them: go test ./broker -run Document -update
var update = flag.Bool("update", false, "write documents that are generated")

const protocolSupport = "../docs/protocol-support.md"

func TestDocumentProtocolSupportIsWhatTheTableSays(t *testing.T) {
	want := protocolSupportDocument()
	if *update {
		if err := os.WriteFile(protocolSupport, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(protocolSupport)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Error("docs/protocol-support.md is stale: go test ./broker -run Document -update")
	}
}

// protocolSupportDocument is docs/protocol-support.md.
func protocolSupportDocument() []byte {
	var b bytes.Buffer
	b.WriteString(`# APIs and versions

<!-- Written by go test ./broker -run Document -update from the table in broker/apis.go. Do not edit. -->

What this broker serves, as its own ApiVersions answer says it (` + "`barnabas cluster api-versions`" + ` asks any
broker). The column "Apache" has the versions that Apache Kafka 3.9 or 4.3 serves, both taken together: it goes down to
what 3.9 still speaks and up to what 4.3 does. The last column lists every authorization that the handler
may ask for; which of them it asks for depends on the request.

| key | API | here | Apache | authorization |
|---:|---|---|---|---|
`)
	index := newAPIIndex(apiTable())
	served := 0
	for _, s := range schema.All() {
		if a := index.lookup(s.Key); a != nil {
			served++
			fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", a.key, a.name, versionRange(a.min, a.max), versionRange(s.Min, s.Max), needsText(a.needs))
		}
	}
	fmt.Fprintf(&b, "\n%d APIs are served.\n\n## Not served\n\nA request with one of these keys closes the connection, as Apache does with keys it does not offer.\n\n", served)
	for _, s := range schema.All() {
		if index.lookup(s.Key) == nil {
			fmt.Fprintf(&b, "- %d %s %s\n", s.Key, s.Name, versionRange(s.Min, s.Max))
		}
	}
	return b.Bytes()
}

func versionRange(low, high int16) string {
	switch {
	case high < low:
		return "none"
	case low == high:
		return fmt.Sprint(low)
	}
	return fmt.Sprintf("%d–%d", low, high)
}

func needsText(needs []need) string {
	if len(needs) == 0 {
		return "none"
	}
	var all []string
	for _, n := range needs {
		all = append(all, fmt.Sprintf("%s %s", n.operation, n.resource))
	}
	return strings.Join(all, ", ")
}
