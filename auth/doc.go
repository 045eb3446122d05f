// Package auth says who is on a connection. Its noun is the [Principal]; TLS and the
// SASL mechanisms that prove one come to stand here.
//
// Values are immutable and may be shared by any number of goroutines.
package auth
