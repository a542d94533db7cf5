package abi

import "sync/atomic"

// SyncBlock is netmapd's replacement for the system call: one per ring, in
// shared memory beside the region (docs/architecture.md, "The sync block").
// Each cache line has one writer; the fields of the first two lines lie as in
// netmap's CSB (NC E.10).
//
// Publication order, the heart of the protocol (modelled in ring/model):
//
//	client publishes: cur, then head      daemon reads: head, then cur
//	daemon publishes: hwcur, then hwtail  client reads: hwtail, then hwcur
//
// so the daemon never sees head newer than cur and the client never sees
// hwtail newer than hwcur. Here the two of a pair are one word, stored and
// loaded at once, which is that order and more: whoever sees the slots taken
// sees the room too. A library that stores them one after the other, as CSB
// clients do, is as good. Every store is an atomic one, which on x86 is also the
// full barrier that need-kick marks depend on.
type SyncBlock struct {
	AtoK // Line 0: the client publishes.

	// Line 1: the daemon publishes. A client that scribbles here hurts itself:
	// the authoritative values are private to the daemon.
	KtoA
	badRings uint32 // illegal heads seen so far
	badHead  uint32 // the last of them, and
	badCur   uint32 // what came with it
	lcoreCPU uint32 // CPU+1 of the polling lcore, 0 unknown: do not spin on it
	_        [32]byte

	// Line 2: what the client library keeps for all processes of the ring.
	rhead uint32
	rcur  uint32
	rtail uint32
	busy  uint32 // session id of the process inside a sync, 0 for none
	_     [48]byte

	// Line 3: CSB mode (NC E.10), of the descriptor's first ring only; the client
	// libraries keep it for all processes of the descriptor. And where the other end
	// of a pipe is, written when the pipe is made. Nothing that is written for every
	// sync may stand here: with it, neighbouring rings would share a pair of lines
	// that the adjacent-line prefetcher fetches together.
	csb       uint32 // 1: the descriptor is in CSB mode
	loop      uint32 // session that runs the sync loop, 0 for none
	stop      uint32 // 1: it shall stop, or not start
	_         uint32
	peerRing  uint64 // offset in the region of the ring at the other end, 0 for none
	peerBlock uint32 // index of its sync block in this file
	peerMax   uint32 // of a TX ring: the offsets of the RX ring there (NC A.8)
	peerMask  uint64 // 0: it has none
	_         [24]byte
}

// AtoK is what a client publishes of one ring: line 0 of its sync block, or an entry of
// the first array of a CSB, whose writer stores cur before head (NC E.10).
type AtoK struct {
	user         uint64 // head, and in the upper half cur
	applNeedKick uint32 // set by a client about to block; cleared by the daemon as it wakes all
	syncFlags    uint32 // of a CSB; nobody looks at it
	_            [48]byte
}

// KtoA is what the daemon publishes of it: the beginning of line 1, or of an entry of
// the second array of a CSB, where the rest is padding.
type KtoA struct {
	core         uint64 // hwcur, and in the upper half hwtail
	kernNeedKick uint32 // set by an lcore about to block
	state        uint32 // RingState; of a sync block only
}

// SyncBlockSize is the distance between the sync blocks of a port.
const SyncBlockSize = 256

// RingState says what a client may expect from a ring.
type RingState uint32

// The states of a ring. RingRunning and RingFrozen come and go; RingStopped is for
// good, and RingHolding and RingRefused stay until the last user closes the ring.
const (
	RingStopped RingState = 0 // never started, or gone with its port: EIO, POLLERR
	RingRunning RingState = 1
	RingFrozen  RingState = 2 // the last head was illegal: POLLERR until a legal one comes
	RingHolding RingState = 3 // a null port's (NC E.9): syncs succeed, nothing ever moves
	RingRefused RingState = 4 // its syncs fail, without effect: POLLERR, no error from ioctls (NC E.8)
	// RingDirect is a ring of a pipe whose two ends move the slots themselves, in
	// their syncs: each plays the daemon for the ring at the other end, and the
	// daemon's line of a block is written by that end. Between
	// this and RingRunning only the daemon changes, while it holds both busy words.
	RingDirect RingState = 5
)

