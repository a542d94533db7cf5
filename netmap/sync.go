package netmap

import (
	"runtime"
	"syscall"
	"time"

	"github.com/netmapd/netmapd/netmap/abi"
)

// An outcome says what a sync of one ring came to.
type outcome uint8

const (
	skipped   outcome = 1 << iota // another sync is running on the ring (NC D.1)
	bad                           // the program left it in an illegal state; it was re-initialised (NC D.4)
	stopped                       // it is gone for good
	kick                          // the daemon sleeps and has something to do
	wakePeer                      // so does the other end of the pipe
	forwarded                     // slots were put into TX rings
)

// longestPause is more than the daemon takes; it may have died in there.
const longestPause = 100 * time.Millisecond

// enterAfterPause enters when the daemon is through, if it is that which is inside (NC D.1).
func (r *Ring) enterAfterPause() bool {
	for until := time.Now().Add(longestPause); !r.blk.Enter(r.session); runtime.Gosched() {
		if who, _ := r.blk.Inside(); who != 0 && who != abi.BusyDaemon || time.Now().After(until) {
			return false
		}
	}
	return true
}

// sync does for one ring what the kernel does in netmap's sync system calls.
// The C library does the same, in the same steps.
//
// Everything it reads can be written by other processes: what it loads it
// loads once, and no value leads outside the ring.
func (r *Ring) sync() (out outcome) {
	b := r.blk

	// 0. What is to be published goes to a line that the daemon's CPU has, as it has the one that comes next: both are
	// on their way at once.
	if head, _, _ := r.ring.LoadUser(); head != b.RHead() {
		b.WillPublishClient()
	}
	// Every RX sync is stamped (NC A.7). The clock is read while they are on their way, not at the very end: reading it waits
	// for the loads before it, and these would wait for the lines. The stamp is a tenth of a microsecond older for that.
	var now syscall.Timeval
	if r.dir == abi.DirRx {
		b.WillLoadDaemon()
		now = clock()
	}

	// 1. A ring that was stopped stays stopped (NC D.1).
	// Neither does one move that is not for moving (NC E.8).
	state := b.State()
	if state != abi.RingRunning {
		switch state {
		case abi.RingStopped:
			return stopped
		case abi.RingRefused:
			return bad
		}
	}

	// 2. One sync at a time; the second one is left out silently (NC D.1).
	if !b.Enter(r.session) && !r.enterAfterPause() {
		r.stats.skipped.Add(1)
		return skipped
	}
	if r.peer != nil {
		// Who moves the slots of a pipe changes only while the daemon is inside.
		if state = b.State(); state == abi.RingDirect {
			out = r.syncDirect(now)
			b.Leave()
			return out
		}
	}

	// 3. What the program wants, what the library remembers, what the daemon says.
	head, cur, tail := r.ring.LoadUser()
	rhead, rcur, rtail := b.Library()
	hwcur, hwtail := b.LoadDaemon()

	// 4. Judge the program: rhead <= head <= cur <= limit, around the ring. On TX
	// the limit is the tail that the program was shown (NC D.2), on RX the newest
	// (NC D.3). rhead is what NC calls hwcur on RX: there a sync consumes at once.
	limit := rtail
	if r.dir == abi.DirRx {
		limit = hwtail
	}
	legal := legal(head, cur, rhead, limit, r.n)
	if state == abi.RingFrozen && legal {
		// The daemon refused something that did not come through here. While it
		// does, hwcur stands still, so its own judgement can be repeated.
		published := b.LoadHead()
		legal = legalHead(published, hwcur, hwtail, r.n)
	}

	switch {
	case hwcur >= r.n || hwtail >= r.n:
		// Somebody wrote over the daemon's line; nothing sensible can be done.
		r.stats.bad.Add(1)
		b.Leave()
		return bad
	case !legal:
		// 5. A bad ring is put back to its last good state.
		out = bad
		head = r.reinit(state, rhead, hwcur, hwtail)
		cur, tail = head, hwtail // as it wrote them
		b.PublishClient(head, cur)
		if b.DaemonSleeps() {
			out |= kick
		}
	case head != rhead || cur != rcur:
		if r.indirect && head != rhead {
			r.fetchIndirect(rhead, head)
		}
		if r.down != nil && head != rhead && r.Flags()&abi.NRForward != 0 {
			out |= r.forwardDown(rhead, head)
		}
		// 6. Publish: cur, then head, so that the daemon never sees a head newer
		// than its cur. The stores to slots and buffers come before both.
		b.PublishClient(head, cur)
		// 7. The publication is a full barrier: either the daemon sees the new head
		// before it sleeps, or we see here that it sleeps (or is about to).
		if head != rhead && b.DaemonSleeps() {
			out |= kick
		}
	}

	// 8. Take what the daemon has given meanwhile. Reading slots comes after.
	if _, t := b.LoadDaemon(); t < r.n {
		hwtail = t
	}

	// 9. Show it to the program. A tail that it wrote over is repaired by that,
	// without a word (NC D.2).
	if tail != hwtail {
		r.ring.SetTail(hwtail)
	}
	if head != rhead || cur != rcur || hwtail != rtail {
		b.SetLibrary(head, cur, hwtail)
	}
	if r.dir == abi.DirRx {
		r.ring.SetTime(now.Sec, now.Usec)
	}

	// 10. Let the next one in.
	b.Leave()
	return out
}

