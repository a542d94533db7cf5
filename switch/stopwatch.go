package vale

import (
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/ring"
)

// The stages of a packet that a poller times. What its lcore takes beside them is the polling itself: looking for frames,
// taking slots from senders and giving them back.
const (
	stageClassify = iota // reading headers
	stageForward         // learning, looking up, grouping
	stageCopy            // to the receivers' rings, published
	stageNotify          // waking clients that sleep

	// NumStages is how many there are.
	NumStages
)

// sampled is how many batches there are to one that is timed. Reading the counter takes some 10 ns, five times in a batch,
// which would be felt where batches are small; a clients' wake-up takes microseconds, and is always timed.
const sampled = 8

// stopwatch times the stages of a poller.
type stopwatch struct {
	clock  func() uint64 // cycles; nil: nothing is timed
	turns  uint
	since  uint64 // end of the last stage; 0: this batch is not timed
	cycles [NumStages]uint64
}

// begin starts a batch.
func (st *stopwatch) begin() {
	st.turns++
	st.since = 0
	if st.clock != nil && st.turns%sampled == 0 {
		st.since = st.clock()
	}
}

// end says that a stage is over.
func (st *stopwatch) end(stage int) {
	if st.since == 0 {
		return
	}
	now := st.clock()
	st.cycles[stage] += sampled * (now - st.since)
	st.since = now
}

// prompt is how many frames may be delivered before somebody is woken for them: one barrier for many receivers of a
// few frames, and no waiting for the others where one gets many.
const prompt = 128

// notify has the clients of a ring that changed woken soon, if they asked for it. Call it after publishing. frames is what was
// delivered to them; 0: they need not be woken before others of the batch.
func (b *Batch) notify(r *ring.Ring, frames uint64) {
	b.changed[b.nchanged] = r
	b.nchanged++
	if b.unsaid += frames; b.unsaid >= prompt || b.nchanged == len(b.changed) {
		b.Settle()
	}
}

// Settle wakes the clients of all rings that changed since it was last called. Who calls Next, Deliver and Done calls it
// after them.
func (b *Batch) Settle() {
	if b.nchanged == 0 {
		return
	}
	abi.Fence()
	var told ring.Told
	for _, r := range b.changed[:b.nchanged] {
		if r.TakeMark(&told) {
			b.wake(r)
		}
	}
	b.nchanged, b.unsaid = 0, 0
}

func (b *Batch) wake(r *ring.Ring) {
	st := b.stages
	if st == nil || st.clock == nil {
		r.Wake()
		return
	}
	start := st.clock()
	r.Wake()
	took := st.clock() - start
	st.cycles[stageNotify] += took
	if st.since != 0 {
		st.since += took // it is no part of the stage that it interrupts
	}
}

// Stages are the cycles of Options.Clock that each stage took so far: classify, forward and copy by a sample of the
// batches, notify in full. It belongs to the lcore.
func (pl *Poller) Stages() [NumStages]uint64 { return pl.stages.cycles }
