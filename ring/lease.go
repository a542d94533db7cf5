package ring

import "sync/atomic"

// lease is the reservation state of an RX ring that several lcores fill
// (NC E.5.2): space is reserved, filled without any lock, and published in the
// order of reservation, so that a reader never sees a hole.
type lease struct {
	next   uint32   // first slot not reserved; hwtail when no lease is out
	shared bool     // more than one lcore delivers here
	lock   uint32   // spin lock over the fields of lease and the ring's indices
	done   []uint32 // by first slot: slots of a finished lease, 0 while it is out
}

// Share prepares an RX ring for reservations from several lcores. It is called
// before the second lcore knows the ring.
func (r *Ring) Share() {
	if !r.lease.shared {
		r.lease.done = make([]uint32, r.num)
		r.lease.shared = true
	}
}

// A few instructions are done under the lock, never a copy; lcores are pinned,
// so its holder is running.
func (l *lease) acquire() {
	for !atomic.CompareAndSwapUint32(&l.lock, 0, 1) {
	}
}

func (l *lease) release() { atomic.StoreUint32(&l.lock, 0) }

// Reserve takes up to n free slots of an RX ring, from start on in ring order.
// What is got must be filled and committed soon: later reservations wait for it.
func (r *Ring) Reserve(n uint32) (start, got uint32) {
	l := &r.lease
	if !l.shared {
		return r.reserve(n)
	}
	l.acquire()
	start, got = r.reserve(n)
	l.release()
	return start, got
}

func (r *Ring) reserve(n uint32) (start, got uint32) {
	l := &r.lease
	r.reclaim()
	start = l.next
	if free := r.num - 1 - r.dist(r.ix.HwCur, start); n > free {
		n = free
	}
	l.next = r.Advance(start, n)
	return start, n
}

// Next is the slot that the next reservation begins at; not ok where another lcore may be moving it.
func (r *Ring) Next() (at uint32, ok bool) {
	if r.lease.shared {
		return 0, false
	}
	return r.lease.next, true
}

// Commit publishes the first used of the got slots reserved from start on,
// once all earlier reservations are published, and wakes the reader. Slots
// reserved and not used go back if nobody reserved after them; otherwise it is
// not ok: the caller fills them with empty frames and calls again with used == got.
func (r *Ring) Commit(start, got, used uint32) (ok bool) {
	news, ok := r.Publish(start, got, used)
	if news {
		r.Notify()
	}
	return ok
}

// Publish is Commit for a caller that wakes the reader by itself, if there is news.
func (r *Ring) Publish(start, got, used uint32) (news, ok bool) {
	l := &r.lease
	if got == 0 {
		return false, true // start may be somebody else's by now
	}
	if !l.shared {
		l.next = r.Advance(start, used)
		if used != 0 {
			r.show(l.next)
		}
		return used != 0, true
	}
	l.acquire()
	if used < got {
		if l.next != r.Advance(start, got) {
			l.release()
			return false, false
		}
		l.next = r.Advance(start, used)
	}
	l.done[start] = used
	tail := r.ix.HwTail
	for tail != l.next && l.done[tail] != 0 {
		k := l.done[tail]
		l.done[tail] = 0
		tail = r.Advance(tail, k)
	}
	if news = tail != r.ix.HwTail; news {
		r.show(tail)
	}
	l.release()
	return news, true
}

// show shows the reader the slots up to tail; who waits for them is woken by the caller.
func (r *Ring) show(tail uint32) {
	r.seen(r.ix.HwTail, r.dist(r.ix.HwTail, tail))
	r.ix.HwTail = tail
	r.ktoa.PublishDaemon(r.ix.HwCur, tail)
}

// Release looks at what the client gave back. Ports that refill a device, and
// statistics, want it between two deliveries.
func (r *Ring) Release() (free uint32) {
	l := &r.lease
	if l.shared {
		l.acquire()
		defer l.release()
	}
	r.reclaim()
	return r.num - 1 - r.dist(r.ix.HwCur, l.next)
}
