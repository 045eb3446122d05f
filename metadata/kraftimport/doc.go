// Package kraftimport reads the metadata log of an Apache Kafka node in KRaft mode, the
// directory __cluster_metadata-0 with its checkpoints and segments, and says in our own
// records what the cluster looked like: topics with their ids, partitions, configurations,
// brokers, quotas, credentials, ACLs, tokens, features, and the next producer id.
//
// It only reads, through an fs.FS. Bytes on the disk may be anything: lengths are checked
// against what is there before anything is made of them.
//
// The log of a node that stopped does not say how much of it was committed. What is read is all
// of it, which is right for a controller that was alone; in a quorum of several it must be read on the last
// active controller.
package kraftimport
