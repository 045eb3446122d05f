// Package log stores one partition replica as an ordered run of record batches, and all
// the replicas of a broker in its data directories.
//
// A [Log] is a directory of segments, each a group of files named after its base offset:
// batches (.log), sparse offset index (.index), sparse time index (.timeindex), aborted
// transactions (.txnindex, only if there are any) and a snapshot of the producer state
// at its start (.snapshot). The bytes are those that Apache Kafka 3.9 writes; its tools
// and its broker read our directories, and we read theirs. A [Manager] owns the data
// directories: their locks, identity files and checkpoints, the logs in them, and all
// background work. A [Config] is the effective settings of one topic, immutable.
//
// One goroutine at a time appends to a log; any number read, without a lock. What a read
// returns is not bytes but a [Region]: a range of a file that stays readable until it is
// released, whatever happens to the segment.
//
// At rest a log costs some hundred bytes: no descriptor, goroutine, timer or buffer is
// kept for it. Files are opened when needed and closed when many others are.
//
// Nothing here knows of replicas, clients or the wire, or reads clock or files except
// through [ManagerOptions].
package log
