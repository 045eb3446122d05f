package log

import (
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// deletion is a file, or a whole directory, of a log that is to be removed when its time
// has come.
type deletion struct {
	due  time.Time
	log  *Log   // whose directory it is in, wherever that is by then
	name string // of the file; "" for the directory of a deleted log
}

// deletions are the files of a data directory that wait for file.delete.delay.ms. They
// are named so that the next start removes those that are left.
type deletions struct {
	mu      sync.Mutex
	waiting []deletion
}

func (d *deletions) add(x deletion) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = append(d.waiting, x)
}

// next is when something is due next.
func (d *deletions) next() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var next time.Time
	for i, x := range d.waiting {
		if i == 0 || x.due.Before(next) {
			next = x.due
		}
	}
	return next, len(d.waiting) > 0
}

// run removes what is due, one file after the other, for a big one takes the file system
// a while.
func (d *deletions) run(now time.Time) error {
	d.mu.Lock()
	var due []deletion
	d.waiting = slices.DeleteFunc(d.waiting, func(x deletion) bool {
		if x.due.After(now) {
			return false
		}
		due = append(due, x)
		return true
	})
	d.mu.Unlock()
	var errs []error
	for _, x := range due {
		dir := x.log.Dir()
		if x.name == "" {
			errs = append(errs, x.log.fs().RemoveAll(dir))
		} else {
			errs = append(errs, removeIfExists(x.log.fs(), filepath.Join(dir, x.name)))
		}
	}
	return errors.Join(errs...)
}
