// Package bearer checks access tokens for OAUTHBEARER. Its nouns are the [Validator],
// which judges signed JSON web tokens (RFC 7515, RFC 7519), and the [KeySource], which
// keeps the issuer's keys (JWKS, RFC 7517) and refreshes them, through outages too.
//
// A Validator answers from memory and may be used by any number of goroutines; only a
// KeySource's Load and Run read files or the network. [Unsecured] takes anybody's word and
// is for tests.
package bearer
