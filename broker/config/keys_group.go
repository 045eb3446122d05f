package config

// groupKeys are all keys of a group, by name. They are 4.x's; 3.9 has no such resource.
var groupKeys = []Key{
	{Name: "consumer.assignment.interval.ms", Type: TypeInt, Default: "1000", Valid: Valid{Kind: ValidRange, Min: 0, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "consumer.heartbeat.interval.ms", Type: TypeInt, Default: "5000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "consumer.session.timeout.ms", Type: TypeInt, Default: "45000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.assignment.interval.ms", Type: TypeInt, Default: "1000", Valid: Valid{Kind: ValidRange, Min: 0, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.auto.offset.reset", Type: TypeString, Default: "latest", Valid: Valid{Kind: ValidOffsetReset}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.delivery.count.limit", Type: TypeInt, Default: "5", Valid: Valid{Kind: ValidRange, Min: 2, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.heartbeat.interval.ms", Type: TypeInt, Default: "5000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.isolation.level", Type: TypeString, Default: "read_uncommitted", Valid: Valid{Kind: ValidOneOf, Values: []string{"read_committed", "read_uncommitted"}}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.partition.max.record.locks", Type: TypeInt, Default: "2000", Valid: Valid{Kind: ValidRange, Min: 100, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.record.lock.duration.ms", Type: TypeInt, Default: "30000", Valid: Valid{Kind: ValidRange, Min: 1000, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "share.renew.acknowledge.enable", Type: TypeBoolean, Default: "true", Importance: ImportanceMedium, Release: Release4},
	{Name: "share.session.timeout.ms", Type: TypeInt, Default: "45000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "streams.assignment.interval.ms", Type: TypeInt, Default: "1000", Valid: Valid{Kind: ValidRange, Min: 0, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "streams.heartbeat.interval.ms", Type: TypeInt, Default: "5000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "streams.initial.rebalance.delay.ms", Type: TypeInt, Default: "3000", Valid: Valid{Kind: ValidRange, Min: 0, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "streams.num.standby.replicas", Type: TypeInt, Default: "0", Valid: Valid{Kind: ValidRange, Min: 0, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
	{Name: "streams.session.timeout.ms", Type: TypeInt, Default: "45000", Valid: Valid{Kind: ValidRange, Min: 1, Max: noMax}, Importance: ImportanceMedium, Release: Release4},
}
