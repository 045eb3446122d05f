package log

import (
	"cmp"
	"slices"

	"github.com/barnabas-broker/barnabas/protocol"
)

// cleanedTransactions follows the transactions while compaction walks a log from its
// start: which batches belong to aborted ones, and which markers have no batch left to
// end and may go.
type cleanedTransactions struct {
	index AbortedTxnAppender // of the cleaned segment; nil while the offset map is built

	aborted []AbortedTxn          // not yet begun, by descending first offset
	ongoing map[int64]*ongoingTxn // aborted ones that have begun, by producer id
	// Producers with a batch in the walked part that no marker has ended yet and that
	// belongs to no aborted transaction.
	committed map[int64]struct{}
}

type ongoingTxn struct {
	txn  AbortedTxn
	seen bool // a batch of it is still in the log
}

func newCleanedTransactions() *cleanedTransactions {
	return &cleanedTransactions{ongoing: make(map[int64]*ongoingTxn), committed: make(map[int64]struct{})}
}

// add adds aborted transactions of the part about to be walked. One that spans two parts
// comes twice, which is harmless.
func (c *cleanedTransactions) add(txns []AbortedTxn) {
	c.aborted = append(c.aborted, txns...)
	slices.SortStableFunc(c.aborted, func(a, b AbortedTxn) int { return cmp.Compare(b.FirstOffset, a.FirstOffset) })
}

func (c *cleanedTransactions) beginUpTo(offset int64) {
	for n := len(c.aborted); n > 0 && c.aborted[n-1].FirstOffset <= offset; n-- {
		txn := c.aborted[n-1]
		c.aborted = c.aborted[:n-1]
		if c.ongoing[txn.ProducerID] == nil {
			c.ongoing[txn.ProducerID] = &ongoingTxn{txn: txn}
		}
	}
}

// onBatch tells of a batch walked over and says whether it can go with all its records:
// a batch of an aborted transaction, or a marker whose transaction has no batch left.
func (c *cleanedTransactions) onBatch(h *protocol.RecordBatch, batch []byte) (canDiscard bool, err error) {
	c.beginUpTo(h.LastOffset())
	if h.IsControl() {
		return c.onControlBatch(h, batch)
	}
	if !h.IsTransactional() {
		return false, nil
	}
	if txn := c.ongoing[h.ProducerID]; txn != nil {
		txn.seen = true
		return true, nil
	}
	c.committed[h.ProducerID] = struct{}{}
	return false, nil
}

func (c *cleanedTransactions) onControlBatch(h *protocol.RecordBatch, batch []byte) (canDiscard bool, err error) {
	if h.RecordCount <= 0 {
		return true, nil // emptied before
	}
	typ, _, err := parseControlRecord(h, batch)
	if err != nil {
		return false, err
	}
	switch typ {
	case controlTypeAbort:
		txn := c.ongoing[h.ProducerID]
		delete(c.ongoing, h.ProducerID)
		if txn == nil || !txn.seen {
			return true, nil
		}
		if c.index != nil {
			return false, c.index.AppendAbortedTxn(txn.txn)
		}
		return false, nil
	case controlTypeCommit:
		_, seen := c.committed[h.ProducerID]
		delete(c.committed, h.ProducerID)
		return !seen, nil
	}
	return false, nil
}
