#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "csb.h"
#include "libc.h"
#include "txrx.h"

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit(&(p), (v), memory_order_relaxed)

enum {
	MAX_SLEEP_US = 1000000,
	REST_MS = 3000,	  /* NC E.10 */
	IDLE_TURNS = 256, /* without anything to do, before the loop rests */
	DIRECT = 3,	  /* both bits of the mode: our loop serves every ring the same way */
};

/* A leg is one ring on the bridge. */
struct leg {
	struct nmd_ring ring; /* whose user is the one below: the ring's own indices are the program's */
	struct nmd_user user;
	struct nmd_csb_atok *in;
	struct nmd_csb_ktoa *out;
	int32_t kick; /* eventfds, or negative */
	int32_t irq;
	uint32_t head, cur; /* as last seen */
	bool bad;	    /* they were refused, and are not looked at again */
};

struct loop {
	struct nmd_desc *d;
	struct nmd_sync_block *block; /* of the mode: csb.h */
	struct leg *legs;
	size_t n;
	struct pollfd *fds; /* the kicks, and the wake descriptor; NULL in sleep mode */
	uint32_t sleep_us;
	bool may_spin;
};

static void notify(int32_t fd)
{
	static const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof one) < 0)
		return; /* it is full: whoever waits for it wakes anyway */
}

/* look takes what the program says: head before cur, which it stores the other way round. */
static bool look(struct leg *g)
{
	uint32_t head = atomic_load_explicit(&g->in->head, memory_order_acquire);
	uint32_t cur = atomic_load_explicit(&g->in->cur, memory_order_acquire);
	bool news = head != g->head || cur != g->cur;

	g->head = head;
	g->cur = cur;
	if (news)
		g->bad = false;
	return news;
}

/* turn does for one ring what a sync call would, and says whether anything moved. */
static bool turn(struct leg *g, unsigned *out)
{
	uint32_t tail = LOAD(g->user.tail), was = LOAD(g->out->hwcur);
	bool news = look(g);

	if (g->bad)
		return false;
	STORE(g->user.head, g->head);
	STORE(g->user.cur, g->cur);
	unsigned o = nmd_sync(&g->ring);
	*out |= o;
	if (o & NMD_BAD) {
		g->bad = true;
		STORE(g->out->kern_need_kick, 1);
	}
	uint32_t hwcur = nmd_hwcur(&g->ring), now = LOAD(g->user.tail);
	/* The program must never see hwtail newer than hwcur. */
	atomic_thread_fence(memory_order_release);
	STORE(g->out->hwcur, hwcur);
	atomic_thread_fence(memory_order_release);
	STORE(g->out->hwtail, now);
	if (now == tail)
		return news || hwcur != was;
	/* Either the program sees the new tail before it sleeps, or we see that it wants a call. */
	atomic_thread_fence(memory_order_seq_cst);
	if (LOAD(g->in->appl_need_kick))
		notify(g->irq);
	return true;
}

static bool stop_asked(const struct loop *l) { return atomic_load(&l->block->stop) != 0; }

static void want_kicks(struct loop *l, uint32_t on)
{
	for (size_t i = 0; i < l->n; i++)
		if (on || !l->legs[i].bad)
			STORE(l->legs[i].out->kern_need_kick, on);
}

/* idle, after the marks were set: nothing came in between. */
static bool idle(struct loop *l)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (size_t i = 0; i < l->n; i++) {
		struct leg *g = &l->legs[i];
		if (LOAD(g->in->head) != g->head || LOAD(g->in->cur) != g->cur)
			return false;
		if (LOAD(g->ring.blk->core) >> 32 != LOAD(g->user.tail) || nmd_hwcur(&g->ring) != LOAD(g->out->hwcur))
			return false;
	}
	return !stop_asked(l) && !nmd_desc_gone(l->d);
}

/* rest sleeps until the program kicks, a ring changes, or somebody stops the loop. */
static void rest(struct loop *l)
{
	uint64_t count;

	want_kicks(l, 1);
	for (size_t i = 0; i < l->n; i++)
		nmd_arm(&l->legs[i].ring);
	if (idle(l)) {
		l->fds[l->n].fd = atomic_load(&l->d->wake);
		if (REAL(poll)(l->fds, l->n + 1, REST_MS) > 0) {
			for (size_t i = 0; i < l->n; i++)
				if (l->fds[i].revents & POLLIN && read(l->fds[i].fd, &count, sizeof count) < 0)
					continue;
			if (l->fds[l->n].revents)
				nmd_desc_drain(l->d);
		}
	}
	want_kicks(l, 0);
}

static void nap(uint32_t us)
{
	const struct timespec ts = {us / 1000000, us % 1000000 * 1000L};

	if (us)
		nanosleep(&ts, NULL);
	else
		sched_yield();
}

static int run(struct loop *l)
{
	unsigned dry = 0;

	want_kicks(l, 0);
	while (!stop_asked(l)) {
		unsigned out = 0;
		bool moved = false;
		nmd_desc_check(l->d);
		if (nmd_desc_gone(l->d))
			return EIO;
		for (size_t i = 0; i < l->n; i++)
			moved |= turn(&l->legs[i], &out);
		nmd_after(l->d, out);
		if (out & NMD_GONE)
			return EIO;
		if (!l->fds) {
			nap(l->sleep_us);
		} else if (moved || (l->may_spin && ++dry < IDLE_TURNS)) {
			if (moved)
				dry = 0;
		} else {
			dry = 0;
			rest(l);
		}
	}
	return 0;
}

