// Package auth says who is on a connection. Its nouns are the [Principal], the
// [Mechanism] that proves one, and the [Gate] that a SASL listener puts before each of its
// connections: no request passes it before a mechanism has vouched for the client.
//
// Everything here is a pure core. An [Exchange] is fed the client's tokens and answers
// with its own, a Gate is fed frames and answers with a [Verdict]; neither reads a socket
// or starts a goroutine. Principals, identities, secrets and mechanisms are immutable and
// may be shared by any number of goroutines; an Exchange or a Gate belongs to one
// connection and is used by one goroutine at a time.
//
// PLAIN, SCRAM, OAUTHBEARER's messages and the secrets of delegation tokens are here.
// Package bearer checks access tokens, package kerberos accepts GSSAPI, package tlsconf
// makes TLS settings from key stores.
package auth
