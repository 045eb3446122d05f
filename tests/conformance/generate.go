package main

import (
	"math/rand/v2"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// generated is what requests are made of without anybody's hand: for each API and version
// bodies built from the schema. Each exchange is of a kind; see kinds. The same seed makes
// the same bytes for every broker, apart from ids that the broker made.
type generated struct {
	seed  uint64
	count int // of exchanges for each API and version

	sent map[string]func(version int16) []exchange // what generated scripts send, by name
}

// generatedKeys are the APIs that may be asked anything without leaving something behind
// that other scripts see.
var generatedKeys = []int16{0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
	48, 49, 50, 51, 55, 57, 60, 61, 64, 71, 72, 74, 75}

// batchSize is how many exchanges share topics and groups.
const batchSize = 125

func (g *generated) scripts() []script {
	var all []script
	g.sent = map[string]func(int16) []exchange{}
	for _, key := range generatedKeys {
		api := schema.Lookup(key)
		for n := range (g.count + batchSize - 1) / batchSize {
			count := min(batchSize, g.count-n*batchSize)
			generate := func(version int16) []exchange { return g.batch(api, version, uint64(n), count) }
			name := sprintf("generated: %s, batch %d of seed %d", api.Name, n, g.seed)
			g.sent[name] = generate
			all = append(all, script{name: name, key: key,
				run: func(t *T) {
					t.prepare(key)
					t.exchanges(generate(t.version))
				}})
		}
	}
	if g.count > 0 {
		all = append(all, script{name: "generated: keys and versions that nobody serves", key: -1, run: g.beyond})
	}
	return all
}

// batch makes the exchanges of one batch.
func (g *generated) batch(api *schema.API, version int16, n uint64, count int) []exchange {
	m := &maker{api: api, version: version, topics: []string{standInPrefix + "a", standInPrefix + "b"}, ids: [][16]byte{standInID(0), standInID(1)}}
	var list []exchange
	for i := range count {
		// Each exchange has a source of its own, so that a change in how one is made leaves
		// the others as they were.
		m.rand = rand.New(rand.NewPCG(g.seed, uint64(api.Key)<<48|uint64(version)<<32|n<<16|uint64(i)))
		m.serial = int(n)*batchSize + i
		list = append(list, m.exchange())
	}
	return list
}

// prepare makes what generated requests speak of: topics a and b with records and, for the
// APIs of groups, groups with a member and with offsets.
func (t *T) prepare(key int16) {
	for i, name := range []string{"a", "b"} {
		_, id := t.topic(name, int32(2-i))
		t.real = append(t.real, string(standIn16(i)), string(id[:]))
		t.ids.topic(name, id)
		t.fill(t.name(name), 0, records("one", "two"), records("three"))
	}
	t.real = append(t.real, standInPrefix, t.prefix)
	if key < 8 || key > 16 && key != 42 && key != 47 {
		return
	}
	t.offsetsTopic()
	t.quiet(func() {
		c := t.on("setup")
		for i := range byte(2) {
			group := t.name(sprintf("live%d", i))
			req := joinGroup(group, "")
			if i == 1 {
				req.InstanceID = ptr("static")
			}
			a := c.do(at(7, req))
			if a.int("ErrorCode") == 79 {
				req.MemberID = a.str("MemberId")
				a = c.do(at(7, req))
			}
			member := a.str("MemberId")
			if len(member) != len(standInMember(i)) {
				t.fail("join %s: error %d, member id %q", group, a.int("ErrorCode"), member)
			}
			c.do(at(5, syncGroup(group, member, int32(a.int("GenerationId")), member, "assigned")))
			t.real = append(t.real, standInMember(i), member)
		}
		commit := offsetCommit(t.name("g"), "", -1, t.name("a"), [16]byte{}, 0, 1)
		if a := c.do(at(8, commit)); a.int("Topics[0].Partitions[0].ErrorCode") != 0 {
			t.fail("commit: %s", wire.Text(asAny(a.Tree)))
		}
	})
}

func standIn16(n int) []byte {
	id := standInID(byte(n))
	return id[:]
}

// standIns replaces the stand-ins of requests by what the broker has.
func (t *T) standIns() *strings.Replacer { return strings.NewReplacer(t.real...) }
