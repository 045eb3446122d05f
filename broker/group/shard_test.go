package group

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/barnabas-broker/barnabas/protocol"
)

// Commits that wait for an append share the next batch as far as the topic takes it, also
// after its configuration has been changed.
func TestGatheredCommitsFitIntoTheTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newMemoryStorage(1)
		c := testCoordinator(t, storage, Config{})
		for _, maxBytes := range []int{600, 300} {
			storage.maxBytes, storage.hold, storage.appends = maxBytes, true, 0
			var answers []*slot[kmsg.OffsetCommitResponse]
			for i := range 20 {
				answers = append(answers, commit(t, c, 5, fmt.Sprint("g", i), "", -1, "orders", int64(i)))
			}
			storage.hold = false
			storage.release()
			for i, a := range answers {
				wantCode(t, fmt.Sprint("commit ", i), commitCode(t, a), protocol.None)
			}
			if storage.appends <= 2 || storage.appends >= 20 {
				t.Errorf("max.message.bytes %d: %d appends", maxBytes, storage.appends)
			}
		}
	})
}
