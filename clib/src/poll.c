#include "poll.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "epoll.h"
#include "libc.h"
#include "spin.h"
#include "txrx.h"

/* A member of the set that is not simply the kernel's business. */
struct item {
	nfds_t at;
	struct nmd_desc *d;  /* a netmap descriptor, */
	struct nmd_epset *e; /* or an epoll with some in it */
	bool mine;	     /* to drain, see nmd_wait_enter */
};

enum { FEW_ITEMS = 16, FEW_FDS = 64 };

/* A call under way. */
struct call {
	struct pollfd *fds;
	nfds_t n, others;
	struct item *items;
	size_t nitems;
	struct pollfd *copy; /* for the kernel, NULL until needed */
	unsigned out;	     /* of all syncs of the last look */
	struct item few_items[FEW_ITEMS];
	struct pollfd few_fds[FEW_FDS];
};

bool nmd_poll_any(const struct pollfd *fds, nfds_t n)
{
	if (atomic_load_explicit(&nmd_descs, memory_order_relaxed) == 0)
		return false;
	for (nfds_t i = 0; i < n; i++) {
		enum nmd_kind k = nmd_fd_kind(nmd_fd_get(fds[i].fd));
		if (k == NMD_FD_DESC || k == NMD_FD_EPOLL)
			return true;
	}
	return false;
}

/* collect finds the items and takes a reference to each. 0 or an errno. */
static int collect(struct call *c)
{
	size_t room = FEW_ITEMS;

	c->items = c->few_items;
	for (nfds_t i = 0; i < c->n; i++) {
		struct item it = {.at = i, .d = nmd_desc_get(c->fds[i].fd)};
		if (!it.d)
			it.e = nmd_epset_get(c->fds[i].fd);
		if (!it.d && c->fds[i].fd >= 0)
			c->others++; /* epolls, too: the kernel watches them */
		if (!it.d && !it.e)
			continue;
		if (c->nitems == room) {
			struct item *more = malloc(c->n * sizeof *more);
			if (!more)
				return ENOMEM;
			memcpy(more, c->items, room * sizeof *more);
			c->items = more;
			room = c->n;
		}
		c->items[c->nitems++] = it;
	}
	return 0;
}

static void release(struct call *c)
{
	for (size_t i = 0; i < c->nitems; i++) {
		if (c->items[i].d)
			nmd_desc_put(c->items[i].d);
		else
			nmd_epset_put(c->items[i].e);
	}
	if (c->items != c->few_items)
		free(c->items);
	if (c->copy != c->few_fds)
		free(c->copy);
}

/* look runs the phases on all netmap descriptors, and counts those with something to report. */
static int look(struct call *c)
{
	int ready = 0;

	c->out = 0;
	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		struct pollfd *p = &c->fds[it->at];
		unsigned out = 0;
		if (it->d)
			p->revents = nmd_pass(it->d, p->events, &out);
		else
			p->revents = nmd_epset_look(it->e, &out) ? p->events & (POLLIN | POLLRDNORM) : 0;
		c->out |= out;
		ready += p->revents != 0;
	}
	return ready;
}

/* arm, before another look: what changes after the look meets an armed ring (POL-21). */
static void arm(struct call *c)
{
	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		if (it->d)
			nmd_arm_for(it->d, c->fds[it->at].events);
		else
			nmd_epset_arm(it->e);
	}
}

/* kernel_set makes the set for the kernel, with wake descriptors in place of ours, or nothing. */
static int kernel_set(struct call *c, bool wakes)
{
	if (!c->copy) {
		c->copy = c->n <= FEW_FDS ? c->few_fds : malloc(c->n * sizeof *c->copy);
		if (!c->copy)
			return -1;
	}
	for (nfds_t i = 0; i < c->n; i++)
		c->copy[i] = (struct pollfd){.fd = c->fds[i].fd, .events = c->fds[i].events};
	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		if (it->d) {
			c->copy[it->at].fd = wakes ? atomic_load(&it->d->wake) : -1;
			c->copy[it->at].events = POLLIN;
		}
	}
	return 0;
}

/* merge takes what the kernel found on the other descriptors. */
static int merge(struct call *c)
{
	int ready = 0;

	for (size_t i = 0; i < c->nitems; i++)
		if (c->items[i].d)
			c->copy[c->items[i].at].revents = 0;
	for (nfds_t i = 0; i < c->n; i++) {
		if (c->copy[i].fd < 0 && c->fds[i].fd < 0)
			c->fds[i].revents = 0;
		else
			c->fds[i].revents |= c->copy[i].revents;
		ready += c->fds[i].revents != 0;
	}
	return ready;
}

/* clear, so that merge starts from what was looked at just now, and from nothing elsewhere. */
static void clear(struct call *c)
{
	for (nfds_t i = 0; i < c->n; i++)
		c->fds[i].revents = 0;
}

/* finish adds the other descriptors to what was found, without waiting for them. */
static int finish(struct call *c, int ready, const sigset_t *mask)
{
	static const struct timespec none;

	if (c->others == 0)
		return ready;
	if (kernel_set(c, false) < 0 || (REAL(ppoll)(c->copy, c->n, &none, mask) < 0 && ready == 0))
		return -1;
	return merge(c);
}

/* stale takes descriptors out that were closed where we could not see it: their numbers
 * mean something else now. */
