// Package exposition writes metrics in Prometheus' text format.
//
// A [Writer] collects one answer: a family is named once, then its samples follow. It
// knows nothing of what is measured and keeps nothing between answers. A Writer belongs
// to one goroutine.
package exposition
