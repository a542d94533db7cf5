// Package model shows that the sync protocol of a ring loses no wake-up and never lets a
// side see an index too early: its tests walk through every interleaving of a bounded
// instance, on a memory that reorders. There is no product code here; read this comment
// to understand the protocol, and change protocol_test.go before you change the protocol.
//
// # The protocol
//
// A client and the daemon share a sync block per ring (NC E.10). Each word is written
// by one side only, but for appl_need_kick, which clients set and the daemon clears. Indices are read in
// the opposite order to that in which they are written, hence the crosses:
//
//	client publishes                 daemon polls
//	  slots
//	  store barrier      (1)
//	  store cur    -----\   /----->    load head
//	                     \ /
//	  store barrier       X            load barrier
//	                     / \
//	  store head   -----/   \----->    load cur       never older than head
//	  full barrier ===== (A)            slots         up to head
//	  load kern_need_kick
//	  if set: kick
//
//	daemon publishes                 client syncs
//	  slots
//	  store barrier      (1)
//	  store hwcur  -----\   /----->    load hwtail
//	                     \ /
//	  store barrier       X            load barrier
//	                     / \
//	  store hwtail -----/   \----->    load hwcur     never older than hwtail
//	  full barrier ===== (B)            slots         up to hwtail
//	  load appl_need_kick
//	  if set: clear it   (2)
//	          store barrier
//	          wake every descriptor bound to the ring
//
//	daemon sleeps                         client sleeps
//	  store kern_need_kick = 1              store appl_need_kick = 1
//	  full barrier ===== (A) ===            full barrier ===== (B) ===
//	  load head; changed? poll              load hwtail; news? sync
//	  block until a kick                    block on the wake descriptor, drain it
//	  store kern_need_kick = 0              sync              (the mark is left alone)
//
// The full barriers work in pairs, A with A and B with B. One side stores its index and
// then looks at the mark, the other stores the mark and then looks at the index. With a
// full barrier between on both sides at least one of them sees the other's store: either
// the publisher finds the mark and sends, or the sleeper finds the news and stays awake.
// Take away one of the four, or one re-check, and both can miss.
//
// (1) These two, from NC E.10, can go as long as the store barrier behind them stays: that
// one orders the slots too, and nobody reads slots on the strength of cur or hwcur. Once
// both are gone, slots are read before they are written. A second load barrier before
// the slots, which NC E.10 also lists, is superfluous for the same reason.
//
// (2) One-shot rule. Several processes may sleep on one ring with one mark. So a
// daemon that finds it set wakes all of them, and each that still wants to sleep sets it
// again. The daemon clears before it wakes, and the clearing must be visible first: the
// other way round a client can wake, find nothing left, set the mark and block before the
// late clearing takes that mark away. Nor does a client ever clear it: it would take back
// the mark of another that sleeps.
//
// A message is remembered: a kick is an edge of an eventfd that nobody reads, a wake is one of
// an eventfd in an epoll. One that comes late or for nothing costs a turn of the loop.
//
// A CSB in a client's own memory that lcores serve (docs/csb.md) is the same, whose client stores cur
// and head one after the other, as drawn.
//
// # Direct pipes
//
// The two ends of a direct pipe (NC E.7) run the same protocol with each other, each as the daemon of the ring at the
// other end: pipe_test.go. Each index is one word with one writer, stored in the block of the other end's ring, and each
// end has a mark and an eventfd. The waker clears the mark, as the daemon does (2).
//
//	sender's sync, TX busy word held          receiver's sync, RX busy word held
//	  slots, into the receiver's ring           slots, back into the sender's ring
//	  store barrier                             store barrier
//	  store published                           store released
//	  full barrier                              full barrier
//	  load the receiver's mark                  load the sender's mark
//	  if set: clear it, store barrier, wake     if set: clear it, store barrier, wake
//
// The daemon may take over and carry the slots itself, and give the pipe back. It does so while it holds both busy words,
// and an end looks who moves the slots after it has taken its own: what was published one way is never published again
// the other way. Before the pipe goes back everything that was published to the daemon is taken. Nobody need be woken for
// the change.
//
// # Many rings of one process
//
// The mark says more than that somebody sleeps: process_test.go. A process with several descriptors stores 2 in those of all rings that its polls sleep on (by an exchange),
// and an lcore that finds it in several rings that it changed together takes the first and wakes for that one; the others
// keep their marks. So:
//
//	poll wakes, or leaves without having slept        poll, before it sleeps
//	  news of its own: the end                          is listed
//	  at the end, or as it arms again: mark gone?       exchange mark, 2; full barrier
//	    wake whoever is listed and has news             look for news; block
//	  at the end: mark still 2? lower it
//
// What the lcore published it did before it took a mark, so whoever finds its mark gone finds the news of the others; and a poll
// that is not listed yet looks by itself after it armed. A mark that is not taken cannot be missed later. One that nobody may answer for is lowered, and the lcore reads what it asks
// for as it takes it: lowered in between, it is no reason to leave others asleep.
//
// This holds for a ring that one descriptor alone has. Of others the lcore wakes all.
//
// # In code
//
//	                 Go (sync/atomic)             C11
//	load, store      atomic                       atomic, relaxed
//	store barrier    in the atomic store, or      atomic_thread_fence(memory_order_release)
//	                 in abi's release stores
//	load barrier     in the atomic load           atomic_thread_fence(memory_order_acquire)
//	full barrier     an atomic exchange, or       atomic_thread_fence(memory_order_seq_cst)
//	                 abi.Fence
//
// Go's atomics are sequentially consistent, so that a store would do instead of the exchange, were it not for the race
// detector (abi.Fence). The words must be accessed by them without exception. What abi stores by a release alone
// (PublishDaemon, the library's line) is followed by abi.Fence where a full barrier is called for. On x86 only the full barriers are instructions.
// A store barrier must be a release: it orders earlier loads as well as stores (a slot is
// read before it is handed back), so a pure store-store fence (dmb ishst) is not enough.
//
// # The model
//
// Each side is a list of steps (protocol_test.go) on a machine (machine_test.go) that is
// weaker than x86:
//
//   - Stores are late. They wait in the thread's buffer and reach memory in any order, but
//     for store barriers and stores to the same variable. Loads see the own buffer. A kick
//     or a wake is such a store too: the system call is not credited with any ordering.
//   - Loads are early. A load may return any value that the variable had since the thread
//     last loaded it or last passed a load barrier, whichever is later. Even a load whose address
//     depends on an earlier one may be early, since a compiler can guess.
//   - A full barrier waits until the buffer is empty, and is a load barrier too.
//
// TestMemoryModel puts this machine to the usual litmus tests. A load that is overtaken by
// a later store of its own thread is not modelled: every store that matters here stands
// behind a release, see above.
//
// The checker (checker_test.go) visits all reachable states breadth first, so that a
// counterexample is a shortest one; go test -v prints those of the deliberate mistakes.
// It looks for three things:
//
//   - lost wake-up: no side can go on, and one is blocked that has something to do;
//   - index out of order: cur behind head, or hwtail a ring's length ahead of hwcur;
//   - slot data: a slot does not hold what the other side left there for this position.
//
// Bounds: 2 or 3 slots, up to 5 items, TX (the client waits for space) and RX (it waits
// for packets), one client, or two that share the ring, of which one leaves after its
// first sync that moved something. Positions count up and do not wrap, slots do. A client
// that finds the busy word taken waits in the model where the library skips and tries
// again. Not modelled: death in the middle of a sync, hostile values, several rings per
// descriptor, and the wait of the sync ioctls until slots are taken, which is the same
// sleep with hwcur in place of hwtail.
package model