static bool stale(struct call *c)
{
	bool any = false;

	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		int fd = c->fds[it->at].fd;
		if (it->d && !nmd_desc_is(it->d, fd)) {
			nmd_desc_closed(nmd_desc_drop(fd));
			any = true;
		}
	}
	return any;
}

/* drain takes the events that somebody was woken by. It comes before arming and looking: what an event was about is to be
 * looked at after it was taken. One that comes later ends the sleep at once. */
static void drain(struct call *c)
{
	for (size_t i = 0; i < c->nitems; i++) {
		struct nmd_desc *d = c->items[i].d;
		if (!d || !atomic_load(&d->woken))
			continue;
		if (nmd_wait_enter(d))
			nmd_desc_drain(d);
		nmd_wait_leave(d);
	}
}

/* sleep_on sleeps until anything happens; the result is that of the kernel, for all descriptors. */
static int sleep_on(struct call *c, const struct nmd_deadline *until, const sigset_t *mask)
{
	int64_t cap = c->out & NMD_SKIPPED ? NMD_LOOK_AGAIN : 0;
	struct timespec ts;

	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		if (!it->d)
			continue;
		it->mine = nmd_wait_enter(it->d);
		if (!it->mine)
			cap = NMD_LOOK_AGAIN;
	}
	int64_t start = nmd_now_ns();
	int r = kernel_set(c, true);
	if (r == 0)
		r = REAL(ppoll)(c->copy, c->n, nmd_deadline_left(until, cap, &ts), mask);
	int err = errno;
	int64_t slept = nmd_now_ns() - start;
	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		if (!it->d)
			continue;
		bool woken = r > 0 && c->copy[it->at].revents;
		if (woken || r == 0) /* what others ended says nothing of this one */
			nmd_spin_slept(it->d, slept);
		if (woken && it->mine)
			atomic_store(&it->d->woken, true);
		nmd_wait_leave(it->d);
	}
	errno = err;
	return r;
}

/* bind_all: a descriptor can have been registered by another process meanwhile. */
static void bind_all(struct call *c)
{
	for (size_t i = 0; i < c->nitems; i++)
		if (c->items[i].d)
			nmd_desc_bound(c->items[i].d, c->fds[c->items[i].at].fd);
}

/* spin looks for a while whether anything happens: while both sides are busy neither wakes the other. Epolls in the set
 * have no part in it. */
static bool spin(struct call *c, const struct nmd_deadline *until)
{
	enum { LOOKS = 8, ALONE = 5000 /* ns; so long it looks before others are offered the CPU */ };
	struct timespec ts;
	int64_t limit = 0;
	bool pipes = true, news = false;

	for (size_t i = 0; i < c->nitems; i++) {
		struct item *it = &c->items[i];
		int64_t most = it->d ? nmd_spin_limit(it->d) : 0;
		if (!most)
			return false;
		limit = most > limit ? most : limit;
		pipes &= atomic_load_explicit(&it->d->pipe_wake, memory_order_relaxed) >= 0;
	}
	/* The other end of a pipe was seen on another CPU, or nowhere. Of what a switch delivers the sender
	 * can be anywhere, here too. */
	if (limit == 0 || (!pipes && nmd_spin_crowded()))
		return false;
	limit = nmd_deadline_left(until, limit, &ts)->tv_nsec;
	for (int64_t start = nmd_now_ns();;) {
		for (int k = 0; k < LOOKS && !news; k++) {
			nmd_spin_pause();
			for (size_t i = 0; i < c->nitems; i++)
				news |= nmd_spin_news(c->items[i].d, c->fds[c->items[i].at].events);
		}
		int64_t t = nmd_now_ns() - start;
		if (news || t >= limit)
			break;
		if (!pipes && t >= ALONE)
			nmd_spin_yield();
	}
	for (size_t i = 0; i < c->nitems; i++)
		(news ? nmd_spin_found : nmd_spin_missed)(c->items[i].d);
	return news;
}

static int run(struct call *c, const struct nmd_deadline *until, const sigset_t *mask)
{
	bind_all(c);
	clear(c);
	int ready = finish(c, look(c), mask); /* what is ready elsewhere does not wait for us to spin */
	if (ready || until->kind == NMD_NOW)
		return ready;
	if (spin(c, until) && (ready = look(c)))
		return finish(c, ready, mask);
	for (;;) {
		drain(c);
		arm(c);
		if ((ready = look(c)))
			return finish(c, ready, mask);
		if (stale(c)) {
			errno = EAGAIN; /* start again */
			return -2;
		}
		int r = sleep_on(c, until, mask);
		if (r < 0)
			return -1;
		clear(c);
		look(c);
		if ((ready = merge(c)))
			return ready;
		if (r == 0 && nmd_deadline_passed(until))
			return 0;
	}
}

int nmd_ppoll(struct pollfd *fds, nfds_t n, struct nmd_deadline until, const sigset_t *mask)
{
	int r;

	do {
		struct call c;
		c.fds = fds;
		c.n = n;
		c.others = 0;
		c.nitems = 0;
		c.copy = NULL;
		int err = collect(&c);
		r = err ? -1 : run(&c, &until, mask);
		if (!err)
			err = errno;
		release(&c);
		errno = err;
	} while (r == -2);
	return r;
}
