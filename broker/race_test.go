//go:build race

package broker_test

// raceDetector says that sync.Pool forgets at random, so that allocations mean nothing.
const raceDetector = true