func pair(lo, hi uint32) uint64 { return uint64(lo) | uint64(hi)<<32 }

func unpair(p uint64) (lo, hi uint32) { return uint32(p), uint32(p >> 32) }

// Fence is a full barrier: who looks afterwards whether the other side sleeps has published before it.
//
// An exchange is one everywhere, and so it stands wherever one is needed after a store. A store of package
// sync/atomic is one too, but not under the race detector, where it is compiled as a mere release: there both
// sides could go to sleep.
func Fence() {
	var word uint32
	atomic.SwapUint32(&word, 1)
}

// PublishClient publishes what the client wants (NC E.10), and is a full barrier.
func (b *AtoK) PublishClient(head, cur uint32) { atomic.SwapUint64(&b.user, pair(head, cur)) }

// WillPublishClient asks for the line that PublishClient writes, which the daemon has read since.
func (b *AtoK) WillPublishClient() { prefetchw(&b.user) }

// WillLoadDaemon asks for the line that LoadDaemon and State read, which the daemon has written since.
func (b *KtoA) WillLoadDaemon() { prefetch(&b.core) }

// LoadClient loads it.
func (b *AtoK) LoadClient() (head, cur uint32) { return unpair(atomic.LoadUint64(&b.user)) }

// LoadHead loads the head alone.
func (b *AtoK) LoadHead() uint32 { return uint32(atomic.LoadUint64(&b.user)) }

// PublishDaemon publishes how far the daemon is (NC E.10). Who then wakes clients that wait for it needs a Fence
// between this and the look at their marks.
func (b *KtoA) PublishDaemon(hwcur, hwtail uint32) {
	release64(&b.core, pair(hwcur, hwtail))
}

// Direct pipes. The two indices that an end publishes live in the block of the
// ring at the other end, one word each way, so that a process may die between any
// two stores:
//
//	block of the RX ring: how far the sender has copied, and how far it has
//	                      published (the last complete packet): the ring's hwtail
//	block of the TX ring: how far the receiver has released, and the slot before
//	                      it: the ring's hwtail
//
// PublishDaemon and LoadDaemon are the accessors.

// SetPeer says where the ring at the other end of a pipe is: its offset in the
// region, and the index of its block in the same file (daemon).
func (b *SyncBlock) SetPeer(ring uint64, block uint32) {
	atomic.StoreUint32(&b.peerBlock, block)
	atomic.StoreUint64(&b.peerRing, ring)
}

// Peer loads it; ring is 0 where there is none, or none in this region.
func (b *SyncBlock) Peer() (ring uint64, block uint32) {
	return atomic.LoadUint64(&b.peerRing), atomic.LoadUint32(&b.peerBlock)
}

// SetPeerOffsets says which offsets the RX ring at the other end has; a mask of 0 is
// none (daemon).
func (b *SyncBlock) SetPeerOffsets(mask uint64, most uint32) {
	atomic.StoreUint32(&b.peerMax, most)
	atomic.StoreUint64(&b.peerMask, mask)
}

// PeerOffsets loads it.
func (b *SyncBlock) PeerOffsets() (mask uint64, most uint32) {
	return atomic.LoadUint64(&b.peerMask), atomic.LoadUint32(&b.peerMax)
}

// LoadDaemon loads it.
func (b *KtoA) LoadDaemon() (hwcur, hwtail uint32) { return unpair(atomic.LoadUint64(&b.core)) }

// What a client's mark asks for. Any value but these and 0 is as AskDescriptor.
const (
	// AskDescriptor has those woken who wait on a descriptor of the ring.
	AskDescriptor = 1
	// AskProcess says that the process looks at all rings that it sleeps on, with this mark, when it is woken for one of them: once
	// for all rings that change together will do.
	AskProcess = 2
	// AskOthers is left by a process that sleeps no more: others of the ring may, if it has any.
	AskOthers = 3
)

