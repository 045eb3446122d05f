package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// symbols gives ids names in the order in which a script meets them, so that two brokers
// that hand out different ids are the same if they hand them out and show them again in the
// same places. Times around now and places on the network become words. Nothing else is
// changed.
type symbols struct {
	run   string
	names map[any]string
	count map[string]int
	texts []string // pairs of id and name, for ids inside of other texts

	answers int // that were normalised
}

// typed is an id of one kind.
type typed struct {
	kind string
	id   any
}

func newSymbols(run string) *symbols {
	return &symbols{run: run, names: map[any]string{}, count: map[string]int{}}
}

func (s *symbols) name(kind string, id any) wire.Raw {
	key := typed{kind, id}
	name, ok := s.names[key]
	if !ok {
		s.count[kind]++
		name = fmt.Sprintf("<%s %d>", kind, s.count[kind])
		s.names[key] = name
		if text, ok := id.(string); ok && len(text) > 12 {
			s.texts = append(s.texts, text, name)
		}
	}
	return wire.Raw(name)
}

// topic names the id of a topic of the preparations, so that it has this name in whatever
// order ids turn up.
func (s *symbols) topic(name string, id [16]byte) {
	s.names[typed{"uuid", wire.UUID(id)}] = "<topic " + name + ">"
}

// learn names the ids of an answer that is not taken down.
func (s *symbols) learn(tree *wire.Struct) { s.normalise(-1, tree) }

// normalise returns the answer as it is compared.
func (s *symbols) normalise(key int16, tree *wire.Struct) any {
	if key >= 0 { // one that is taken down
		s.answers++
	}
	return s.value(key, "", tree)
}

// session names a fetch session after the answer in which it was seen first: the names do
// not depend on how many there were before, so that one that only one broker makes is one
// difference and not many.
func (s *symbols) session(id int64) wire.Raw {
	key := typed{"session", id}
	if name, ok := s.names[key]; ok {
		return wire.Raw(name)
	}
	s.names[key] = fmt.Sprintf("<session of answer %d>", s.answers)
	return "<new session>"
}

func (s *symbols) value(key int16, field string, v any) any {
	switch v := v.(type) {
	case *wire.Struct:
		if v == nil {
			return nil
		}
		out := &wire.Struct{}
		for _, f := range v.Fields {
			out.Fields = append(out.Fields, wire.Field{Name: f.Name, Value: s.value(key, f.Name, f.Value)})
		}
		return out
	case wire.List:
		if key == 18 && (len(v) > 1 || len(v) == 1 && field == "SupportedFeatures") {
			return wire.Raw("<" + field + ">") // see apiversions.go
		}
		out := wire.List{}
		for _, x := range v {
			if s.foreign(x) {
				continue
			}
			out = append(out, s.value(key, field, x))
		}
		if by := hashOrdered[place{key, field}]; by != "" {
			slices.SortStableFunc(out, func(a, b any) int {
				return cmp.Or(strings.Compare(sortText(a, by), sortText(b, by)), strings.Compare(wire.Text(a), wire.Text(b)))
			})
		}
		return out
	case wire.Records:
		return s.value(key, field, wire.ReadRecords(v))
	case wire.UUID:
		if v == (wire.UUID{}) {
			return wire.Raw("no-id")
		}
		if [8]byte(v[8:]) == [8]byte{} {
			return wire.Raw(fmt.Sprintf("<unknown id %x>", v[:8])) // none that a broker made
		}
		return s.name("uuid", v)
	case string:
		return s.text(key, field, v)
	case wire.Bytes:
		return s.plain(string(v))
	case int64:
		return s.number(key, field, v)
	}
	return v
}

// foreign says whether an element of a list, or what is in it, has a name that another
// script gave: answers about everything that a broker has name those too.
func (s *symbols) foreign(v any) bool {
	label, _, _ := strings.Cut(s.run, "-")
	switch v := v.(type) {
	case *wire.Struct:
		if len(v.Fields) > 0 && v.Fields[0].Value == "__consumer_offsets" && v.Has("Partitions") && len(v.Fields) == 2 {
			return true // of DescribeLogDirs: its size depends on all scripts
		}
		for _, f := range v.Fields {
			if name, ok := f.Value.(string); ok && s.foreign(name) {
				return true
			}
			if entity, ok := f.Value.(wire.List); ok && f.Name == "Entity" && slices.ContainsFunc(entity, s.foreign) {
				return true
			}
		}
	case string:
		return strings.HasPrefix(v, label+"-") && !strings.HasPrefix(v, s.run)
	}
	return false
}

// place is a field of an answer, wherever it stands in it.
type place struct {
	key   int16
	field string
}

