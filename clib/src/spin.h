/* spin.h: how a poll looks for a while before it sleeps. The package netmap in Go does the same (netmap/spin.go). */
#ifndef NMD_SPIN_H
#define NMD_SPIN_H

#include "desc.h"

/* nmd_spin_begin: what a descriptor that was bound just now begins with. */
void nmd_spin_begin(struct nmd_desc *d);

/*
 * nmd_spin_limit is for how many nanoseconds to look for news of d now: by how often
 * that was of use, and 0 when it would only keep an lcore, or the other end of a pipe, from its CPU.
 */
int64_t nmd_spin_limit(struct nmd_desc *d);

/* nmd_spin_news: did anything happen to the rings that events, of poll(2), are about? */
bool nmd_spin_news(struct nmd_desc *d, short events);

/* What became of it: there was something before the time was over; there was not, and
 * after that, so long did a wait take. */
void nmd_spin_found(struct nmd_desc *d);
void nmd_spin_missed(struct nmd_desc *d);
void nmd_spin_slept(struct nmd_desc *d, int64_t ns);

/* nmd_spin_pause lets some time pass between two looks. */
void nmd_spin_pause(void);

/* nmd_spin_yield offers the CPU to others. nmd_spin_crowded: somebody was seen lately who kept it for long. */
void nmd_spin_yield(void);
bool nmd_spin_crowded(void);

#endif
