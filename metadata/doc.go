// Package metadata is what a cluster knows of itself: brokers, topics, partitions,
// configurations, quotas, credentials, ACLs, features, and who is controller.
//
// Four nouns. An [Image] is all of it at one moment, immutable: whoever holds one may
// read it for as long as he likes, from any goroutine, without a lock. A [Record] is one
// change, with a versioned encoding of its own; a sequence of records makes the next image
// out of the last (see [Draft]). A [Delta] says what differs between two images, in
// the terms that replication, config listeners and coordinators ask in. A [Store] keeps
// the records somewhere (metadata/raftstore: the embedded Raft log; zkstore: ZooKeeper),
// publishes images, and carries out admin commands.
//
// An image shares with its predecessor everything that a change did not touch: creating one
// topic among ten thousand copies a few hundred bytes.
//
// Slices and maps that an image hands out are part of it and must not be modified.
//
// The decisions (where replicas go, who leads, which command is refused and with which of
// Kafka's words) are in metadata/controller, which is pure and serves every store.
package metadata