// ArmClient asks the daemon for a wake message at the next change, and reports whether the mark was there already. The caller
// looks at LoadDaemon once more before it blocks.
func (b *AtoK) ArmClient(ask uint32) (was bool) { return atomic.SwapUint32(&b.applNeedKick, ask) != 0 }

// LowerClientMark makes a mark that is AskProcess another, and reports whether there was one.
func (b *AtoK) LowerClientMark(to uint32) (was bool) {
	return atomic.CompareAndSwapUint32(&b.applNeedKick, AskProcess, to) || atomic.LoadUint32(&b.applNeedKick) != 0
}

// ClientMark is what the mark asks for; 0: there is none. A Fence comes before it, after what was published.
func (b *AtoK) ClientMark() (ask uint32) { return atomic.LoadUint32(&b.applNeedKick) }

// TakeClientMark is ClientMark, and takes the mark back. The caller then
// wakes every descriptor of the ring, after this call and not before: a client that arms in between is woken too.
func (b *AtoK) TakeClientMark() (ask uint32) {
	if atomic.LoadUint32(&b.applNeedKick) == 0 {
		return 0
	}
	return atomic.SwapUint32(&b.applNeedKick, 0) // it may have changed since
}

// ArmDaemon asks clients for a kick at their next publication. The caller
// looks at LoadHead once more before it blocks.
func (b *KtoA) ArmDaemon() { atomic.SwapUint32(&b.kernNeedKick, 1) }

// DisarmDaemon takes the mark back.
func (b *KtoA) DisarmDaemon() { atomic.StoreUint32(&b.kernNeedKick, 0) }

// DaemonSleeps reports, after a publication, whether the daemon wants a kick.
func (b *KtoA) DaemonSleeps() bool { return atomic.LoadUint32(&b.kernNeedKick) != 0 }

// Begin fills in an entry of a CSB for the indices of its ring (NC B.9.3).
func (b *AtoK) Begin(head uint32) {
	b.PublishClient(head, head)
	atomic.StoreUint32(&b.applNeedKick, 1)
	atomic.StoreUint32(&b.syncFlags, 1)
}

// Begin fills in an entry of a CSB (NC B.9.3).
func (b *KtoA) Begin(hwcur, hwtail uint32) {
	b.PublishDaemon(hwcur, hwtail)
	b.ArmDaemon()
}

// Reset makes the block that of a ring which nobody uses: the client's and the
// library's lines say what the daemon's says. Nobody may be in a sync.
func (b *SyncBlock) Reset(hwcur, hwtail uint32) {
	b.Clear(hwcur, hwtail)
	b.PublishDaemon(hwcur, hwtail)
}

// Clear is Reset but for the daemon's line.
func (b *SyncBlock) Clear(hwcur, hwtail uint32) {
	b.PublishClient(hwcur, hwcur)
	atomic.StoreUint32(&b.applNeedKick, 0)
	b.SetLibrary(hwcur, hwcur, hwtail)
	atomic.StoreUint32(&b.csb, 0)
	atomic.StoreUint32(&b.loop, 0)
	atomic.StoreUint32(&b.stop, 0)
	b.Leave()
}

// State loads the state of the ring.
func (b *SyncBlock) State() RingState { return RingState(atomic.LoadUint32(&b.state)) }

// SetState publishes the state of the ring (daemon).
func (b *SyncBlock) SetState(s RingState) { atomic.StoreUint32(&b.state, uint32(s)) }

// ReportBad publishes the last illegal indices for diagnosis (daemon).
func (b *SyncBlock) ReportBad(count, head, cur uint32) {
	atomic.StoreUint32(&b.badHead, head)
	atomic.StoreUint32(&b.badCur, cur)
	atomic.StoreUint32(&b.badRings, count)
}

