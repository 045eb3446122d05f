package group

import (
	"sync"

	"github.com/barnabas-broker/barnabas/protocol"
)

// deletedTopicsMax bounds deletedTopics: with more deletions than this, the oldest are forgotten.
const deletedTopicsMax = 16384

// deletedTopics are the ids of topics that were deleted of late. A commit looks its topics
// up before it gets to a core: the deletion may overtake it, and has then removed what was
// there already. Ids are never used again, so a topic made anew under an old name is
// another one. An id is here before any core hears of the deletion.
//
// mu is a leaf; the other locks of the package may be held.
type deletedTopics struct {
	mu    sync.RWMutex
	ids   map[protocol.UUID]struct{}
	order []protocol.UUID // a ring once it is full
	next  int             // the oldest, then
}

func (d *deletedTopics) add(id protocol.UUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.ids[id]; known || id.IsZero() {
		return
	}
	if d.ids == nil {
		d.ids = make(map[protocol.UUID]struct{})
	}
	d.ids[id] = struct{}{}
	if len(d.order) < deletedTopicsMax {
		d.order = append(d.order, id)
		return
	}
	delete(d.ids, d.order[d.next])
	d.order[d.next] = id
	d.next = (d.next + 1) % deletedTopicsMax
}

// refuse gives code to the offsets of deleted topics.
func (d *deletedTopics) refuse(offsets []partitionOffset, code protocol.ErrorCode) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if len(d.ids) == 0 {
		return
	}
	for i := range offsets {
		o := &offsets[i]
		if _, gone := d.ids[o.topicID]; gone && o.code == protocol.None {
			o.code = code
		}
	}
}
