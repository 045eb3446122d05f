// Package kerberos accepts GSSAPI: it is the server's side of Kerberos 5 (RFC 4120, RFC
// 4121) in SASL (RFC 4752). Its nouns are the [Mechanism], which holds the service's keys,
// and the [Rules] that map a Kerberos principal to a user (auth_to_local).
//
// The acceptor is our own, on gokrb5's cryptography, key tables and ASN.1 types; why is in
// docs/decisions. Who the client is comes from the ticket alone. Every token is hostile:
// whatever is wrong with it ends in an error. A Mechanism may be used by any number of
// goroutines; only [Mechanism.SelfTest] talks to a KDC.
package kerberos
