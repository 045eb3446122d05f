package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
	"github.com/barnabas-broker/barnabas/tests/peers"
)

// golden is a script that showed a difference once, with what Apache answered. Requests
// are kept as bytes, with stand-ins; answers as they are compared.
type golden struct {
	title   string
	from    string // the script that it was found by
	key     int16
	version int16
	list    []exchange
	events  map[peers.Kind][]event
}

// fileName is made of what is asked and where the difference was.
func (g *golden) fileName(path string) string {
	sum := fnv.New32a()
	for i := range g.list {
		sum.Write(g.list[i].body)
	}
	field := indexes.ReplaceAllString(path, "")
	if field == "" {
		field = "answer"
	}
	name := fmt.Sprintf("%s-v%d-%s-%04x.txt", schema.Lookup(g.key).Name, g.version, strings.ReplaceAll(field, ".", "-"), sum.Sum32()&0xffff)
	return strings.ToLower(strings.ReplaceAll(name, " ", "-"))
}

func (g *golden) write(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# Found by %s.\n%s %d\n", g.title, g.from, schema.Lookup(g.key).Name, g.version)
	for i := range g.list {
		x := &g.list[i]
		fmt.Fprintf(&b, "\nrequest %d %s\n", x.header, hex.EncodeToString(x.body))
		fmt.Fprintf(&b, "# %s\n", x)
		for _, kind := range slices.Sorted(maps.Keys(g.events)) {
			if kind.IsApache() && i < len(g.events[kind]) {
				fmt.Fprintf(&b, "%s %s\n", kind, wire.Text(g.events[kind][i].Answer))
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// readGolden reads what write wrote.
func readGolden(path string) (*golden, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g := &golden{events: map[peers.Kind][]event{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	var api *schema.API
	var asked string // by the last request, as text
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "" || word == "#":
			if n == 1 {
				g.title = rest
			} else if len(g.list) > 0 {
				asked = rest
			}
		case api == nil:
			for _, a := range schema.All() {
				if a.Name == word {
					api = schema.Lookup(a.Key)
				}
			}
			version, err := strconv.Atoi(rest)
			if api == nil || err != nil {
				return nil, fmt.Errorf("%s:%d: no API and version", path, n)
			}
			g.key, g.version = api.Key, int16(version)
		case word == "request":
			var header int8
			var body string
			fmt.Sscan(rest, &header, &body)
			b, err := hex.DecodeString(body)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
			g.list = append(g.list, exchange{key: g.key, version: g.version, body: b, header: headerKind(header)})
		default:
			answer, err := wire.Parse(rest)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
			kind := peers.Kind(word)
			g.events[kind] = append(g.events[kind], event{Label: sprintf("a: %s v%d", api.Name, g.version), Asked: asked, Key: g.key, Answer: answer})
		}
	}
	return g, lines.Err()
}
