package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/barnabas-broker/barnabas/metadata"
)

// placer places replicas as KRaft's striped placer does: over racks in turn, within a
// rack over brokers in turn, unfenced brokers before fenced ones, and the first replica,
// the preferred leader, never on a fenced one. Every leader gets as many partitions as
// the others, and so does every rack.
type placer struct {
	rng      *rand.Rand
	racks    []*placerRack
	offset   int // rack of the next first replica
	epoch    int // partitions placed since the last shuffle
	brokers  int
	unfenced int
}

type placerRack struct {
	name             string
	fenced, unfenced placerList
}

// placerList hands out its brokers once in each epoch, each epoch from another start.
type placerList struct {
	brokers              []int32
	index, offset, epoch int
}

func (l *placerList) next(epoch int) int32 {
	if len(l.brokers) == 0 {
		return metadata.NoLeader
	}
	if l.epoch != epoch {
		l.epoch, l.index = epoch, 0
		l.offset = (l.offset + 1) % len(l.brokers)
	}
	if l.index >= len(l.brokers) {
		return metadata.NoLeader
	}
	b := l.brokers[(l.index+l.offset)%len(l.brokers)]
	l.index++
	return b
}

func (l *placerList) shuffle(rng *rand.Rand) {
	rng.Shuffle(len(l.brokers), func(i, j int) { l.brokers[i], l.brokers[j] = l.brokers[j], l.brokers[i] })
}

func newPlacer(m *metadata.Image, rng *rand.Rand) *placer {
	p := &placer{rng: rng}
	byName := map[string]*placerRack{}
	for _, b := range m.Brokers() {
		rack := byName[b.Rack]
		if rack == nil {
			rack = &placerRack{name: b.Rack}
			byName[b.Rack] = rack
			p.racks = append(p.racks, rack)
		}
		p.brokers++
		if b.Fenced {
			rack.fenced.brokers = append(rack.fenced.brokers, b.ID)
		} else {
			rack.unfenced.brokers = append(rack.unfenced.brokers, b.ID)
			p.unfenced++
		}
	}
	slices.SortFunc(p.racks, func(a, b *placerRack) int { return strings.Compare(a.name, b.name) })
	for _, rack := range p.racks {
		for _, list := range []*placerList{&rack.fenced, &rack.unfenced} {
			if len(list.brokers) > 0 {
				list.offset = rng.IntN(len(list.brokers))
			}
		}
	}
	if len(p.racks) > 0 {
		p.offset = rng.IntN(len(p.racks))
	}
	return p
}

// check says why replicationFactor replicas cannot be placed, "" if they can.
func (p *placer) check(replicationFactor int) string {
	switch {
	case replicationFactor <= 0:
		return fmt.Sprintf("Invalid replication factor %d: the replication factor must be positive.", replicationFactor)
	case p.unfenced == 0:
		return "All brokers are currently fenced."
	case replicationFactor > p.brokers:
		return fmt.Sprintf("The target replication factor of %d cannot be reached because only %d broker(s) are registered.",
			replicationFactor, p.brokers)
	}
	return ""
}

// place returns the replicas of one partition. check must have passed.
func (p *placer) place(replicationFactor int) []int32 {
	// Having handed out as many as there are brokers, shuffle, lest the same replica sets come
	// again. With one broker there is nothing to shuffle.
	if p.epoch == p.unfenced && p.unfenced > 1 {
		p.rng.Shuffle(len(p.racks), func(i, j int) { p.racks[i], p.racks[j] = p.racks[j], p.racks[i] })
		for _, rack := range p.racks {
			rack.fenced.shuffle(p.rng)
			rack.unfenced.shuffle(p.rng)
		}
		p.epoch = 0
	}
	if p.offset == len(p.racks) {
		p.offset = 0
	}
	replicas := make([]int32, 0, replicationFactor)
	first := p.offset
	for {
		if b := p.racks[first].unfenced.next(p.epoch); b >= 0 {
			replicas = append(replicas, b)
			break
		}
		first = (first + 1) % len(p.racks)
	}
	for rack := p.offset; len(replicas) < replicationFactor; rack = (rack + 1) % len(p.racks) {
		if rack == first {
			first = -1 // this rack has its first replica already; skip it once
			continue
		}
		b := p.racks[rack].unfenced.next(p.epoch)
		if b < 0 {
			b = p.racks[rack].fenced.next(p.epoch)
		}
		if b >= 0 {
			replicas = append(replicas, b)
		}
	}
	p.epoch++
	p.offset++
	return replicas
}
