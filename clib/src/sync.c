#include "sync.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "forward.h"
#include "indirect.h"

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit(&(p), (v), memory_order_relaxed)

/* ahead is how far b lies ahead of a, both below n. */
static uint32_t ahead(uint32_t a, uint32_t b, uint32_t n)
{
	return b >= a ? b - a : b + n - a;
}

/*
 * legal is the rule from <= head <= cur <= to around a ring of n slots (NC D.2
 * and D.3 spell it out in three cases). Indices outside the ring never are.
 */
static bool legal(uint32_t head, uint32_t cur, uint32_t from, uint32_t to, uint32_t n)
{
	if (head >= n || cur >= n || from >= n || to >= n)
		return false;
	uint32_t h = ahead(from, head, n), c = ahead(from, cur, n);
	return h <= c && c <= ahead(from, to, n);
}

static bool legal_head(uint32_t head, uint32_t from, uint32_t to, uint32_t n)
{
	return legal(head, head, from, to, n);
}

/* The two indices of a pair are one word, stored and loaded at once (netmap/abi/sync.go). */
static uint64_t pair(uint32_t lo, uint32_t hi) { return (uint64_t)hi << 32 | lo; }

static void load_daemon(const struct nmd_sync_block *b, uint32_t *hwcur, uint32_t *hwtail)
{
	uint64_t p = LOAD(b->core);

	*hwcur = (uint32_t)p;
	*hwtail = p >> 32;
}

/*
 * publish: slots, buffers, then head and cur. It ends with a full barrier: either
 * the daemon sees the new head before it sleeps, or the caller sees that it sleeps,
 * or is about to.
 */
static void publish(struct nmd_sync_block *b, uint32_t head, uint32_t cur)
{
	atomic_thread_fence(memory_order_release);
	STORE(b->user, pair(head, cur));
	atomic_thread_fence(memory_order_seq_cst);
}

static bool daemon_sleeps(struct nmd_sync_block *b)
{
	return LOAD(b->kern_need_kick) != 0;
}

static uint64_t slot_word(uint32_t idx, uint32_t len, uint32_t flags)
{
	return (uint64_t)idx | (uint64_t)len << 32 | (uint64_t)flags << 48;
}

/*
 * reinit puts a ring back to its last good state (NC D.4): wrong slots are
 * emptied, head and cur return to what was last published, tail is the core's.
 * NC D.4.3 recommends to do so always. It returns the new head.
 */
static uint32_t reinit(struct nmd_ring *r, uint32_t state, uint32_t rhead, uint32_t hwcur, uint32_t hwtail)
{
	struct nmd_ring_hdr *hdr = r->hdr;

	for (uint32_t i = 0; i < r->slots; i++) {
		uint64_t w = LOAD(hdr->slot[i].word);
		uint32_t idx = (uint32_t)w, len = w >> 32 & 0xffff, flags = w >> 48;
		if (idx < NMD_MIN_BUF || idx >= r->buf_count)
			STORE(hdr->slot[i].word, slot_word(0, 0, flags));
		else if (len > r->buf_size)
			STORE(hdr->slot[i].word, slot_word(idx, 0, flags));
	}
	/*
	 * The last published head, not hwcur: the daemon may be about to take those
	 * slots, and taking them back would look like a whole lap to it. While it
	 * refuses the ring it takes nothing, and only hwcur is known to be good.
	 */
	uint32_t head = rhead;
	if (state == NMD_FROZEN || !legal_head(rhead, hwcur, hwtail, r->slots))
		head = hwcur;
	STORE(r->user->head, head);
	STORE(r->user->cur, head);
	STORE(r->user->tail, hwtail);
	return head;
}

/* stamp writes a time of the wall clock into the ring. */
static void stamp(struct nmd_ring_hdr *hdr, const struct timeval *now)
{
	STORE(hdr->ts_sec, now->tv_sec);
	STORE(hdr->ts_usec, now->tv_usec);
}

/* enter takes the ring for one sync; false means that another one is running. */
static bool enter(struct nmd_sync_block *b, uint32_t session)
{
	uint32_t none = 0;

	return atomic_compare_exchange_strong_explicit(&b->busy, &none, session, memory_order_acquire,
						       memory_order_relaxed);
}