// Bad loads what ReportBad published.
func (b *SyncBlock) Bad() (count, head, cur uint32) {
	return atomic.LoadUint32(&b.badRings), atomic.LoadUint32(&b.badHead), atomic.LoadUint32(&b.badCur)
}

// SetLcoreCPU tells clients which CPU polls the ring, -1 for unknown: waiting
// for the lcore by spinning on its own CPU would keep it from running.
func (b *SyncBlock) SetLcoreCPU(cpu int) { atomic.StoreUint32(&b.lcoreCPU, uint32(cpu+1)) }

// LcoreCPU is what SetLcoreCPU published.
func (b *SyncBlock) LcoreCPU() int { return int(atomic.LoadUint32(&b.lcoreCPU)) - 1 }

// Library loads what the client library keeps: the last validated head and cur
// and the last tail it wrote to the ring (netmap's rhead, rcur, rtail).
func (b *SyncBlock) Library() (rhead, rcur, rtail uint32) {
	return atomic.LoadUint32(&b.rhead), atomic.LoadUint32(&b.rcur), atomic.LoadUint32(&b.rtail)
}

// RHead loads the first of them.
func (b *SyncBlock) RHead() uint32 { return atomic.LoadUint32(&b.rhead) }

// SetLibrary stores them. Plain stores would do for one process; a ring can be
// shared by several, and the busy word orders them.
func (b *SyncBlock) SetLibrary(rhead, rcur, rtail uint32) {
	release32(&b.rhead, rhead)
	release32(&b.rcur, rcur)
	release32(&b.rtail, rtail)
}

// BusyDaemon is the session that the daemon is in busy words: for a short pause, in
// which it changes who moves the slots of a pipe, and for which a sync waits.
const BusyDaemon = ^uint32(0)

// Enter takes the ring for one sync of the given session; false means that
// another sync is running and this one is skipped (NC D.1), unless it is the daemon's.
func (b *SyncBlock) Enter(session uint32) bool {
	return atomic.CompareAndSwapUint32(&b.busy, 0, session)
}

// Leave ends the sync.
func (b *SyncBlock) Leave() { release32(&b.busy, 0) }

// Evict takes a session that died out of its sync and its sync loop (daemon).
func (b *SyncBlock) Evict(session uint32) bool {
	atomic.CompareAndSwapUint32(&b.loop, session, 0)
	return atomic.CompareAndSwapUint32(&b.busy, session, 0)
}

// Inside is the session that is inside a sync, 0 for none; and that which runs the
// sync loop (daemon).
func (b *SyncBlock) Inside() (busy, loop uint32) {
	return atomic.LoadUint32(&b.busy), atomic.LoadUint32(&b.loop)
}

// SetCSB says whether the descriptor is in CSB mode.
func (b *SyncBlock) SetCSB(on bool) {
	v := uint32(0)
	if on {
		v = 1
	}
	atomic.StoreUint32(&b.csb, v)
}

// CSB reports it.
func (b *SyncBlock) CSB() bool { return atomic.LoadUint32(&b.csb) != 0 }

// StartLoop makes the session the one that runs the sync loop; false means that
// it runs already.
func (b *SyncBlock) StartLoop(session uint32) bool {
	return atomic.CompareAndSwapUint32(&b.loop, 0, session)
}

// LoopRuns reports whether some session runs the sync loop.
func (b *SyncBlock) LoopRuns() bool { return atomic.LoadUint32(&b.loop) != 0 }

// EndLoop ends the sync loop. The mark goes before: a stop that is asked for now
// is for the next start (NC E.10).
func (b *SyncBlock) EndLoop() {
	atomic.StoreUint32(&b.stop, 0)
	atomic.StoreUint32(&b.loop, 0)
}

// StopLoop leaves the mark that ends the sync loop, or the next start.
func (b *SyncBlock) StopLoop() { atomic.StoreUint32(&b.stop, 1) }

// StopAsked reports the mark.
func (b *SyncBlock) StopAsked() bool { return atomic.LoadUint32(&b.stop) != 0 }
