// Package raftstore keeps the metadata in a Raft log of our own: metadata.Store on
// hashicorp/raft with raft-wal. By default there is one voter, this process, which
// bootstraps itself and needs no configuration.
//
// A [Store] has one goroutine that decides. It takes the commands that are waiting, asks
// metadata/controller about each on top of what those before it decided, and proposes the
// records of all of them as one Raft entry: commands that come together share an fsync and
// become visible together. It answers them when the entry is committed and applied, and
// only then decides on the next ones, so that every decision is taken on committed state.
//
// The other half is the state machine, which Raft calls from a goroutine of its own: it
// applies entries to the image, calls the subscribers and publishes. Entries are applied in
// batches, one image and one delta each; replay after a start goes the same way.
//
// An entry carries the controller epoch its proposer believed in, and is void in any other:
// what a deposed controller left behind has no effect. A log that cannot be written is the
// end: [Store.Failed] tells whoever runs the process. entry.go, snapshot.go and meta_store.go
// describe the bytes on disk.
package raftstore
