//go:build race

package schema_test

// Under the race detector the compiler makes kmsg's append(a, make([]T, n)...) allocate
// twice.
const allocationFactor = 2
