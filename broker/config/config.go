package config

// Source says where an effective value came from; the numbers are those of DescribeConfigs.
type Source int8

// The sources, in no order of precedence.
const (
	SourceUnknown              Source = 0
	SourceDynamicTopic         Source = 1
	SourceDynamicBroker        Source = 2
	SourceDynamicDefaultBroker Source = 3
	SourceStaticBroker         Source = 4
	SourceDefault              Source = 5
	SourceDynamicBrokerLogger  Source = 6
	SourceClientMetrics        Source = 7
	SourceGroup                Source = 8
)

// Setting is one value that somebody wrote, and where.
type Setting struct {
	Name   string // as written, with any prefix
	Value  string
	Source Source
	File   string // properties file, "command line" or "environment"; empty if dynamic
	Line   int    // 1-based; 0 if not from a file
}
