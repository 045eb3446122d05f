//go:build invariants

package broker

// panicsEnd lets every panic end the process.
const panicsEnd = true
