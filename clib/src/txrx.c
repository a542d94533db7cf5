#include "txrx.h"

#include <errno.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "libc.h"
#include "spin.h"

/*
 * How long a TX sync waits for the daemon to take what it published: first by
 * looking, which finds an lcore at work, then asleep.
 */
enum { SPIN_NS = 20000, TAKEN_NS = 10000000, SPIN_LOOKS = 64 };

/* after does what the syncs of a pass asked for: wake the daemon, or the other end of
 * a pipe. Its eventfd is watched edge-triggered and never read, so it does not fill up. */
void nmd_after(struct nmd_desc *d, unsigned out)
{
	static const uint64_t one = 1;

	if (out & NMD_KICK)
		nmd_session_kick(d->session);
	if (out & NMD_WAKE) {
		int err = errno, fd = atomic_load(&d->pipe_wake);
		if (fd >= 0 && write(fd, &one, sizeof one) < 0)
			errno = err;
	}
}

/* sync_all syncs the rings in ascending order and kicks once for all of them. */
static unsigned sync_all(struct nmd_desc *d, struct nmd_ring *rings, uint32_t n)
{
	unsigned out = 0;

	for (uint32_t i = 0; i < n; i++)
		out |= nmd_sync(&rings[i]);
	nmd_after(d, out);
	return out;
}

static bool all_taken(struct nmd_desc *d)
{
	for (uint32_t i = 0; i < d->ntx; i++)
		if (!nmd_taken(&d->tx[i]))
			return false;
	return true;
}

bool nmd_may_spin(struct nmd_desc *d)
{
	static _Atomic int cpus;

	if (!atomic_load_explicit(&cpus, memory_order_relaxed))
		atomic_store(&cpus, (int)sysconf(_SC_NPROCESSORS_ONLN));
	if (atomic_load_explicit(&cpus, memory_order_relaxed) == 1)
		return false;
	uint32_t here = (uint32_t)sched_getcpu() + 1;
	for (uint32_t i = 0; i < d->ntx; i++)
		if (atomic_load_explicit(&d->tx[i].blk->lcore_cpu, memory_order_relaxed) == here)
			return false;
	return true;
}

/* sleep_taken waits for one wake event, or until the deadline: false then. */
static bool sleep_taken(struct nmd_desc *d, int64_t deadline)
{
	int64_t left = deadline - nmd_now_ns();
	bool mine = nmd_wait_enter(d);

	if (!mine && left > NMD_LOOK_AGAIN)
		left = NMD_LOOK_AGAIN;
	if (left > 0) {
		struct pollfd p = {.fd = atomic_load(&d->wake), .events = POLLIN};
		const struct timespec ts = {.tv_nsec = left};
		int err = errno;
		if (REAL(ppoll)(&p, 1, &ts, NULL) > 0 && mine)
			nmd_desc_drain(d);
		errno = err;
	}
	nmd_wait_leave(d);
	return left > 0 && !nmd_desc_gone(d);
}

/* await_taken waits until the daemon has taken what was published. */
static void await_taken(struct nmd_desc *d)
{
	if (all_taken(d))
		return;
	int64_t start = nmd_now_ns();
	if (nmd_may_spin(d)) {
		while (nmd_now_ns() - start < SPIN_NS) {
			for (int i = 0; i < SPIN_LOOKS; i++) {
				if (all_taken(d))
					return;
				nmd_spin_pause();
			}
		}
	}
	do {
		for (uint32_t i = 0; i < d->ntx; i++)
			if (!nmd_taken(&d->tx[i]))
				nmd_arm(&d->tx[i]);
		if (all_taken(d)) /* armed first, then looked: no message is missed */
			return;
	} while (sleep_taken(d, start + TAKEN_NS));
}

/* any_news: what was taken between the sync and the look has to be shown, too. */
static bool any_news(struct nmd_desc *d)
{
	for (uint32_t i = 0; i < d->ntx; i++)
		if (nmd_news(&d->tx[i]))
			return true;
	return false;
}

int nmd_txsync(struct nmd_desc *d)
{
	nmd_desc_check(d);
	if (nmd_desc_gone(d))
		return EIO;
	if (atomic_load_explicit(&d->csb, memory_order_relaxed))
		return EBUSY; /* NC B.9.3 */
	unsigned out = sync_all(d, d->tx, d->ntx);
	await_taken(d);
	if (nmd_desc_gone(d))
		return EIO;
	if (any_news(d))
		out |= sync_all(d, d->tx, d->ntx);
	return out & NMD_GONE ? EIO : 0;
}

int nmd_rxsync(struct nmd_desc *d)
{
	nmd_desc_check(d);
	if (nmd_desc_gone(d))
		return EIO;
	if (atomic_load_explicit(&d->csb, memory_order_relaxed))
		return EBUSY; /* NC B.9.3 */
	return sync_all(d, d->rx, d->nrx) & NMD_GONE ? EIO : 0;
}

/* tx_phase leaves out rings with nothing new once room was found. */
static short tx_phase(struct nmd_desc *d, short want, unsigned *out)
{
	short re = 0;

	for (uint32_t i = 0; i < d->ntx; i++) {
		struct nmd_ring *r = &d->tx[i];
		if (!want && nmd_idle(r))
			continue;
		unsigned o = nmd_sync(r);
		*out |= o;
		if (o & (NMD_BAD | NMD_GONE)) {
			re |= POLLERR;
		} else if (want && nmd_ready(r)) {
			re |= want;
			want = 0;
		}
	}
	return re;
}

/* rx_phase syncs all RX rings, whichever is ready. */
static short rx_phase(struct nmd_desc *d, short want, unsigned *out)
{
	short re = 0;

	for (uint32_t i = 0; i < d->nrx; i++) {
		struct nmd_ring *r = &d->rx[i];
		unsigned o = nmd_sync(r);
		*out |= o;
		if (o & (NMD_BAD | NMD_GONE))
			re |= POLLERR;
		if (!(o & NMD_GONE) && nmd_ready(r))
			re |= want;
	}
	return re;
}

short nmd_pass(struct nmd_desc *d, short events, unsigned *out)
{
	short tx = events & NMD_WANT_TX, rx = events & NMD_WANT_RX, re = 0;

	*out = 0;
	if (!atomic_load_explicit(&d->bound, memory_order_acquire))
		return POLLERR;
	nmd_desc_check(d);
	if (nmd_desc_gone(d)) {
		*out = NMD_GONE;
		return POLLERR;
	}
	if (atomic_load_explicit(&d->csb, memory_order_relaxed))
		return POLLERR; /* NC D.6 */
	if (tx || !d->no_tx_poll)
		re |= tx_phase(d, tx, out);
	if (rx)
		re |= rx_phase(d, rx, out);
	if (*out & NMD_FORWARDED)
		re |= tx_phase(d, 0, out);
	nmd_after(d, *out);
	return re;
}

void nmd_arm_for(struct nmd_desc *d, short events)
{
	if (!atomic_load_explicit(&d->bound, memory_order_acquire))
		return;
	if (events & NMD_WANT_TX)
		for (uint32_t i = 0; i < d->ntx; i++)
			nmd_arm(&d->tx[i]);
	if (events & NMD_WANT_RX)
		for (uint32_t i = 0; i < d->nrx; i++)
			nmd_arm(&d->rx[i]);
}
