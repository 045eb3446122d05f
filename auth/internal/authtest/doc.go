// Package authtest holds the peers that the tests of auth and its sub-packages talk to: a
// [Server], which is a Gate on a TCP port with just enough behind it to content real
// clients, and a [KDC].
package authtest
