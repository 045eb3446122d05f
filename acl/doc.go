// Package acl says what a principal may do. Its nouns are the [Resource], the
// [Operation] on it and the [Decision] about both.
//
// A [Binding] is one ACL: it lets a principal, or keeps it from, doing something to the
// resources that a pattern covers. A [Snapshot] is an immutable index of all of them; a
// [StandardAuthorizer] decides from one, as Apache's class of that name does, and swaps it
// for the next. A [Cache] holds the latest decisions of one connection.
//
// A Decision is a value that names the rule it came from; error codes, audit events and
// explanations are made from it. An Authorizer, a Snapshot and a Cache may be asked by any
// number of goroutines. Nothing here reads clock, disk or network.
package acl
