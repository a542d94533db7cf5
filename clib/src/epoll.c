#include "epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "libc.h"
#include "txrx.h"

/*
 * The kernel watches a descriptor's wake descriptor in its place, level-triggered, and
 * every wait looks at the rings itself. So what a wait reports of netmap
 * descriptors are ring states, and the kernel's word only ends the sleep.
 */
struct item {
	struct item *next;
	int fd;
	struct nmd_desc *d;
	uint32_t events;
	epoll_data_t data; /* the program's */
	_Atomic int wake;  /* ours in the epoll: a duplicate, since each can be there once */
	bool off;	   /* EPOLLONESHOT has fired */
	bool counted;	   /* among the waiters of d */
	bool told;	   /* EPOLLET: what was told, and */
	uint64_t seen;	   /* which tails there were then */
};

struct nmd_epset {
	struct nmd_epset *next;
	int refs;		/* under sets_lock */
	pthread_mutex_t lock;	/* of the items */
	struct item *items;
	int sleepers;
};

static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct nmd_epset *sets; /* under sets_lock */

/* Wake events are told from the program's by their data, which no program uses: no address
 * and no small number. */
#define TAG (UINT64_C(0x4e4d) << 48)

static uint64_t tag(const struct item *it) { return TAG | ((uintptr_t)it & ~(UINT64_C(0xffff) << 48)); }
static bool is_wake(uint64_t data) { return data >> 48 == TAG >> 48; }

struct nmd_epset *nmd_epset_get(int epfd)
{
	if (nmd_fd_kind(nmd_fd_get(epfd)) != NMD_FD_EPOLL)
		return NULL;
	pthread_mutex_lock(&sets_lock);
	nmd_entry e = nmd_fd_get(epfd);
	struct nmd_epset *s = nmd_fd_kind(e) == NMD_FD_EPOLL ? nmd_fd_ptr(e) : NULL;
	if (s)
		s->refs++;
	pthread_mutex_unlock(&sets_lock);
	return s;
}

static void drop_wake(int epfd, struct item *it)
{
	int wake = atomic_load(&it->wake);

	if (wake >= 0 && epfd >= 0)
		REAL(epoll_ctl)(epfd, EPOLL_CTL_DEL, wake, NULL);
	nmd_internal_close(&it->wake);
	if (it->counted)
		nmd_wait_leave(it->d);
}

void nmd_epset_put(struct nmd_epset *e)
{
	pthread_mutex_lock(&sets_lock);
	bool last = --e->refs == 0;
	for (struct nmd_epset **p = &sets; last && *p; p = &(*p)->next) {
		if (*p == e) {
			*p = e->next;
			break;
		}
	}
	pthread_mutex_unlock(&sets_lock);
	if (!last)
		return;
	while (e->items) {
		struct item *it = e->items;
		e->items = it->next;
		drop_wake(-1, it); /* the epoll is gone, and what was in it */
		free(it);
	}
	free(e);
}

/* set_of finds or makes the set of an epoll, with a reference for the caller. */
static struct nmd_epset *set_of(int epfd)
{
	struct nmd_epset *e = nmd_epset_get(epfd);

	if (e || !(e = calloc(1, sizeof *e)))
		return e;
	pthread_mutex_init(&e->lock, NULL);
	e->refs = 2; /* the table's and the caller's */
	pthread_mutex_lock(&sets_lock);
	e->next = sets;
	sets = e;
	nmd_fd_swap(epfd, nmd_fd_entry(NMD_FD_EPOLL, e));
	pthread_mutex_unlock(&sets_lock);
	return e;
}

static struct item *find(struct nmd_epset *e, int fd, const struct nmd_desc *d)
{
	for (struct item *it = e->items; it; it = it->next)
		if (it->fd == fd && it->d == d)
			return it;
	return NULL;
}

