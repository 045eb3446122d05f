package config

import (
	"encoding/json"
	"os"
	"sort"
	"strings"
	"testing"
)

// apacheKey is a key as Apache's own ConfigDef objects print it: facts, no prose.
type apacheKey struct {
	Name, Type string
	Default    *string
	Valid      *string
	Importance string
	Internal   bool
	Dynamic    string
}

func apacheKeys(t *testing.T, version, table string) map[string]apacheKey {
	t.Helper()
	data, err := os.ReadFile("testdata/apache-" + version + "/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var list []apacheKey
	if err := json.Unmarshal(all[table], &list); err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]apacheKey)
	for _, k := range list {
		keys[k.Name] = k
	}
	return keys
}

// deviations are the facts in which our table differs from 3.9.2's on purpose.
var deviations = map[string]string{
	"log.dir":                                        "default: not a directory that a reboot empties",
	"group.coordinator.append.linger.ms":             "valid: 4.x allows -1",
	"group.coordinator.rebalance.protocols":          "valid: 4.x allows streams",
	"group.share.record.lock.duration.ms":            "valid: 4.x allows up to an hour",
	"group.share.max.size":                           "valid: 4.x allows from 1",
	"config.providers":                               "dynamic: resolved at start only",
	"cordoned.log.dirs":                              "dynamic: directories differ between brokers",
	"remote.log.manager.copier.thread.pool.size":     "valid: Apache prints a sentence",
	"remote.log.manager.expiration.thread.pool.size": "valid: Apache prints a sentence",
}

func TestTableEqualsApaches(t *testing.T) {
	for _, tt := range []struct {
		scope Scope
		table string
	}{{ScopeBroker, "broker"}, {ScopeTopic, "topic"}, {ScopeGroup, "group"}, {ScopeClientMetrics, "clientMetrics"}} {
		old := map[string]apacheKey{}
		if tt.scope != ScopeGroup { // 3.9 has no such resource
			old = apacheKeys(t, "3.9.2", tt.table)
		}
		recent := apacheKeys(t, "4.3.1", tt.table)
		for name := range recent {
			if Lookup(tt.scope, name) == nil {
				t.Errorf("%s key %s of 4.3.1 is missing", tt.table, name)
			}
		}
		for name := range old {
			if Lookup(tt.scope, name) == nil {
				t.Errorf("%s key %s of 3.9.2 is missing", tt.table, name)
			}
		}
		for _, k := range Keys(tt.scope) {
			a, in39 := old[k.Name]
			_, in43 := recent[k.Name]
			if !in39 {
				a = recent[k.Name]
			}
			wantRelease := map[[2]bool]Release{{true, true}: ReleaseAll, {true, false}: Release39, {false, true}: Release4}[[2]bool{in39, in43}]
			if !in39 && !in43 {
				continue // ours, dynamic only, or read outside the definition
			}
			if k.Release != wantRelease {
				t.Errorf("%s: release %d, want %d", k.Name, k.Release, wantRelease)
			}
			compareKey(t, &k, a)
		}
	}
}

func compareKey(t *testing.T, k *Key, a apacheKey) {
	t.Helper()
	var differs []string
	if k.Type.String() != a.Type {
		differs = append(differs, "type "+a.Type)
	}
	if k.NoDefault != (a.Default == nil) || (a.Default != nil && k.Default != *a.Default) {
		differs = append(differs, "default")
	}
	if k.Importance.String() != a.Importance || k.Internal != a.Internal {
		differs = append(differs, "importance or internal")
	}
	if a.Dynamic != "" && k.Dynamic.String() != a.Dynamic {
		differs = append(differs, "dynamic "+a.Dynamic)
	}
	valid := ""
	if a.Valid != nil {
		valid = *a.Valid
	}
	switch k.Valid.Kind {
	case ValidVersion, ValidNonEmpty, ValidNotNull, ValidThrottledReplicas, ValidOffsetReset:
	default:
		if k.Valid.String() != valid {
			differs = append(differs, "valid "+valid)
		}
	}
	if (len(differs) > 0) != (deviations[k.Name] != "") {
		t.Errorf("%s differs from Apache in %q; deviation noted: %q", k.Name, differs, deviations[k.Name])
	}
}

func TestEveryKeyIsSortedDocumentedAndDefaultsAreValid(t *testing.T) {
	for scope := ScopeBroker; scope <= ScopeClientMetrics; scope++ {
		keys := Keys(scope)
		if !sort.SliceIsSorted(keys, func(i, j int) bool { return keys[i].Name < keys[j].Name }) {
			t.Errorf("keys of scope %d are not sorted", scope)
		}
		for i := range keys {
			k := &keys[i]
			if k.Doc == "" || k.Section == "" || !strings.HasSuffix(k.Doc, ".") {
				t.Errorf("%s: doc %q, section %q", k.Name, k.Doc, k.Section)
			}
			if !k.NoDefault && k.Check(k.Default) != nil {
				t.Errorf("%s: default %q: %v", k.Name, k.Default, k.Check(k.Default))
			}
			if !k.NoDefault && k.refuses(k.Default) != "" {
				t.Errorf("%s: default %q is refused", k.Name, k.Default)
			}
		}
	}
}

func TestTopicSynonymsAreApaches(t *testing.T) {
	data, err := os.ReadFile("testdata/apache-3.9.2/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Synonyms map[string][]string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for name, want := range all.Synonyms {
		if got := names(topicSynonyms[name]); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if len(topicSynonyms) != len(all.Synonyms)+1 { // barnabas.durable.acks
		t.Errorf("%d synonyms, Apache has %d", len(topicSynonyms), len(all.Synonyms))
	}
}
