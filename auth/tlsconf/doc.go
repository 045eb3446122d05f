// Package tlsconf makes TLS settings from Kafka's ssl.* configuration. Its nouns are the
// [Store], which is a key or trust store of any format, the [Server], which is a
// listener's settings and follows its files, and the [Mapper], which makes a user's name
// of a certificate's subject.
//
// Stores are recognised by their content: JKS, PKCS#12 or PEM, whatever the configured
// type or the name of the file says. They are local files of the operator's; still none
// of them can make the process panic or allocate more than a small multiple of its size.
//
// Stores and Mappers are immutable. A Server may be used by any number of goroutines.
package tlsconf