// legal is the rule from <= head <= cur <= to around a ring of n slots (NC D.2
// and D.3 spell it out in three cases). Indices outside the ring are never legal.
func legal(head, cur, from, to, n uint32) bool {
	if head >= n || cur >= n || from >= n || to >= n {
		return false
	}
	h, c := ahead(from, head, n), ahead(from, cur, n)
	return h <= c && c <= ahead(from, to, n)
}

func legalHead(head, from, to, n uint32) bool { return legal(head, head, from, to, n) }

// ahead is how far b lies ahead of a, both below n.
func ahead(a, b, n uint32) uint32 {
	if b >= a {
		return b - a
	}
	return b + n - a
}

// reinit puts a ring back to its last good state (NC D.4): wrong slots are
// emptied, head and cur return to what was last published, tail is the core's.
// NC D.4.3 recommends to do so always. It returns the new head.
func (r *Ring) reinit(state abi.RingState, rhead, hwcur, hwtail uint32) uint32 {
	for i := range r.n {
		r.ring.Mend(i, r.bufs)
	}
	// The last published head, not hwcur: the daemon may be about to take those
	// slots, and taking them back would look like a whole lap to it. While it
	// refuses the ring it takes nothing, and only hwcur is known to be good.
	head := rhead
	if state == abi.RingFrozen || !legalHead(rhead, hwcur, hwtail, r.n) {
		head = hwcur
	}
	r.ring.SetUser(head, head, hwtail)
	r.stats.bad.Add(1)
	return head
}

// clock is the wall clock. Gettimeofday goes through the vDSO and costs half of what time.Now does.
func clock() (now syscall.Timeval) {
	_ = syscall.Gettimeofday(&now)
	return now
}

// fresh reports whether the program was shown all that the daemon has given.
func (r *Ring) fresh() bool {
	if r.isDirect() {
		return true // nobody else does anything for a sync
	}
	_, _, rtail := r.blk.Library()
	_, hwtail := r.blk.LoadDaemon()
	return hwtail == rtail
}

// taken reports whether the daemon has taken all that was published. A ring
// that takes nothing counts as taken: it is not worth waiting for.
func (r *Ring) taken() bool {
	rhead, _, _ := r.blk.Library()
	hwcur, _ := r.blk.LoadDaemon()
	return hwcur == rhead || r.blk.State() != abi.RingRunning
}
