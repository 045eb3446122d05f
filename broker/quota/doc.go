// Package quota measures what clients use of a broker and says how long they have to
// wait. Its nouns are the [Limits], which are the quotas in force, the [Manager], which
// measures, and the [Client], one connection's part in it.
//
// Rates are Kafka's: samples of quota.window.size.seconds, quota.window.num of them, and a
// wait that brings the rate down to the bound. Nothing here waits, reads a clock or knows
// of connections: the caller passes the time and keeps the client silent. Limits are
// immutable; a Manager and its Clients may be used by any number of goroutines.
package quota
