package config

// clientMetricsKeys are all keys of a client metrics subscription, by name.
var clientMetricsKeys = []Key{
	{Name: "interval.ms", Type: TypeInt, Default: "300000", Importance: ImportanceMedium},
	{Name: "match", Type: TypeList, Importance: ImportanceMedium},
	{Name: "metrics", Type: TypeList, Importance: ImportanceMedium},
}
