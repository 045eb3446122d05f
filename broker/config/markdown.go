package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/config.md, made from the table of keys.
func Markdown() []byte {
	var b strings.Builder
	b.WriteString(markdownHead)
	for _, scope := range []struct {
		scope Scope
		title string
		intro string
	}{
		{ScopeBroker, "Broker keys", "Set in `server.properties` or by `--override`. Those whose column \"change\" is not read-only can be altered while the broker runs: `cluster-wide` for one broker or for all, `per-broker` for one broker."},
		{ScopeTopic, "Topic keys", "Set when a topic is created, or altered at any time. What a topic does not set it takes from the broker key under \"broker key\", the first that is set."},
		{ScopeGroup, "Group keys", "Altered for one group at a time. What a group does not set it takes from the broker key `group.` and its name."},
		{ScopeClientMetrics, "Client metrics keys", "Altered for one subscription at a time (KIP-714)."},
	} {
		fmt.Fprintf(&b, "## %s\n\n%s\n", scope.title, scope.intro)
		writeTables(&b, scope.scope)
	}
	return []byte(b.String())
}

const markdownHead = `# Configuration

<!-- Written by go run ./broker/config/gendoc from the table in broker/config. Do not edit. -->

Keys, types, defaults and ranges are Apache Kafka 3.9's, with those that 4.x added; a file written for
Kafka 0.8.2 to 4.x is read as it is. Our own keys begin with ` + "`barnabas.`" + `. A key that is in no
table is reported with its line and the key it may have meant. A value that is not valid stops the start
before any port opens.

Values count in this order: dynamic for this broker, dynamic for all brokers, command line, environment
(in containers), file, default. ` + "`listener.name.<listener>.<key>`" + `, with the listener's name in lower case,
sets a ` + "`ssl.*`, `sasl.*`" + ` or connection limit key for one listener.

The column "here" says what Barnabas does with a key:

| here | meaning |
|---|---|
| yes | takes effect |
| not yet | accepted and shown; will take effect in a later release |
| no effect | accepted and shown; speaks of something that only Apache's broker has |
| refused | the value that would mislead stops the start; the sentence says which |
| removed | not a key of Kafka any more; accepted with a warning |

`

var tierWords = [...]string{"yes", "not yet", "no effect", "refused", "removed"}

// writeTables writes one table per section, in the order in which sections first are in
// sectionOrder, then by name.
func writeTables(b *strings.Builder, scope Scope) {
	bySection := make(map[string][]*Key)
	keys := Keys(scope)
	for i := range keys {
		if k := &keys[i]; !k.Internal {
			bySection[k.Section] = append(bySection[k.Section], k)
		}
	}
	for _, section := range sectionOrder {
		list := bySection[section]
		if len(list) == 0 {
			continue
		}
		if scope == ScopeBroker {
			fmt.Fprintf(b, "\n### %s\n", section)
		}
		header := "| key | type | default | valid |"
		switch scope {
		case ScopeBroker:
			header += " change |"
		case ScopeTopic:
			header += " broker key |"
		}
		header += " here | meaning |"
		fmt.Fprintf(b, "\n%s\n%s|\n", header, strings.Repeat("|---", strings.Count(header, "|")-1))
		for _, k := range list {
			b.WriteString(k.markdownRow(scope))
		}
	}
	b.WriteString("\n")
}

func (k *Key) markdownRow(scope Scope) string {
	def := "`" + k.Default + "`"
	switch {
	case k.NoDefault:
		def = "–"
	case k.Default == "":
		def = "empty"
	}
	valid := strings.ReplaceAll(k.Valid.String(), "|", `\|`)
	row := fmt.Sprintf("| `%s` | %s | %s | %s |", k.Name, lower(k.Type.String()), def, valid)
	switch scope {
	case ScopeBroker:
		row += " " + k.Dynamic.String() + " |"
	case ScopeTopic:
		var servers []string
		for _, s := range topicSynonyms[k.Name] {
			servers = append(servers, "`"+s.name+"`")
		}
		row += " " + strings.Join(servers, ", ") + " |"
	}
	doc := k.Doc
	if k.Note != "" {
		doc += " *" + k.Note + "*"
	}
	if k.Release == Release4 {
		doc += " (4.x)"
	}
	return row + " " + tierWords[k.Tier] + " | " + doc + " |\n"
}

var sectionOrder = []string{"Identity and listeners", "Network", "Log", "Groups", "Metrics, logging, administration",
	"Replication", "Embedded store and quorum", "Transactions and producers", "Quotas", "TLS", "SASL",
	"Authorization and secrets", sectionOutside, "Share groups", "Streams groups", "ZooKeeper", "Tiered storage",
	"Removed from Kafka", "Topic", "Group", "Client metrics"}