/* watch has the kernel watch the wake descriptor, if there is one by now. 0 or an errno. */
static int watch(int epfd, struct item *it)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = tag(it)};

	if (atomic_load(&it->wake) >= 0 || !atomic_load(&it->d->bound))
		return 0;
	int fd = REAL(fcntl)(atomic_load(&it->d->wake), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	nmd_internal(fd, &it->wake);
	if (REAL(epoll_ctl)(epfd, EPOLL_CTL_ADD, atomic_load(&it->wake), &ev) == 0)
		return 0;
	int err = errno;
	nmd_internal_close(&it->wake);
	return err;
}

static int add(struct nmd_epset *e, int epfd, int fd, struct nmd_desc *d, const struct epoll_event *ev)
{
	if (find(e, fd, d))
		return EEXIST;
	struct item *it = calloc(1, sizeof *it);
	if (!it)
		return ENOMEM;
	*it = (struct item){.fd = fd, .d = d, .events = ev->events, .data = ev->data, .wake = -1};
	int err = watch(epfd, it);
	if (err) {
		free(it);
		return err;
	}
	struct item **p = &e->items;
	while (*p)
		p = &(*p)->next;
	*p = it;
	return 0;
}

static int del(struct nmd_epset *e, int epfd, int fd, const struct nmd_desc *d)
{
	for (struct item **p = &e->items; *p; p = &(*p)->next) {
		struct item *it = *p;
		if (it->fd != fd || it->d != d)
			continue;
		*p = it->next;
		drop_wake(epfd, it);
		free(it);
		return 0;
	}
	return ENOENT;
}

static int mod(struct nmd_epset *e, int fd, struct nmd_desc *d, const struct epoll_event *ev)
{
	struct item *it = find(e, fd, d);

	if (!it)
		return ENOENT;
	it->events = ev->events;
	it->data = ev->data;
	it->off = it->told = false;
	return 0;
}

int nmd_epoll_ctl(int epfd, int op, int fd, struct nmd_desc *d, const struct epoll_event *ev)
{
	struct epoll_event probe = {0};
	int err;

	if (op != EPOLL_CTL_DEL && !ev)
		return EFAULT;
	/* The kernel says what is wrong with epfd; that fd is not in it is as it should be. */
	if (REAL(epoll_ctl)(epfd, EPOLL_CTL_MOD, fd, &probe) == 0)
		REAL(epoll_ctl)(epfd, EPOLL_CTL_DEL, fd, NULL);
	else if (errno != ENOENT)
		return errno;
	nmd_desc_bound(d, fd);
	struct nmd_epset *e = set_of(epfd);
	if (!e)
		return ENOMEM;
	pthread_mutex_lock(&e->lock);
	switch (op) {
	case EPOLL_CTL_ADD:
		err = add(e, epfd, fd, d, ev);
		break;
	case EPOLL_CTL_MOD:
		err = mod(e, fd, d, ev);
		break;
	case EPOLL_CTL_DEL:
		err = del(e, epfd, fd, d);
		break;
	default:
		err = EINVAL;
	}
	pthread_mutex_unlock(&e->lock);
	nmd_epset_put(e);
	return err;
}

/* tails changes whenever a sync brought something. */
static uint64_t tails(const struct nmd_desc *d)
{
	uint64_t h = 1;

	for (uint32_t i = 0; i < d->ntx + d->nrx; i++)
		h = h * 31 + atomic_load_explicit(&d->tx[i].blk->rtail, memory_order_relaxed);
	return h;
}

/* check looks at one descriptor and says what to report of it. */
static uint32_t check(int epfd, struct item *it, unsigned *out)
{
	unsigned o = 0;

	if (it->off)
		return 0;
	if (atomic_load(&it->wake) < 0 && epfd >= 0) {
		if (nmd_fd_get(it->fd) == nmd_fd_entry(NMD_FD_DESC, it->d))
			nmd_desc_bound(it->d, it->fd); /* registered since, perhaps elsewhere */
		watch(epfd, it);
	}
	uint32_t re = (uint32_t)(unsigned short)nmd_pass(it->d, (short)(it->events & 0xffff), &o);
	*out |= o;
	if (re && it->events & EPOLLET) {
		uint64_t now = tails(it->d);
		if (it->told && now == it->seen)
			return 0;
		it->seen = now;
	}
	return re;
}

