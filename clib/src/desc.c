#include "desc.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bind.h"
#include "csb.h"
#include "epoll.h"
#include "iface.h"
#include "libc.h"

_Atomic int nmd_descs;

static struct nmd_desc *descs, *spare; /* under nmd_lock */

struct nmd_desc *nmd_desc_get(int fd)
{
	for (;;) {
		nmd_entry e = nmd_fd_get(fd);
		if (nmd_fd_kind(e) != NMD_FD_DESC)
			return NULL;
		struct nmd_desc *d = nmd_fd_ptr(e);
		int refs = atomic_load_explicit(&d->refs, memory_order_relaxed);
		do {
			if (refs == 0)
				break;
		} while (!atomic_compare_exchange_weak(&d->refs, &refs, refs + 1));
		if (refs == 0)
			continue; /* it is being closed: the entry goes before the last reference */
		if (nmd_fd_get(fd) == e)
			return d;
		nmd_desc_put(d); /* closed, and perhaps in use again for another */
	}
}

/* recycle: nobody has a reference any more. */
static void recycle(struct nmd_desc *d)
{
	nmd_epoll_forget(d);
	nmd_unbind(d);
	if (d->session)
		nmd_session_put(d->session);
	pthread_mutex_lock(&nmd_lock);
	for (struct nmd_desc **p = &descs; *p; p = &(*p)->next) {
		if (*p == d) {
			*p = d->next;
			break;
		}
	}
	d->session = NULL;
	d->next = spare;
	spare = d;
	pthread_mutex_unlock(&nmd_lock);
}

void nmd_desc_put(struct nmd_desc *d)
{
	if (atomic_fetch_sub(&d->refs, 1) == 1)
		recycle(d);
}

/* enter gives fd an entry with a reference of its own. The caller has one too. */
static void enter(int fd, struct nmd_desc *d)
{
	atomic_fetch_add(&d->refs, 1);
	atomic_fetch_add(&nmd_descs, 1);
	nmd_entry e = nmd_fd_entry(NMD_FD_DESC, d), old = nmd_fd_swap(fd, e);
	if (nmd_fd_kind(old) == NMD_FD_DESC) { /* closed behind our back */
		atomic_fetch_sub(&nmd_descs, 1);
		nmd_desc_put(nmd_fd_ptr(old));
	}
	if (nmd_fd_get(fd) != e) { /* beyond the table */
		atomic_fetch_sub(&nmd_descs, 1);
		atomic_fetch_sub(&d->refs, 1);
	}
}

/* make takes a struct for a socket, with one reference, which is the caller's. */
static struct nmd_desc *make(const struct stat *st, const char *path)
{
	pthread_mutex_lock(&nmd_lock);
	struct nmd_desc *d = spare;
	if (d)
		spare = d->next;
	else if ((d = calloc(1, sizeof *d)))
		pthread_mutex_init(&d->binding, NULL);
	if (d) {
		d->dev = st->st_dev;
		d->ino = st->st_ino;
		strcpy(d->path, path);
		atomic_store(&d->bound, false);
		atomic_store(&d->dead, false);
		atomic_store(&d->shared, false);
		atomic_store(&d->wake, -1);
		atomic_store(&d->hangup, -1);
		atomic_store(&d->pipe_sleep, -1);
		atomic_store(&d->pipe_wake, -1);
		atomic_store(&d->spin, 0);
		atomic_store(&d->waiters, 0);
		atomic_store(&d->woken, false);
		d->next = descs;
		descs = d;
		atomic_store(&d->refs, 1);
	}
	pthread_mutex_unlock(&nmd_lock);
	return d;
}

/* same finds the descriptor of a socket, with a reference for the caller. */
static struct nmd_desc *same(const struct stat *st)
{
	struct nmd_desc *d;

	pthread_mutex_lock(&nmd_lock);
	for (d = descs; d; d = d->next) {
		if (d->dev != st->st_dev || d->ino != st->st_ino)
			continue;
		int refs = atomic_load(&d->refs);
		while (refs > 0 && !atomic_compare_exchange_weak(&d->refs, &refs, refs + 1))
			;
		if (refs > 0)
			break;
	}
	pthread_mutex_unlock(&nmd_lock);
	return d;
}

struct nmd_desc *nmd_desc_new(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	struct nmd_desc *d = same(&st);
	if (!d)
		d = make(&st, path);
	if (d) {
		enter(fd, d);
		nmd_iface_on(path);
	}
	return d;
}

struct nmd_desc *nmd_desc_recognise(int fd)
{
	char path[NMD_PATH_MAX];
	nmd_entry e = nmd_fd_get(fd);

	if (nmd_fd_kind(e) == NMD_FD_INTERNAL || !nmd_peer_path(fd, path))
		return NULL;
	struct nmd_desc *d = nmd_desc_new(fd, path);
	if (d)
		atomic_store(&d->shared, true); /* with whom it came from */
	return d;
}

bool nmd_desc_is(const struct nmd_desc *d, int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == d->ino && st.st_dev == d->dev;
}

void nmd_desc_dup(int from, int to)
{
	struct nmd_desc *d = nmd_desc_get(from);

	if (d) {
		enter(to, d);
		nmd_desc_put(d);
	}
}

