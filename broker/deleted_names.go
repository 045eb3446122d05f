package broker

import "sync"

// deletedNamesMax bounds deletedNames: with more deletions than this, the oldest are forgotten.
const deletedNamesMax = 1024

// deletedNames are the names of topics that were deleted and not made again since. Who asks for the metadata of such a topic most
// likely knew the old one: the first answer tells it that the topic is gone, as Apache's does, before it sees another of that name.
type deletedNames struct {
	mu    sync.Mutex
	names map[string]struct{}
	order []string // the same names, oldest first
}

func (d *deletedNames) add(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.names[name]; known {
		return
	}
	if d.names == nil {
		d.names = map[string]struct{}{}
	}
	if len(d.order) == deletedNamesMax {
		delete(d.names, d.order[0])
		d.order = append(d.order[:0], d.order[1:]...)
	}
	d.names[name] = struct{}{}
	d.order = append(d.order, name)
}

func (d *deletedNames) remove(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.names[name]; !known {
		return
	}
	delete(d.names, name)
	for i, n := range d.order {
		if n == name {
			d.order = append(d.order[:i], d.order[i+1:]...)
			break
		}
	}
}

func (d *deletedNames) has(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.names[name]
	return known
}