/* harvest reports what is ready, and lets those that were reported be last the next time. */
static int harvest(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max, unsigned *out)
{
	struct item *told = NULL, **told_end = &told;
	int n = 0;

	*out = 0;
	for (struct item **p = &e->items; *p;) {
		struct item *it = *p;
		uint32_t re = n < max ? check(epfd, it, out) : 0;
		if (!re) {
			p = &it->next;
			continue;
		}
		evs[n++] = (struct epoll_event){.events = re, .data = it->data};
		it->told = true;
		it->off = it->events & EPOLLONESHOT;
		*p = it->next;
		it->next = NULL;
		*told_end = it;
		told_end = &it->next;
	}
	struct item **end = &e->items;
	while (*end)
		end = &(*end)->next;
	*end = told;
	return n;
}

static int locked_harvest(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max, unsigned *out, bool arm)
{
	pthread_mutex_lock(&e->lock);
	if (arm)
		for (struct item *it = e->items; it; it = it->next)
			if (!it->off)
				nmd_arm_for(it->d, (short)(it->events & 0xffff));
	int n = harvest(e, epfd, evs, max, out);
	pthread_mutex_unlock(&e->lock);
	return n;
}

/* filter takes wake events out of what the kernel reported, and reads the messages if drain. */
static int filter(struct nmd_epset *e, struct epoll_event *evs, int n, bool drain)
{
	int kept = 0;

	for (int i = 0; i < n; i++) {
		if (!is_wake(evs[i].data.u64)) {
			evs[kept++] = evs[i];
			continue;
		}
		pthread_mutex_lock(&e->lock);
		for (struct item *it = e->items; it && drain; it = it->next)
			if (tag(it) == evs[i].data.u64)
				nmd_desc_drain(it->d);
		pthread_mutex_unlock(&e->lock);
	}
	return kept;
}

/* sleep_enter counts this thread as one that waits for the items' wake descriptors; false when
 * somebody else does, who then reads them. */
static bool sleep_enter(struct nmd_epset *e)
{
	pthread_mutex_lock(&e->lock);
	bool mine = e->sleepers++ == 0;
	for (struct item *it = e->items; it; it = it->next) {
		if (it->counted)
			continue;
		it->counted = true;
		mine &= nmd_wait_enter(it->d);
	}
	pthread_mutex_unlock(&e->lock);
	return mine;
}

static void sleep_leave(struct nmd_epset *e)
{
	pthread_mutex_lock(&e->lock);
	if (--e->sleepers == 0) {
		for (struct item *it = e->items; it; it = it->next) {
			if (it->counted)
				nmd_wait_leave(it->d);
			it->counted = false;
		}
	}
	pthread_mutex_unlock(&e->lock);
}

/* kernel_wait is the kernel's part: its events without wake events, or -1. *slept: until the end? */
static int kernel_wait(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max,
		       const struct timespec *limit, const sigset_t *mask, bool drain, bool *timeout)
{
	int n;

	if (REAL(epoll_pwait2)) {
		n = REAL(epoll_pwait2)(epfd, evs, max, limit, mask);
	} else {
		n = -1;
		errno = ENOSYS;
	}
	if (n < 0 && errno == ENOSYS) { /* Linux before 5.11 */
		int ms = limit ? (int)(limit->tv_sec < 1000000 ? limit->tv_sec * 1000 + (limit->tv_nsec + 999999) / 1000000
							       : 1000000000)
			       : -1;
		n = REAL(epoll_pwait)(epfd, evs, max, ms, mask);
	}
	*timeout = n == 0;
	return n > 0 ? filter(e, evs, n, drain) : n;
}

