//go:build !invariants

package broker

const panicsEnd = false
