package group

import "github.com/barnabas-broker/barnabas/broker/repeats"

// named is what a request has named of groups and partitions. Apache answers every time
// that one is named, and so do we until the answer is large; past that a second time is
// refused with INVALID_REQUEST. The zero value is ready.
type named struct {
	repeats.Set[namedKey]
}

type namedKey struct {
	group     string
	partition partitionKey // zero for all of the group
}

// refusesGroup says whether to refuse a group, and notes it.
func (n *named) refusesGroup(id string) bool { return n.Refuses(namedKey{group: id}) }

// refusesPartition says whether to refuse a partition. It notes nothing while the answer
// is small, which it nearly always is.
func (n *named) refusesPartition(group string, p partitionKey) bool {
	return n.Full() && n.Refuses(namedKey{group: group, partition: p})
}