/* finish adds what the kernel has at hand to n events of ours. */
static int finish(struct nmd_epset *e, int epfd, struct epoll_event *evs, int n, int max, const sigset_t *mask)
{
	static const struct timespec none;
	bool timeout;

	if (n == max)
		return n;
	int m = kernel_wait(e, epfd, evs + n, max - n, &none, mask, false, &timeout);
	return m < 0 ? (n ? n : -1) : n + m;
}

int nmd_epoll_wait(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max, struct nmd_deadline until,
		   const sigset_t *mask)
{
	unsigned out;
	struct timespec ts;
	bool timeout;

	int n = locked_harvest(e, epfd, evs, max, &out, false);
	if (n || until.kind == NMD_NOW)
		return finish(e, epfd, evs, n, max, mask);
	for (;;) {
		/* Armed first, then looked: what changes after meets an armed ring (POL-21). */
		n = locked_harvest(e, epfd, evs, max, &out, true);
		if (n)
			return finish(e, epfd, evs, n, max, mask);
		bool mine = sleep_enter(e);
		int64_t cap = !mine || out & NMD_SKIPPED ? NMD_LOOK_AGAIN : 0;
		int m = kernel_wait(e, epfd, evs, max, nmd_deadline_left(&until, cap, &ts), mask, mine, &timeout);
		int err = errno;
		sleep_leave(e);
		errno = err;
		if (m < 0)
			return -1;
		n = locked_harvest(e, epfd, evs + m, max - m, &out, false);
		if (m + n)
			return m + n;
		if (timeout && nmd_deadline_passed(&until))
			return 0;
	}
}

bool nmd_epset_look(struct nmd_epset *e, unsigned *out)
{
	bool ready = false;

	pthread_mutex_lock(&e->lock);
	for (struct item *it = e->items; it; it = it->next)
		ready |= check(-1, it, out) != 0;
	pthread_mutex_unlock(&e->lock);
	return ready;
}

void nmd_epset_arm(struct nmd_epset *e)
{
	pthread_mutex_lock(&e->lock);
	for (struct item *it = e->items; it; it = it->next)
		if (!it->off)
			nmd_arm_for(it->d, (short)(it->events & 0xffff));
	pthread_mutex_unlock(&e->lock);
}

void nmd_epoll_dup(int from, int to)
{
	struct nmd_epset *e = nmd_epset_get(from);

	if (e) /* the reference becomes the table's */
		nmd_fd_swap(to, nmd_fd_entry(NMD_FD_EPOLL, e));
}

void nmd_epoll_closed(int epfd)
{
	pthread_mutex_lock(&sets_lock);
	nmd_entry old = nmd_fd_get(epfd);
	if (nmd_fd_kind(old) == NMD_FD_EPOLL)
		nmd_fd_swap(epfd, 0);
	pthread_mutex_unlock(&sets_lock);
	if (nmd_fd_kind(old) == NMD_FD_EPOLL)
		nmd_epset_put(nmd_fd_ptr(old));
}

void nmd_epoll_forget(struct nmd_desc *d)
{
	if (!sets)
		return;
	pthread_mutex_lock(&sets_lock);
	for (struct nmd_epset *e = sets; e; e = e->next) {
		pthread_mutex_lock(&e->lock);
		for (struct item **p = &e->items; *p;) {
			struct item *it = *p;
			if (it->d != d) {
				p = &it->next;
				continue;
			}
			*p = it->next;
			drop_wake(-1, it);
			free(it);
		}
		pthread_mutex_unlock(&e->lock);
	}
	pthread_mutex_unlock(&sets_lock);
}

/* In a child the parent's wake descriptors are closed (nmd_internal_forget); a wait adds the child's. */
void nmd_epoll_forked(void)
{
	pthread_mutex_init(&sets_lock, NULL);
	for (struct nmd_epset *e = sets; e; e = e->next) {
		pthread_mutex_init(&e->lock, NULL);
		e->sleepers = 0;
		for (struct item *it = e->items; it; it = it->next)
			it->counted = false;
	}
}