// hashOrdered are the lists that Apache fills from a hash map, so that their order has no
// meaning and changes with names and versions. They are sorted by a field, on both sides.
var hashOrdered = map[place]string{
	{0, "Responses"}:          "Name",
	{0, "PartitionResponses"}: "Index",
	{8, "Topics"}:             "Name", // what is refused comes first
	{8, "Partitions"}:         "PartitionIndex",
	{21, "Topics"}:            "Name",
	{21, "Partitions"}:        "PartitionIndex",
	{3, "Topics"}:             "Name", // but see the scripts about order
	{3, "Partitions"}:         "PartitionIndex",
	{32, "Configs"}:           "Name",
	{19, "Configs"}:           "Name",
	{20, "Responses"}:         "Name", // shuffled, so that nobody learns from places
	{34, "Results"}:           "TopicName",
	{34, "Partitions"}:        "PartitionIndex",
	{49, "Entity"}:            "EntityType",
	{11, "Members"}:           "MemberId",
	{15, "Groups"}:            "GroupId", // 4.x goes through partitions of the offsets topic
	{57, "Results"}:           "Feature",
	{74, "ConfigResources"}:   "*",

	{43, "ReplicaElectionResults"}: "Topic",
	{15, "Members"}:                "MemberId",
	{9, "Topics"}:                  "Name",
	{9, "Partitions"}:              "PartitionIndex",
	{42, "Results"}:                "GroupId",
	{16, "Groups"}:                 "GroupId",
	{35, "Partitions"}:             "PartitionIndex",
	{35, "Topics"}:                 "Name",
	{29, "Resources"}:              "*",
	{29, "Acls"}:                   "*",
	{31, "MatchingAcls"}:           "*",
	{37, "Results"}:                "Name",
	{50, "Results"}:                "User",
	{50, "CredentialInfos"}:        "Mechanism",
	{51, "Results"}:                "User",
	{61, "ActiveProducers"}:        "ProducerId",
	{48, "Entries"}:                "Entity",
	{49, "Entries"}:                "Entity",
	{48, "Values"}:                 "Key",
}

func sortText(v any, field string) string {
	s, _ := v.(*wire.Struct)
	if field == "*" { // the whole of it
		return wire.Text(v)
	}
	value := s.Get(field)
	if n, ok := value.(int64); ok {
		return fmt.Sprintf("%012d", n)
	}
	if field == "Name" && value == nil {
		value = s.Get("TopicId")
	}
	return strings.Replace(wire.Text(value), `"barnabas.`, `~"barnabas.`, 1) // our own keys last
}

func (s *symbols) text(key int16, field, v string) any {
	switch {
	case field == "Host" && v != "":
		return wire.Raw("<host>")
	case field == "ClusterId" && v != "":
		return wire.Raw("<cluster>")
	case field == "LogDir" || field == "LogDirectory":
		return wire.Raw("<dir>")
	case field == "MemberId" && v != "", field == "Leader" && key == 11 && v != "":
		if made(v) {
			return s.name("member", v)
		}
	}
	return s.plain(v)
}

// made says whether a broker made the member id: it ends with a random UUID.
func made(id string) bool {
	if len(id) < 37 {
		return false
	}
	return strings.Count(id[len(id)-37:], "-") == 5
}

func (s *symbols) plain(v string) string {
	v = strings.ReplaceAll(v, s.run, "~")
	if len(s.texts) > 0 && len(v) > 12 {
		for i := 0; i < len(s.texts); i += 2 {
			v = strings.ReplaceAll(v, s.texts[i], s.texts[i+1])
		}
	}
	return v
}

func (s *symbols) number(key int16, field string, v int64) any {
	switch {
	case key == 55 && (field == "LeaderEpoch" || field == "HighWatermark" || field == "LogEndOffset") && v > 0:
		return wire.Raw("<some>")
	case key == 18 && field == "FinalizedFeaturesEpoch" && v >= 0:
		return wire.Raw("<some>")
	case key == 71 && field == "SubscriptionId":
		return s.name("subscription", v)
	case field == "Port" && v > 0:
		return wire.Raw("<port>")
	case field == "ProducerId" && v >= 0:
		return s.name("producer", v)
	case field == "SessionId" && key == 1 && v > 1000: // brokers make large ones; others are the request's
		return s.session(v)
	case field == "TotalBytes" && v > 0, field == "UsableBytes" && v > 0:
		return wire.Raw("<disk>")
	}
	if v > 1e12 {
		if d := time.Since(time.UnixMilli(v)); d > -time.Hour && d < time.Hour {
			return wire.Raw("<now>")
		}
	}
	return v
}
