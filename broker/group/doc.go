// Package group coordinates consumer groups: the classic protocol (JoinGroup, SyncGroup,
// Heartbeat, LeaveGroup), committed offsets, and their administration. The group types of
// KIP-848 and later share the same partitions and will stand beside the classic ones.
//
// Its nouns: a [Coordinator] is one broker's share of all groups; it owns one shard per
// partition of __consumer_offsets that this broker leads, and a group belongs to the
// partition that the Java hash of its id picks. Inside a shard a pure core decides: an
// event and the time go in, answers, records to write and a next deadline come out. It
// has no goroutine, clock or I/O, and the golden transcripts and the simulation drive it
// as the shell does.
//
// Every request method takes a done function and calls it exactly once, now or later,
// never with a lock of this package held; a JoinGroup that waits holds no goroutine.
// Methods may be called from any number of goroutines. Nothing of a request is kept
// after the method returns, except copies.
//
// State is written to __consumer_offsets in Apache Kafka's own record schemas before it
// is answered for, and is read back from there when the broker becomes leader of a
// partition. Who may ask for what has been decided by the caller, who also creates the
// topic and finds the coordinator for clients.
package group
