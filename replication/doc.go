// Package replication is the partitions that this broker hosts: who leads them, how far
// they are committed, and who waits for them to grow.
//
// A [Partition] joins a log with the role that the metadata gives it. A [Manager] has all
// of this broker's partitions and follows the metadata. A [Waiter] is a request that waits
// for records in one of several partitions.
//
// Appends and reads may come from any number of goroutines. Role changes come from the
// metadata store's subscription, one at a time.
package replication