/* is_eventfd: 0, EBADF, or EINVAL for other descriptors. */
static int is_eventfd(int fd)
{
	char path[32], link[32];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return EBADF;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, link, sizeof link);
	if (n < 0)
		return 0; /* no /proc: nobody can tell */
	static const char name[] = "anon_inode:[eventfd]";
	return (size_t)n == sizeof name - 1 && memcmp(link, name, sizeof name - 1) == 0 ? 0 : EINVAL;
}

/* eventfds reads the option with a pair of descriptors for each ring (NC B.9.2). */
static int eventfds(struct loop *l, const char *body, size_t size)
{
	int32_t pair[2];

	if (size != l->n * sizeof pair)
		return EINVAL;
	bool all = true;
	for (size_t i = 0; i < l->n; i++) {
		memcpy(pair, body + i * sizeof pair, sizeof pair);
		l->legs[i].kick = pair[0];
		l->legs[i].irq = pair[1];
		for (int k = 0; k < 2; k++) {
			int err = pair[k] >= 0 ? is_eventfd(pair[k]) : 0;
			if (err)
				return err;
		}
		all = all && pair[0] >= 0;
	}
	if (!all)
		return 0;
	if (!(l->fds = calloc(l->n + 1, sizeof *l->fds)))
		return ENOMEM;
	for (size_t i = 0; i < l->n; i++)
		l->fds[i] = (struct pollfd){.fd = l->legs[i].kick, .events = POLLIN};
	l->fds[l->n].events = POLLIN;
	return 0;
}

/* options takes those of the request; each one's status says what became of it. */
static int options(struct loop *l, struct nmd_options *o)
{
	uint32_t mode = 0;
	int m = nmd_options_find(o, NMD_OPT_KLOOP_MODE), e = nmd_options_find(o, NMD_OPT_KLOOP_EVENTFDS), err = 0;

	if (m >= 0) {
		memcpy(&mode, o->wire + o->opt[m].body, sizeof mode);
		err = mode & ~(uint32_t)DIRECT ? EINVAL : 0;
		o->opt[m].status = (uint32_t)err;
	}
	if (!err && e >= 0) {
		err = eventfds(l, o->wire + o->opt[e].body, o->opt[e].size);
		if (!err && mode && !l->fds)
			err = EINVAL; /* who kicks directly must be able to */
		o->opt[e].status = (uint32_t)err;
	}
	return err;
}

static void begin(struct loop *l)
{
	struct nmd_desc *d = l->d;

	for (size_t i = 0; i < l->n; i++) {
		struct leg *g = &l->legs[i];
		struct nmd_sync_block *b = d->tx[i].blk;
		g->ring = d->tx[i];
		g->ring.user = &g->user;
		STORE(g->user.head, LOAD(b->rhead));
		STORE(g->user.cur, LOAD(b->rcur));
		STORE(g->user.tail, LOAD(b->rtail));
		g->in = &d->atok[i];
		g->out = &d->ktoa[i];
		g->head = g->cur = ~0u; /* whatever the program says is new */
		g->kick = g->irq = -1;
	}
}

/* serve runs the loop, which is ours: nobody else runs one. */
static int serve(struct loop *l, struct nmd_options *o)
{
	int state, err;

	if (!(l->legs = calloc(l->n, sizeof *l->legs)))
		return ENOMEM;
	begin(l);
	err = options(l, o);
	if (!err) {
		/* A thread that is cancelled in a system call of ours would leave the loop marked as running. */
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		err = run(l);
		want_kicks(l, 1);
		pthread_setcancelstate(state, NULL);
	}
	free(l->fds);
	free(l->legs);
	return err;
}

int nmd_kloop_start(struct nmd_desc *d, int fd, uint32_t sleep_us, struct nmd_options *o)
{
	uint32_t none = 0;

	if (sleep_us > MAX_SLEEP_US)
		return EINVAL;
	if (nmd_desc_bound(d, fd) != 0 || nmd_desc_gone(d))
		return ENXIO;
	struct loop l = {.d = d, .block = nmd_csb_block(d), .n = d->ntx + d->nrx, .sleep_us = sleep_us};
	if (!l.block || !d->atok)
		return EINVAL;
	if (!atomic_compare_exchange_strong(&l.block->loop, &none, d->session->id))
		return EBUSY;
	l.may_spin = nmd_may_spin(d);
	int saved = errno, err = serve(&l, o);
	errno = saved;
	/* The mark goes before: a stop that is asked for now is for the next start. */
	atomic_store(&l.block->stop, 0);
	atomic_store(&l.block->loop, 0);
	return err;
}

/* wake_loop has the daemon wake the loop, in whatever process it runs. */
static void wake_loop(struct nmd_desc *d, int fd)
{
	struct nmd_answer a;
	struct nmd_control c = {.token = d->session->token, .req_type = NMD_REQ_KLOOP_STOP, .version = NMD_API_MIN};
	const struct iovec part = {&c, sizeof c};

	if (nmd_request(fd, NMD_TYPE_CONTROL, &part, 1, 0, &a) == 0)
		nmd_answer_done(&a);
}

int nmd_kloop_stop(struct nmd_desc *d, int fd)
{
	enum { PATIENCE_MS = 2 * REST_MS };

	if (nmd_desc_bound(d, fd) != 0 || nmd_desc_gone(d))
		return ENXIO;
	struct nmd_sync_block *b = nmd_csb_block(d);
	if (!b)
		return 0;
	atomic_store(&b->stop, 1);
	if (!atomic_load(&b->loop))
		return 0; /* the next start finds the mark (NC E.10) */
	wake_loop(d, fd);
	for (int ms = 0; atomic_load(&b->loop) && ms < PATIENCE_MS; ms++)
		nap(1000);
	return 0;
}