int64_t nmd_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* enter_after_pause enters when the daemon is through, if it is that which is inside (NC D.1). */
static bool enter_after_pause(struct nmd_sync_block *b, uint32_t session)
{
	enum { LONGEST_NS = 100000000 }; /* more than it takes; it may have died in there */

	for (int64_t until = nmd_now_ns() + LONGEST_NS; !enter(b, session); sched_yield()) {
		uint32_t who = LOAD(b->busy);
		if ((who != 0 && who != NMD_BUSY_DAEMON) || nmd_now_ns() > until)
			return false;
	}
	return true;
}

static void leave(struct nmd_sync_block *b)
{
	atomic_store_explicit(&b->busy, 0, memory_order_release);
}

/* move copies whole slots to the same places of the ring at the other end of a pipe,
 * and takes BUF_CHANGED off the originals. It returns the slot after the last complete
 * packet of [from, to), or none. */
static uint32_t move(struct nmd_slot *src, struct nmd_slot *dst, uint32_t from, uint32_t to, uint32_t none)
{
	const uint64_t changed = (uint64_t)NMD_NS_BUF_CHANGED << 48, more = (uint64_t)NMD_NS_MOREFRAG << 48;

	for (uint32_t i = from; i < to; i++) {
		uint64_t w = LOAD(src[i].word), p = src[i].ptr;
		STORE(dst[i].word, w);
		dst[i].ptr = p;
		if (__builtin_expect(w & changed, 0))
			STORE(src[i].word, w & ~changed);
		if (!(w & more))
			none = i + 1;
	}
	return none;
}

/* pass moves the slots [from, to), in ring order; the result is as that of move. */
static uint32_t pass(struct nmd_ring *r, uint32_t from, uint32_t to, uint32_t none)
{
	struct nmd_slot *src = r->hdr->slot, *dst = r->peer->slot;

	if (to < from) {
		none = move(src, dst, from, r->slots, none);
		if (none == r->slots)
			none = 0;
		from = 0;
	}
	return move(src, dst, from, to, none);
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* shift_one moves the frame of slot i: netmap/abi/pipe.go says where and why. */
static void shift_one(struct nmd_ring *r, uint32_t i, uint64_t mask, uint64_t max)
{
	struct nmd_slot *s = &r->hdr->slot[i];
	const uint64_t w = LOAD(s->word), ptr = s->ptr, own = r->peer->slot[i].ptr, size = r->buf_size;
	const uint32_t idx = (uint32_t)w;
	const uint64_t n = w >> 32 & 0xffff;

	if (idx < NMD_MIN_BUF || idx >= r->buf_count || w >> 48 & NMD_NS_INDIRECT)
		return;
	uint64_t at = least(ptr & r->hdr->offset_mask, size);
	uint64_t to = least(most(ptr & mask, own & mask), max);
	if (n > size || most(at, to) > size - n)
		to = at;
	char *buf = r->bufs + (uint64_t)idx * size;
	if (at != to)
		memmove(buf + to, buf + at, n);
	if ((ptr & mask) != (to & mask))
		s->ptr = (ptr & ~mask) | (to & mask);
}

/* shift moves frames in [from, to) to where a receiver with offsets finds them. */
static void shift(struct nmd_ring *r, uint64_t mask, uint32_t from, uint32_t to)
{
	const uint64_t max = least(LOAD(r->blk->peer_max), r->buf_size);

	for (uint32_t i = from; i != to; i = i + 1 == r->slots ? 0 : i + 1)
		shift_one(r, i, mask, max);
}

/*
 * sync_direct is the sync of a ring of a direct pipe: it moves the slots itself and
 * plays the daemon for the ring at the other end. The busy word is held. The Go client
 * does the same, in the same steps (netmap/pipe.go).
 *
 * A process may die between any two stores: what counts is one word (step 4), and
 * whoever syncs next goes on from there. An RX ring is stamped with now.
 */
static unsigned sync_direct(struct nmd_ring *r, const struct timeval *now)
{
	struct nmd_sync_block *b = r->blk, *p = r->peer_blk;
	struct nmd_ring_hdr *hdr = r->hdr;
	const uint32_t n = r->slots;
	unsigned out = 0;

	/* 1. What the program wants, what the library remembers, how far this end has
	 * come, and what the other end says. Reading slots comes after. */
	uint32_t head = LOAD(r->user->head), cur = LOAD(r->user->cur), tail = LOAD(r->user->tail);
	uint32_t rhead = LOAD(b->rhead), rcur = LOAD(b->rcur), rtail = LOAD(b->rtail);
	uint32_t hwcur, given, hwtail = LOAD(b->core) >> 32;
	load_daemon(p, &hwcur, &given);
	atomic_thread_fence(memory_order_acquire);
	if (hwcur >= n || given >= n || hwtail >= n)
		return NMD_BAD; /* somebody wrote over the indices */

	/* 2. Judge the program (NC D.2, D.3). */
	if (!legal(head, cur, hwcur, r->dir == NMD_DIR_RX ? hwtail : rtail, n)) {
		out = NMD_BAD;
		head = cur = reinit(r, NMD_DIRECT, hwcur, hwcur, hwtail);
		tail = hwtail;
	} else if (head != hwcur) {
		/* 3. Move the slots: complete packets to the receiver, or all back. */
		const uint32_t none = n + 1;
		uint64_t mask = r->dir == NMD_DIR_TX ? LOAD(b->peer_mask) : 0;
		if (__builtin_expect(mask != 0, 0))
			shift(r, mask, hwcur, head);
		uint32_t end = pass(r, hwcur, head, none);
		if (r->dir == NMD_DIR_RX)
			end = (head ? head : n) - 1;
		if (end != none)
			given = end;
		/* 4. Say so, slots first. */
		atomic_thread_fence(memory_order_release);
		STORE(p->core, pair(head, given));
		uint32_t cpu = (uint32_t)sched_getcpu() + 1; /* no system call */
		if (LOAD(p->lcore_cpu) != cpu)
			STORE(p->lcore_cpu, cpu);
		/* Either the other end sees it before it sleeps, or we see that it sleeps. */
		atomic_thread_fence(memory_order_seq_cst);
		if (end != none && LOAD(p->appl_need_kick)) {
			STORE(p->appl_need_kick, 0);
			atomic_thread_fence(memory_order_seq_cst);
			out |= NMD_WAKE;
		}
	}

	/* 5. Show the program what the other end has given. */
	if (tail != hwtail)
		STORE(r->user->tail, hwtail);
	if (head != rhead || cur != rcur || hwtail != rtail) {
		STORE(b->rhead, head);
		STORE(b->rcur, cur);
		STORE(b->rtail, hwtail);
	}
	if (r->dir == NMD_DIR_RX)
		stamp(hdr, now);
	return out;
}

/* direct: do the ends of the pipe move the slots themselves? */
static bool direct(const struct nmd_ring *r)
{
	return r->peer && LOAD(r->blk->state) == NMD_DIRECT;
}

/* ask for a line that will be written. */
static inline void ask(const volatile void *p)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw (%0)" : : "r"(p));
#else
	(void)p;
#endif
}

