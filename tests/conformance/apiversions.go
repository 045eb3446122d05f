package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// notServed says why we do not serve an API that an Apache serves.
func notServed(key int16) string {
	switch {
	case key >= 24 && key <= 28, key == 65, key == 66:
		return "transactions are not there yet"
	case key == 68, key == 69:
		return "consumer groups of KIP-848 are not there yet"
	case key >= 76 && key <= 79, key >= 83 && key <= 87, key >= 90 && key <= 92:
		return "share groups are not there yet"
	case key == 88, key == 89:
		return "streams groups are not there yet"
	case key == 80, key == 81:
		return "voters cannot be added or removed yet"
	case key >= 38 && key <= 41:
		return "without delegation.token.secret.key no tokens are offered"
	case key == 71, key == 72:
		return "client metrics are offered when a receiver is configured"
	}
	return ""
}

// appendAPIVersions writes the table of what each broker says it serves.
func appendAPIVersions(b *strings.Builder, opts options, seen map[peers.Kind]*transcripts) {
	b.WriteString("\n## What ApiVersions says\n\n| key | API |")
	kinds := append(slices.Clone(opts.peers), peers.Barnabas)
	keys := map[int16]bool{}
	for _, kind := range kinds {
		fmt.Fprintf(b, " %s |", kind)
		for key := range seen[kind].target.ranges {
			keys[key] = true
		}
	}
	b.WriteString(" why not here |\n|---|---|" + strings.Repeat("---|", len(kinds)) + "---|\n")
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		fmt.Fprintf(b, "| %d | %s |", key, schema.Lookup(key).Name)
		for _, kind := range kinds {
			if r, ok := seen[kind].target.ranges[key]; ok {
				fmt.Fprintf(b, " %d–%d |", r[0], r[1])
			} else {
				b.WriteString(" |")
			}
		}
		why := ""
		if _, ok := seen[peers.Barnabas].target.ranges[key]; !ok {
			why = notServed(key)
		}
		fmt.Fprintf(b, " %s |\n", why)
	}
}

// unexplainedVersions are the APIs and versions that an Apache serves and we do not, without a
// reason.
func unexplainedVersions(opts options, seen map[peers.Kind]*transcripts) (all []string) {
	ours := seen[peers.Barnabas].target
	for _, kind := range opts.peers {
		for key, r := range seen[kind].target.ranges {
			name := schema.Lookup(key).Name
			have, ok := ours.ranges[key]
			switch {
			case !ok && notServed(key) == "":
				all = append(all, fmt.Sprintf("%s serves %s, we do not", kind, name))
			case ok && (have[0] > r[0] || have[1] < r[1]):
				all = append(all, fmt.Sprintf("%s serves %s %d to %d, we %d to %d", kind, name, r[0], r[1], have[0], have[1]))
			}
		}
	}
	slices.Sort(all)
	return all
}

// versionScripts compare what ApiVersions says beside the versions: errors, the order of
// the keys, that every version of the answer has the same, and the features.
var versionScripts = []script{
	{"apiversions: the rest of the answer", 18, 0, 0, func(t *T) {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "conformance", "1"
		p := t.on("a").send(req)
		tree, state := p.receive(patience)
		if tree == nil {
			p.record(nil, state)
			return
		}
		list, _ := tree.Get("ApiKeys").(wire.List)
		last, sorted, agrees := int64(-1), true, true
		for _, x := range list {
			key := x.(*wire.Struct)
			n := key.Get("ApiKey").(int64)
			sorted = sorted && n > last
			last = n
			r, ok := t.target.ranges[int16(n)]
			if n == 18 || t.target.kind == peers.Apache43 && n == 0 {
				continue // changed by newTarget
			}
			agrees = agrees && ok && int64(r[0]) == key.Get("MinVersion") && int64(r[1]) == key.Get("MaxVersion")
		}
		t.note("keys in order", wire.Raw(fmt.Sprint(sorted)))
		t.note("keys as in v0", wire.Raw(fmt.Sprint(agrees)))
		t.note("error", tree.Get("ErrorCode"))
		t.note("throttled", tree.Get("ThrottleTimeMs"))
		for _, f := range []string{"SupportedFeatures", "FinalizedFeatures"} {
			var metadataVersion any = wire.Raw("none")
			if features, ok := tree.Get(f).(wire.List); ok {
				for _, x := range features {
					if s := x.(*wire.Struct); s.Get("Name") == "metadata.version" {
						metadataVersion = wire.Raw("there")
					}
				}
			}
			t.note(f+": metadata.version", metadataVersion)
		}
		if epoch, ok := tree.Get("FinalizedFeaturesEpoch").(int64); ok {
			t.note("finalized features epoch", wire.Raw(fmt.Sprint(epoch >= 0)))
		}
		t.note("ZkMigrationReady", tree.Get("ZkMigrationReady"))
	}},
}
