// Package loggers holds the levels of the broker's loggers, which BROKER_LOGGER resources
// show and change while the broker runs (KIP-412).
//
// A [Registry] has a root level and named loggers; one without a level of its own follows
// the nearest name above it, by dots, and in the end the root. Asking whether a record is
// wanted is one atomic load.
package loggers
