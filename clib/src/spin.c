#include "spin.h"

#include <sched.h>
#include <stdlib.h>

#include "sync.h"
#include "txrx.h"

/*
 * To be woken costs whoever does it several microseconds, and more where the wake-up has to
 * reach another CPU of a virtual machine. All times are nanoseconds.
 */
enum {
	MOST = 100000,	/* unless the environment says otherwise */
	MOST_US = 10000, /* that it may say, in microseconds */
	LEAST = 500,
};

/*
 * A program that computes uses all of its time slice each time it is offered the CPU.
 * Sleeping is better beside such a one: who is woken has precedence. The more often
 * that happens, the longer no CPU is offered.
 */
enum {
	SLICE = 300000, /* a peer that sends or receives is through with its batch earlier */
	CROWD_LEAST = 10000000,
	CROWD_MOST = 1000000000,
};

static _Atomic int64_t crowd_until, crowd_length;

/* most is what NETMAPD_SPIN says in microseconds. 0 lets each poll sleep at once. */
static uint32_t most(void)
{
	static _Atomic int64_t known = -1;
	int64_t ns = atomic_load_explicit(&known, memory_order_relaxed);

	if (ns < 0) {
		const char *env = secure_getenv("NETMAPD_SPIN");
		char *end = NULL;
		unsigned long us = env && *env >= '0' && *env <= '9' ? strtoul(env, &end, 10) : 0;
		ns = !end || *end ? MOST : (int64_t)(us < MOST_US ? us : MOST_US) * 1000;
		atomic_store(&known, ns);
	}
	return (uint32_t)ns;
}

static uint32_t spin_of(struct nmd_desc *d) { return atomic_load_explicit(&d->spin, memory_order_relaxed); }

static void set(struct nmd_desc *d, uint32_t ns)
{
	atomic_store_explicit(&d->spin, ns < most() ? ns : most(), memory_order_relaxed);
}

void nmd_spin_begin(struct nmd_desc *d) { set(d, atomic_load(&d->pipe_wake) >= 0 ? MOST_US * 1000 : LEAST); }

int64_t nmd_spin_limit(struct nmd_desc *d)
{
	if (!atomic_load_explicit(&d->bound, memory_order_acquire) || spin_of(d) == 0)
		return 0;
	uint32_t here = (uint32_t)sched_getcpu() + 1;
	for (uint32_t i = 0; i < d->ntx + d->nrx; i++)
		if (atomic_load_explicit(&d->tx[i].blk->lcore_cpu, memory_order_relaxed) == here)
			return 0;
	return spin_of(d);
}

bool nmd_spin_news(struct nmd_desc *d, short events)
{
	bool news = false;

	if (events & NMD_WANT_TX)
		for (uint32_t i = 0; i < d->ntx; i++)
			news |= nmd_changed(&d->tx[i]);
	if (events & NMD_WANT_RX)
		for (uint32_t i = 0; i < d->nrx; i++)
			news |= nmd_changed(&d->rx[i]);
	return news;
}

void nmd_spin_found(struct nmd_desc *d) { set(d, 2 * spin_of(d)); }

void nmd_spin_missed(struct nmd_desc *d) { set(d, spin_of(d) > 2 * LEAST ? spin_of(d) / 2 : LEAST); }

void nmd_spin_slept(struct nmd_desc *d, int64_t ns)
{
	/* Would the most have been enough? To be woken takes some time by itself. */
	if (2 * (int64_t)spin_of(d) + ns < (int64_t)most() * 3 / 2)
		set(d, most());
}

void nmd_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

void nmd_spin_yield(void)
{
	int64_t before = nmd_now_ns();
	sched_yield();
	int64_t after = nmd_now_ns();

	if (after - before < SLICE)
		return;
	int64_t length = CROWD_LEAST, last = atomic_load(&crowd_length);
	if (before - atomic_load(&crowd_until) < 10 * last)
		length = 2 * last < CROWD_MOST ? 2 * last : CROWD_MOST;
	atomic_store(&crowd_length, length);
	atomic_store(&crowd_until, after + length);
}

bool nmd_spin_crowded(void)
{
	int64_t until = atomic_load_explicit(&crowd_until, memory_order_relaxed);

	return until && nmd_now_ns() < until;
}
