package main

import "testing"

func TestCheckFindsWhatWasLost(t *testing.T) {
	l := newLedger()
	p, i := place{"t", 0, 5}, id{"a", 0, 1}
	l.noteSent(i)
	l.noteAck(p, i)
	all := func(place) bool { return true }
	if err := l.check(map[place]id{p: i}, l.snapshotAcked(), all); err != nil {
		t.Error(err)
	}
	if err := l.check(map[place]id{}, l.snapshotAcked(), all); err == nil {
		t.Error("a lost record went unnoticed")
	}
	if err := l.check(map[place]id{p: {"a", 0, 2}}, l.snapshotAcked(), all); err == nil {
		t.Error("a replaced record went unnoticed")
	}
}

func TestCheckOrderAllowsDuplicatesToRetriersOnly(t *testing.T) {
	strict := func(p string) bool { return p == "strict" }
	seqs := func(producer string, seqs ...int64) []id {
		var ids []id
		for _, s := range seqs {
			ids = append(ids, id{producer, 0, s})
		}
		return ids
	}
	for _, tt := range []struct {
		name    string
		records []id
		ok      bool
	}{
		{"in order", seqs("strict", 0, 1, 2), true},
		{"duplicate of an idempotent producer", seqs("strict", 0, 1, 1, 2), false},
		{"gap of an idempotent producer", seqs("strict", 0, 2), false},
		{"sent again", seqs("loose", 0, 1, 2, 1, 2, 3), true},
		{"out of order", seqs("loose", 0, 2, 1), false},
	} {
		if err := checkOrder(0, tt.records, strict); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
