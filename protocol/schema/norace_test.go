//go:build !race

package schema_test

const allocationFactor = 1
