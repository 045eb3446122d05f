// Package acl says what a principal may do. Its nouns are the [Resource], the
// [Operation] on it and the [Decision] about both.
//
// A Decision is a value that names the rule it came from; error codes, audit events and
// explanations are made from it. An Authorizer may be asked by any number of goroutines.
package acl
