// Command conformance holds Barnabas against Apache Kafka. It starts Apache Kafka 3.9.2 and
// 4.3.1 in KRaft mode and Barnabas side by side with the same settings, plays the same
// scripts against each, and compares what comes back field by field: error codes,
// nulls, defaults, order, throttle times, which tagged fields are there, records down to
// their headers, which connections close and which requests stay unanswered.
//
// Scripts are written by hand (scripts_*.go) or generated from the schema of the requests
// (generate.go, kinds.go, values.go): valid, boundary, null, empty, duplicate, oversize,
// strangely named, cut short and so on, ten in a pipeline. What a generated script differs
// in is made small (shrink.go) and written to testdata/golden, which go test plays against
// Barnabas alone. Each script runs once for every version of the API that it is about. Every script
// has names of its own, so that scripts do not see each other and may run at the same time.
// With -secured the brokers have an authorizer and users, and other scripts are played:
// every API in every version as a principal without ACLs, with one ACL after the other,
// with a deny over it, and as a super user (scripts_secured.go).
//
// What differs is played again alone before it counts, twice: many scripts are about what
// happens within a second, and the machine may be busy for that long. Scripts named "alone:"
// change what others may see, or end Apache's controller, and run before all others.
//
// Of an answer only ids, times around now, hosts, ports and directories are made equal
// before comparing (normalise.go), and the order of lists that Apache takes out of hash
// maps. Differences that are meant stand in explained.go, each with its reason and
// with whose way is followed where the two Apaches differ; any other fails the run.
package main
