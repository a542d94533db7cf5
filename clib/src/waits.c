/*
 * waits.c: the functions that wait, as programs call them. Without a netmap
 * descriptor among those waited for, each passes straight on.
 */
#include <errno.h>
#include <limits.h>

#include "epoll.h"
#include "libc.h"
#include "poll.h"
#include "select.h"

/* glibc declares that poll only writes to the array, which is not so. */
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

static int fail(int err)
{
	errno = err;
	return -1;
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	if (!nmd_poll_any(fds, n))
		return REAL(poll)(fds, n, timeout);
	return nmd_ppoll(fds, n, nmd_deadline_ms(timeout), NULL);
}

static bool good_time(const struct timespec *ts)
{
	enum { NS = 1000000000 };

	return !ts || (ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < NS);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	if (!nmd_poll_any(fds, n))
		return REAL(ppoll)(fds, n, timeout, mask);
	if (!good_time(timeout))
		return fail(EINVAL);
	return nmd_ppoll(fds, n, nmd_deadline_in(timeout), mask);
}

/* Fortified forms, which also say how large the array is. */
extern void __chk_fail(void) __attribute__((noreturn));
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size);
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size);

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout, size_t size)
{
	if (size / sizeof *fds < n)
		__chk_fail();
	return poll(fds, n, timeout);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask, size_t size)
{
	if (size / sizeof *fds < n)
		__chk_fail();
	return ppoll(fds, n, timeout, mask);
}

EXPORT int select(int n, fd_set *in, fd_set *out, fd_set *ex, struct timeval *timeout)
{
	enum { US = 1000000 };
	struct timespec ts;

	if (n < 0 || !nmd_select_any(n, in, out, ex))
		return REAL(select)(n, in, out, ex, timeout);
	if (timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
			return fail(EINVAL);
		ts = (struct timespec){timeout->tv_sec + timeout->tv_usec / US, timeout->tv_usec % US * 1000};
	}
	struct nmd_deadline until = nmd_deadline_in(timeout ? &ts : NULL);
	int r = nmd_select(n, in, out, ex, until, NULL);
	if (timeout) { /* as Linux does */
		nmd_deadline_left(&until, 0, &ts);
		*timeout = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
	}
	return r;
}

EXPORT int pselect(int n, fd_set *in, fd_set *out, fd_set *ex, const struct timespec *timeout, const sigset_t *mask)
{
	if (n < 0 || !nmd_select_any(n, in, out, ex))
		return REAL(pselect)(n, in, out, ex, timeout, mask);
	if (!good_time(timeout))
		return fail(EINVAL);
	return nmd_select(n, in, out, ex, nmd_deadline_in(timeout), mask);
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct nmd_desc *d = nmd_desc_get(fd);

	if (!d)
		return REAL(epoll_ctl)(epfd, op, fd, ev);
	int err = nmd_epoll_ctl(epfd, op, fd, d, ev);
	nmd_desc_put(d);
	return err ? fail(err) : 0;
}

static int epoll(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max, struct nmd_deadline until,
		 const sigset_t *mask)
{
	if (max <= 0 || (size_t)max > INT_MAX / sizeof *evs) {
		nmd_epset_put(e);
		return fail(EINVAL);
	}
	int r = nmd_epoll_wait(e, epfd, evs, max, until, mask);
	int err = errno;
	nmd_epset_put(e);
	errno = err;
	return r;
}

EXPORT int epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout)
{
	struct nmd_epset *e = nmd_epset_get(epfd);

	return e ? epoll(e, epfd, evs, max, nmd_deadline_ms(timeout), NULL)
		 : REAL(epoll_wait)(epfd, evs, max, timeout);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout, const sigset_t *mask)
{
	struct nmd_epset *e = nmd_epset_get(epfd);

	return e ? epoll(e, epfd, evs, max, nmd_deadline_ms(timeout), mask)
		 : REAL(epoll_pwait)(epfd, evs, max, timeout, mask);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *evs, int max, const struct timespec *timeout, const sigset_t *mask)
{
	struct nmd_epset *e = nmd_epset_get(epfd);

	if (e)
		return epoll(e, epfd, evs, max, nmd_deadline_in(timeout), mask);
	return REAL(epoll_pwait2) ? REAL(epoll_pwait2)(epfd, evs, max, timeout, mask) : fail(ENOSYS);
}
