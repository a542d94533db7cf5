/*
 * sync.h: the sync of one ring. Pure functions over mapped memory: no system
 * call but the clock's, giving way in a pause of the daemon's and, for indirect slots, a
 * copy; no allocation, nothing of the process.
 */
#ifndef NMD_SYNC_H
#define NMD_SYNC_H

#include <stdbool.h>

#include "abi.h"

/* A ring as this process sees it; all but what the pointers lead to is private. */
struct nmd_ring {
	struct nmd_ring_hdr *hdr;
	struct nmd_user *user; /* in hdr, or what the sync loop has in its place */
	struct nmd_sync_block *blk;
	uint32_t slots;
	uint32_t dir;
	uint32_t session;   /* what goes into the busy word */
	uint32_t buf_count; /* of the region */
	uint32_t buf_size;
	char *bufs;    /* buffer 0 */
	bool indirect; /* TX slots may be: indirect.h */
	/* The ring at the other end of a pipe, where the ends may move the slots. */
	struct nmd_ring_hdr *peer;
	struct nmd_sync_block *peer_blk;
	/* Host RX ring 0: the TX rings that what is forwarded goes to (forward.h). */
	struct nmd_ring *down;
	uint32_t ndown;
};

/* nmd_now_ns is the monotonic clock. */
int64_t nmd_now_ns(void);

/* Outcomes of a sync, or-ed together. */
enum {
	NMD_SKIPPED = 1, /* another sync is running on the ring (NC D.1) */
	NMD_BAD = 2,	 /* left in an illegal state; it was re-initialised (NC D.4) */
	NMD_GONE = 4,	 /* stopped for good */
	NMD_KICK = 8,	 /* the daemon sleeps and has something to do */
	NMD_WAKE = 16,	 /* so does the other end of the pipe */
	NMD_FORWARDED = 32, /* slots were put into TX rings */
};

/* nmd_sync does for one ring what the kernel does in netmap's sync system calls. */
unsigned nmd_sync(struct nmd_ring *r);

/* nmd_hwcur: the first slot that was not taken yet (NC E.10). */
uint32_t nmd_hwcur(const struct nmd_ring *r);

/* nmd_taken: has the daemon taken all that was published (or never will)? */
bool nmd_taken(const struct nmd_ring *r);

/* nmd_news: is there a tail that the program was not shown yet? */
bool nmd_news(const struct nmd_ring *r);

/* nmd_changed: the same, or has the other end of a pipe moved slots? */
bool nmd_changed(const struct nmd_ring *r);

/* nmd_ready: does the last sync's tail lie ahead of its cur (NC D.6)? */
bool nmd_ready(const struct nmd_ring *r);

/* nmd_idle: nothing new on a TX ring, and nobody refused what was there before. */
bool nmd_idle(const struct nmd_ring *r);

/* nmd_arm asks to be woken at the ring's next change; look again after it. */
void nmd_arm(struct nmd_ring *r);

#endif
