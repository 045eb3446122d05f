package controller

import (
	"math/rand/v2"
	"testing"

	"github.com/barnabas-broker/barnabas/metadata"
)

// placed places partitions on brokers in racks and returns what each broker got.
func placed(t *testing.T, racks []string, fenced []int32, partitions, replicas int) (leaders, all map[int32]int) {
	t.Helper()
	d := metadata.NewDraft(metadata.EmptyImage())
	for i, rack := range racks {
		b := metadata.Broker{ID: int32(i), Rack: rack}
		for _, id := range fenced {
			b.Fenced = b.Fenced || id == int32(i)
		}
		if err := d.Apply(&metadata.BrokerRecord{Broker: b}); err != nil {
			t.Fatal(err)
		}
	}
	image, _ := d.Finish(1)
	p := newPlacer(image, rand.New(rand.NewPCG(1, 2)))
	if reason := p.check(replicas); reason != "" {
		t.Fatal(reason)
	}
	leaders, all = map[int32]int{}, map[int32]int{}
	for range partitions {
		list := p.place(replicas)
		inRack, seen := map[string]int{}, map[int32]bool{}
		for _, id := range list {
			if seen[id] {
				t.Fatalf("broker twice in %v", list)
			}
			seen[id] = true
			inRack[racks[id]]++
			all[id]++
		}
		leaders[list[0]]++
		distinct := map[string]bool{}
		for _, rack := range racks {
			distinct[rack] = true
		}
		if replicas <= len(distinct) && len(racks) == len(distinct)*(len(racks)/len(distinct)) && len(fenced) == 0 {
			for rack, n := range inRack {
				if n > 1 {
					t.Fatalf("%d replicas of %v in rack %s", n, list, rack)
				}
			}
		}
	}
	return leaders, all
}

func TestPlacementIsEven(t *testing.T) {
	leaders, all := placed(t, []string{"", "", "", "", ""}, nil, 1000, 3)
	for id := range int32(5) {
		if leaders[id] != 200 || all[id] != 600 {
			t.Errorf("broker %d leads %d and has %d", id, leaders[id], all[id])
		}
	}
}

func TestPlacementSpreadsOverRacks(t *testing.T) {
	_, all := placed(t, []string{"a", "a", "b", "b", "c", "c"}, nil, 600, 3)
	for id := range int32(6) {
		if all[id] < 250 || all[id] > 350 {
			t.Errorf("broker %d has %d of 1800", id, all[id])
		}
	}
}

func TestFencedBrokersLeadNothingAndComeLast(t *testing.T) {
	leaders, all := placed(t, []string{"", "", ""}, []int32{1}, 300, 2)
	if leaders[1] != 0 || all[1] != 0 {
		t.Errorf("a fenced broker leads %d and has %d", leaders[1], all[1])
	}
	if _, all := placed(t, []string{"", "", ""}, []int32{1}, 300, 3); all[1] != 300 {
		t.Errorf("a fenced broker has %d of 300 where it is needed", all[1])
	}
}