/*
 * The Go client does the same, in the same steps (netmap/sync.go), and
 * ring/testdata/sync.txt holds both to it.
 *
 * Everything it reads can be written by other processes: what it loads it loads
 * once, and no value leads outside the ring.
 */
unsigned nmd_sync(struct nmd_ring *r)
{
	struct nmd_sync_block *b = r->blk;
	struct nmd_ring_hdr *hdr = r->hdr;
	const uint32_t n = r->slots;
	unsigned out = 0;

	/* 0. What is to be published goes to a line that the daemon's CPU has, as it has the one
	 * that comes next: both are on their way at once. */
	if (LOAD(r->user->head) != LOAD(b->rhead))
		ask(&b->user);
	/* Every RX sync is stamped (NC A.7). The clock is read while they are on their way, not at
	 * the very end: reading it waits for the loads before it, and these would wait for the lines.
	 * The stamp is a tenth of a microsecond older for that. */
	struct timeval now;
	if (r->dir == NMD_DIR_RX) {
		__builtin_prefetch(&b->core);
		gettimeofday(&now, NULL);
	}

	/* 1. A ring that was stopped stays stopped (NC D.1). */
	/* Neither does one move that is not for moving (NC E.8). */
	uint32_t state = LOAD(b->state);
	if (state == NMD_STOPPED)
		return NMD_GONE;
	if (state == NMD_REFUSED)
		return NMD_BAD;

	/* 2. One sync at a time; the second one is left out silently (NC D.1). */
	if (!enter(b, r->session) && !enter_after_pause(b, r->session))
		return NMD_SKIPPED;

	/* Who moves the slots of a pipe changes only while the daemon is inside. */
	if (direct(r)) {
		out = sync_direct(r, &now);
		leave(b);
		return out;
	}

	/* 3. What the program wants, what the library remembers, what the daemon says. */
	uint32_t head = LOAD(r->user->head), cur = LOAD(r->user->cur), tail = LOAD(r->user->tail);
	uint32_t rhead = LOAD(b->rhead), rcur = LOAD(b->rcur), rtail = LOAD(b->rtail);
	uint32_t hwcur, hwtail;
	load_daemon(b, &hwcur, &hwtail);

	/*
	 * 4. Judge the program: rhead <= head <= cur <= limit, around the ring. On TX
	 * the limit is the tail that the program was shown (NC D.2), on RX the newest
	 * (NC D.3). rhead is what NC calls hwcur on RX: there a sync consumes at once.
	 */
	uint32_t limit = r->dir == NMD_DIR_RX ? hwtail : rtail;
	bool ok = legal(head, cur, rhead, limit, n);
	if (state == NMD_FROZEN && ok) {
		/* The daemon refused something that did not come through here. While it
		 * does, hwcur stands still, so its own judgement can be repeated. */
		ok = legal_head((uint32_t)LOAD(b->user), hwcur, hwtail, n);
	}

	if (hwcur >= n || hwtail >= n) {
		/* Somebody wrote over the daemon's line; nothing sensible can be done. */
		leave(b);
		return NMD_BAD;
	}
	if (!ok) {
		/* 5. A bad ring is put back to its last good state. */
		out = NMD_BAD;
		head = cur = reinit(r, state, rhead, hwcur, hwtail);
		tail = hwtail;
		publish(b, head, cur);
		if (daemon_sleeps(b))
			out |= NMD_KICK;
	} else if (head != rhead || cur != rcur) {
		/* 6. Publish what the program wants, and what it points to. */
		if (r->indirect && head != rhead)
			nmd_indirect(r, rhead, head);
		if (r->ndown && head != rhead && LOAD(hdr->flags) & NMD_NR_FORWARD)
			out |= nmd_forward_down(r, rhead, head);
		publish(b, head, cur);
		/* 7. Wake the daemon, if it sleeps. */
		if (head != rhead && daemon_sleeps(b))
			out |= NMD_KICK;
	}

	/* 8. Take what the daemon has given meanwhile. Reading slots comes after. */
	uint32_t c, t;
	load_daemon(b, &c, &t);
	if (t < n)
		hwtail = t;
	atomic_thread_fence(memory_order_acquire);

	/* 9. Show it to the program. A tail that it wrote over is repaired by that,
	 * without a word (NC D.2). */
	if (tail != hwtail)
		STORE(r->user->tail, hwtail);
	if (head != rhead || cur != rcur || hwtail != rtail) {
		STORE(b->rhead, head);
		STORE(b->rcur, cur);
		STORE(b->rtail, hwtail);
	}
	if (r->dir == NMD_DIR_RX)
		stamp(hdr, &now);

	/* 10. Let the next one in. */
	leave(b);
	return out;
}

