package group

// Stats are the coordinator's counters since its start, and what it holds now. They are
// numbers only; the broker puts names on them.
type Stats struct {
	// Counters.
	OffsetCommits         int64 // offsets committed
	OffsetExpirations     int64
	OffsetDeletions       int64 // by OffsetDelete
	GroupDeletions        int64 // by DeleteGroups
	GroupsRemoved         int64 // for whatever reason
	RebalancesBegun       int64
	RebalancesCompleted   int64
	SessionsExpired       int64
	PendingMembersExpired int64
	Appends               int64 // batches written to __consumer_offsets
	AppendedRecords       int64
	AppendsFailed         int64
	Loads                 int64 // partitions loaded
	LoadsFailed           int64
	LoadMs                int64 // spent on loads
	RecordsSkipped        int64 // at loads, because they could not be read

	// Gauges.
	PartitionsLed       int
	PartitionsLoading   int
	Groups              int
	GroupsEmpty         int
	GroupsPreparing     int
	GroupsCompleting    int
	GroupsStable        int
	Members             int
	Offsets             int
	ZooKeeperOffsets    int
	PendingTransactions int
}

func (s *Stats) add(o *Stats) {
	s.OffsetCommits += o.OffsetCommits
	s.OffsetExpirations += o.OffsetExpirations
	s.OffsetDeletions += o.OffsetDeletions
	s.GroupDeletions += o.GroupDeletions
	s.GroupsRemoved += o.GroupsRemoved
	s.RebalancesBegun += o.RebalancesBegun
	s.RebalancesCompleted += o.RebalancesCompleted
	s.SessionsExpired += o.SessionsExpired
	s.PendingMembersExpired += o.PendingMembersExpired
	s.Appends += o.Appends
	s.AppendedRecords += o.AppendedRecords
	s.AppendsFailed += o.AppendsFailed
	s.Loads += o.Loads
	s.LoadsFailed += o.LoadsFailed
	s.LoadMs += o.LoadMs
	s.RecordsSkipped += o.RecordsSkipped
}

// gauges adds what the core holds.
func (c *core) gauges(s *Stats) {
	s.Groups += len(c.groups)
	for _, g := range c.groups {
		switch g.state {
		case stateEmpty:
			s.GroupsEmpty++
		case statePreparingRebalance:
			s.GroupsPreparing++
		case stateCompletingRebalance:
			s.GroupsCompleting++
		case stateStable:
			s.GroupsStable++
		}
		s.Members += len(g.members)
		s.Offsets += len(g.offsets)
	}
	for _, offsets := range c.zooKeeper {
		s.ZooKeeperOffsets += len(offsets)
	}
	s.PendingTransactions += len(c.producers)
}
