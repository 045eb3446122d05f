// Package doctor looks at a broker's configuration and at the machine, and says what would
// go wrong if the broker were started: what stops it, what is unsafe, and what its clients
// would see.
//
// [Examine] makes a [Report]; nothing is changed by it. What it looks at outside of the
// configuration comes in through [System]. No secret gets into a report.
package doctor