uint32_t nmd_hwcur(const struct nmd_ring *r)
{
	return (uint32_t)LOAD((direct(r) ? r->peer_blk : r->blk)->core);
}

bool nmd_taken(const struct nmd_ring *r)
{
	struct nmd_sync_block *b = r->blk;

	return (uint32_t)LOAD(b->core) == LOAD(b->rhead) || LOAD(b->state) != NMD_RUNNING;
}

bool nmd_news(const struct nmd_ring *r)
{
	/* On a direct pipe nobody else does anything for a sync. */
	return !direct(r) && nmd_changed(r);
}

bool nmd_changed(const struct nmd_ring *r)
{
	return LOAD(r->blk->core) >> 32 != LOAD(r->blk->rtail);
}

bool nmd_ready(const struct nmd_ring *r)
{
	/* What the last sync left behind, not the ring's own cur and tail: the
	 * program can have scribbled on those since. */
	return LOAD(r->blk->rcur) != LOAD(r->blk->rtail);
}

bool nmd_idle(const struct nmd_ring *r)
{
	struct nmd_sync_block *b = r->blk;
	uint32_t state = LOAD(b->state);

	return LOAD(r->user->head) == LOAD(b->rhead) && LOAD(r->user->cur) == LOAD(b->rcur) &&
	       state != NMD_STOPPED && state != NMD_FROZEN;
}

void nmd_arm(struct nmd_ring *r)
{
	STORE(r->blk->appl_need_kick, 1);
	/* Armed first, then looked: the daemon does it the other way round. */
	atomic_thread_fence(memory_order_seq_cst);
}