struct nmd_desc *nmd_desc_drop(int fd)
{
	if (nmd_fd_kind(nmd_fd_get(fd)) != NMD_FD_DESC)
		return NULL;
	nmd_entry e = nmd_fd_swap(fd, 0);
	if (nmd_fd_kind(e) != NMD_FD_DESC)
		return NULL; /* another thread closes it, too */
	atomic_fetch_sub(&nmd_descs, 1);
	return nmd_fd_ptr(e);
}

/*
 * await_unbound waits until the daemon has noticed that the last descriptor is
 * gone: close(2) on netmap returns after the port was released (NC B.11), and
 * programs open it again at once. On a busy machine that takes a while. Where other
 * processes can hold the descriptor too the wait is short, and so it is after one that
 * was in vain.
 */
static void await_unbound(struct nmd_desc *d)
{
	enum { WAIT_MS = 150, SHORT_MS = 20 };
	static _Atomic bool in_vain;
	struct pollfd p = {.fd = atomic_load(&d->hangup), .events = 0};
	bool brief = atomic_load(&d->shared) || atomic_load(&in_vain);
	int err = errno;

	if (atomic_load(&d->bound) && !nmd_desc_gone(d) && p.fd >= 0)
		atomic_store(&in_vain, REAL(poll)(&p, 1, brief ? SHORT_MS : WAIT_MS) == 0); /* hangup */
	errno = err;
}

void nmd_desc_closed(struct nmd_desc *d)
{
	if (!d)
		return;
	if (atomic_load(&d->refs) == 1)
		await_unbound(d);
	nmd_desc_put(d);
}

int nmd_desc_session(struct nmd_desc *d)
{
	char own[NMD_PATH_MAX];

	if (d->session && nmd_session_alive(d->session))
		return 0;
	if (atomic_load(&d->bound))
		return EIO; /* bound by a daemon that is gone */
	if (d->session) {
		nmd_session_put(d->session);
		d->session = NULL;
	}
	int err = nmd_session_get(d->path, &d->session);
	/* The path is the daemon's. In another mount namespace it can be elsewhere. */
	if (err && nmd_socket_path(own) == 0 && strcmp(own, d->path) != 0)
		err = nmd_session_get(own, &d->session);
	return err ? EIO : 0;
}

/* join asks for the parts of a descriptor that somebody else bound. */
static int join(struct nmd_desc *d, int fd)
{
	struct nmd_answer a;
	struct nmd_join q;
	struct nmd_bind b;
	const struct iovec part = {&q, sizeof q};
	int err = nmd_desc_session(d);

	if (err)
		return err;
	q.token = d->session->token;
	err = nmd_request(fd, NMD_TYPE_JOIN, &part, 1, NMD_BIND_FDS, &a);
	if (err)
		return err;
	if (a.len == sizeof b + NMD_REGISTER_SIZE) {
		memcpy(&b, a.body, sizeof b);
		err = nmd_desc_adopt(d, &b, &a, NULL, NULL);
	} else {
		err = EIO;
	}
	nmd_answer_done(&a);
	return err;
}

int nmd_desc_bound(struct nmd_desc *d, int fd)
{
	if (__builtin_expect(atomic_load_explicit(&d->bound, memory_order_acquire), 1))
		return 0;
	int saved = errno, err = 0;
	pthread_mutex_lock(&d->binding);
	if (!atomic_load(&d->bound))
		err = join(d, fd);
	pthread_mutex_unlock(&d->binding);
	errno = saved;
	return err == 0 || err == EIO ? err : ENXIO;
}

void nmd_desc_undo(struct nmd_desc *d, int fd)
{
	struct nmd_answer a;
	struct nmd_join q = {.token = d->session->token};
	const struct iovec part = {&q, sizeof q};

	if (nmd_request(fd, NMD_TYPE_UNBIND, &part, 1, 0, &a) == 0)
		nmd_answer_done(&a);
}

void nmd_desc_check(struct nmd_desc *d)
{
	time_t now = time(NULL); /* the clock of the last tick: a few nanoseconds */

	if (__builtin_expect(now == atomic_load_explicit(&d->checked, memory_order_relaxed), 1))
		return;
	atomic_store_explicit(&d->checked, now, memory_order_relaxed);
	nmd_csb_look(d);
	nmd_session_alive(d->session);
}

void nmd_desc_drain(struct nmd_desc *d)
{
	struct epoll_event ev[NMD_WAKE_PIPE];
	atomic_store(&d->woken, false);
	int err = errno, n = REAL(epoll_wait)(atomic_load(&d->wake), ev, NMD_WAKE_PIPE, 0);

	for (int i = 0; i < n; i++) {
		if ((uint32_t)ev[i].data.u64 != NMD_WAKE_HANGUP)
			continue;
		atomic_store(&d->dead, true);
		nmd_session_alive(d->session); /* the port went, or the daemon did: tells the others */
	}
	errno = err;
}

/* In a child every descriptor is one that somebody else bound: it joins at first use. */
void nmd_desc_lent(void)
{
	for (struct nmd_desc *d = descs; d; d = d->next)
		atomic_store(&d->shared, true);
}

void nmd_desc_forked(void)
{
	for (struct nmd_desc *d = descs; d; d = d->next) {
		pthread_mutex_init(&d->binding, NULL);
		nmd_unbind(d);
		d->session = NULL; /* forgotten with its connection */
		atomic_store(&d->bound, false);
		atomic_store(&d->dead, false);
		atomic_store(&d->waiters, 0);
		atomic_store(&d->shared, true);
	}
}
