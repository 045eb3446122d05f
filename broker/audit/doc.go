// Package audit keeps a record of who did what: authentication, refusals, and changes that
// administrators make. Its nouns are the [Event], the [Sink] it is written to and the [Log]
// in between.
//
// An event is one line of JSON; one whose request names very much is several, each with a
// part of the changes. What a client retries is written once and then counted, so that
// nobody can fill a disk by being refused. Secrets have no field to stand in. A Log may be
// used by any number of goroutines; it writes before it returns, and whether the caller goes
// on when that fails is the operator's choice: see [Options].
package audit
