// Package config is the table of a broker's configuration keys, and all that reads it.
//
// A [Key] is one row: name, type, default, valid range, whether it may change at run time,
// what we do with it, one sentence of documentation. Keys and their facts are Apache
// Kafka 3.9's, with the additions of 4.x; our own few are named barnabas.*. The table feeds
// everything: [Load] checks a properties file with it, DescribeConfigs and AlterConfigs
// answer from it, docs/config.md is printed from it.
//
// A [Config] is every effective value with its source: per-broker dynamic, cluster-wide
// dynamic, file or command line, default, in that order. It never changes; a dynamic
// alteration makes a new one with [Config.WithDynamic]. [Config.Broker] is its typed view
// and [Config.Topic] the settings of one topic's logs. Everything in here may be used by
// any number of goroutines.
//
// The package opens no port and starts nothing. It reads files only through [Options], and
// leaves to its callers to print what it found odd ([Note]) or wrong ([Problem]).
package config
