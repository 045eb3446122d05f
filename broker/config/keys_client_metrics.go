package config

// clientMetricsKeys are all keys of a client metrics subscription, by name.
var clientMetricsKeys = []Key{
	{Name: "interval.ms", Type: TypeInt, Default: "300000", Importance: ImportanceMedium,
		Section: "Client metrics",
		Doc:     "How often clients shall push."},
	{Name: "match", Type: TypeList, Importance: ImportanceMedium,
		Section: "Client metrics",
		Doc:     "Which clients are meant: selector=regular expression, separated by commas. Empty is all."},
	{Name: "metrics", Type: TypeList, Importance: ImportanceMedium,
		Section: "Client metrics",
		Doc:     "Prefixes of the metric names that clients shall push, separated by commas; * is all, empty none."},
}
