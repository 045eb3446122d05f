package main

import (
	"slices"
	"testing"

	"github.com/barnabas-broker/barnabas/tests/peers"
)

func TestCompareFindsWhatDiffers(t *testing.T) {
	writer := &peers.Peer{Name: "writer", Headers: true, Timestamps: true}
	blind := &peers.Peer{Name: "blind", BlurNull: true}
	wrote := makeRecords(writer, "topic", 0, 40, 2)
	read := func() []peers.Record {
		got := slices.Clone(wrote)
		next := map[int32]int64{}
		for i := range got {
			got[i].Offset = next[got[i].Partition]
			next[got[i].Partition]++
		}
		return got
	}
	for _, tt := range []struct {
		name   string
		change func([]peers.Record) []peers.Record
		writer bool // also noticed by a reader that knows neither headers nor timestamps
		ok     bool
	}{
		{"nothing", func(r []peers.Record) []peers.Record { return r }, true, true},
		{"one lost", func(r []peers.Record) []peers.Record { return r[1:] }, true, false},
		{"a gap in the offsets", func(r []peers.Record) []peers.Record { r[39].Offset++; return r }, true, false},
		{"two swapped", func(r []peers.Record) []peers.Record {
			r[0].Value, r[2].Value = r[2].Value, r[0].Value
			return r
		}, true, false},
		{"key lost", func(r []peers.Record) []peers.Record { r[0].Key = nil; return r }, true, false},
		{"header lost", func(r []peers.Record) []peers.Record { r[0].Headers = nil; return r }, false, false},
		{"timestamp changed", func(r []peers.Record) []peers.Record { r[0].Timestamp++; return r }, false, false},
	} {
		if err := compare(writer, writer, wrote, tt.change(read())); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := compare(writer, blind, wrote, tt.change(read())); (err == nil) != (tt.ok || !tt.writer) {
			t.Errorf("%s, read by one that sees less: %v", tt.name, err)
		}
	}
}
