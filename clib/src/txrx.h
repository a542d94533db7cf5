/* txrx.h: the sync of all rings of a descriptor. */
#ifndef NMD_TXRX_H
#define NMD_TXRX_H

#include <poll.h>

#include "desc.h"

/*
 * nmd_txsync and nmd_rxsync are NIOCTXSYNC and NIOCRXSYNC on a bound descriptor:
 * 0, or EIO when a ring, the port or the daemon is gone (NC D.4). The first waits,
 * at most 10 ms, until the daemon has taken what it published; neither waits for
 * room or for frames.
 */
int nmd_txsync(struct nmd_desc *d);
int nmd_rxsync(struct nmd_desc *d);

/*
 * nmd_pass runs the phases of netmap's poll once (NC D.6): events are what is
 * asked for, of poll(2); the result is what holds. *out gets the outcome of all syncs.
 */
short nmd_pass(struct nmd_desc *d, short events, unsigned *out);

/* The events of poll(2) that rings of the one kind and of the other are asked for. */
enum { NMD_WANT_TX = POLLOUT | POLLWRNORM, NMD_WANT_RX = POLLIN | POLLRDNORM };

/* nmd_arm_for asks to be woken at the next change of the rings that events are about. */
void nmd_arm_for(struct nmd_desc *d, short events);

/* nmd_after makes the kicks that syncs of d's rings asked for. */
void nmd_after(struct nmd_desc *d, unsigned out);

/* nmd_may_spin: looking again and again does not help when it keeps an lcore from its CPU. */
bool nmd_may_spin(struct nmd_desc *d);

/*
 * A thread that waits for the wake descriptor brackets that with these two. Only one
 * thread may take the events, or it would take away another's; the others
 * look again after a while: nmd_wait_enter is true for that one.
 */
static inline bool nmd_wait_enter(struct nmd_desc *d) { return atomic_fetch_add(&d->waiters, 1) == 0; }
static inline void nmd_wait_leave(struct nmd_desc *d) { atomic_fetch_sub(&d->waiters, 1); }

/* How long such others sleep, and who found a ring in somebody else's sync, in nanoseconds. */
enum { NMD_LOOK_AGAIN = 1000000 };

#endif
