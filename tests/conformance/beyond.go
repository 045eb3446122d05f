package main

import (
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/barnabas-broker/barnabas/protocol/schema"
	"github.com/barnabas-broker/barnabas/tests/conformance/wire"
)

// betweenBrokers are the APIs that brokers and controllers ask of each other, over
// listeners of their own or in ZooKeeper mode alone.
var betweenBrokers = []int16{4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82}

// beyond asks for what a broker does not serve: of every API one version more than the
// broker has, less than none, and the last of all; the APIs between brokers; and keys that
// no API has. What follows the header is of no meaning. Each is asked on a connection of
// its own, and taken down is what becomes of it.
func (g *generated) beyond(t *T) {
	random := rand.New(rand.NewPCG(g.seed, 0xffff))
	ask := func(what string, key, version int16) {
		c := t.on("a")
		b := []byte{0, 0, 0, 0}
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		b = append(b, 0, 0, 0, 1, 0, 1, 'c', 0)
		for range random.IntN(40) {
			b = append(b, byte(random.Uint32()))
		}
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
		c.raw.write(b)
		frame, err := c.raw.read(patience)
		e := event{Label: what, Key: key, Answer: wire.Raw("closed")}
		switch {
		case err == errSilent:
			e.Answer = wire.Raw("silent")
		case err == nil && key == 18 && len(frame) > 6 && frame[3] == 1:
			e.Answer = wire.Raw(sprintf("error %d", binary.BigEndian.Uint16(frame[4:])))
		case err == nil:
			e.Answer = wire.Raw(sprintf("answered %x", frame))
		}
		t.events = append(t.events, e)
		c.raw.close()
		delete(t.conns, "a")
	}
	for _, api := range schema.All() {
		served, ok := t.target.ranges[api.Key]
		if !ok {
			served = [2]int16{api.Min, api.Max}
		}
		ask(sprintf("%s, one version beyond", api.Name), api.Key, served[1]+1)
		ask(sprintf("%s, a version below 0", api.Name), api.Key, pick[int16](&maker{rand: random}, -1, -2, math.MinInt16))
		ask(sprintf("%s, a version far beyond", api.Name), api.Key, pick[int16](&maker{rand: random}, math.MaxInt16, 100, served[1]+2))
	}
	for _, key := range betweenBrokers {
		api := schema.Lookup(key)
		for version := api.Min; version <= api.Max; version++ {
			ask(sprintf("%s, which brokers ask, version %d", api.Name, version), key, version)
		}
	}
	for i := range 40 {
		key := int16(schema.All()[len(schema.All())-1].Key + 1 + int16(i))
		if i >= 10 {
			key = pick(&maker{rand: random}, -1, math.MinInt16, math.MaxInt16, -key, int16(random.UintN(30000))+200)
		}
		ask(sprintf("no API, key %d", key), key, int16(random.IntN(5)))
	}
}
