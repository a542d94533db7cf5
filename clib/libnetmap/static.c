/*
 * static.c: the C library's functions below ours, for programs that are linked
 * statically: there is no second definition to be found, so these make the system
 * calls themselves. They are no cancellation points.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../src/libc.h"

enum { SIGSET_SIZE = 8 }; /* the kernel's */

#define VA_LAST(type, after) \
	va_list ap;          \
	va_start(ap, after); \
	type last = va_arg(ap, type); \
	va_end(ap)

static int raw_open(const char *path, int flags, ...)
{
	VA_LAST(mode_t, flags);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, last);
}

static int raw_openat(int dir, const char *path, int flags, ...)
{
	VA_LAST(mode_t, flags);
	return (int)syscall(SYS_openat, dir, path, flags, last);
}

static void raw_exit(int status) { syscall(SYS_exit_group, status); }

static int raw_access(const char *path, int mode) { return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode); }

static int raw_ioctl(int fd, unsigned long req, ...)
{
	VA_LAST(void *, req);
	return (int)syscall(SYS_ioctl, fd, req, last);
}

static void *raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
}

static int raw_close(int fd) { return (int)syscall(SYS_close, fd); }
static int raw_dup(int fd) { return (int)syscall(SYS_dup, fd); }
static int raw_dup3(int fd, int to, int flags) { return (int)syscall(SYS_dup3, fd, to, flags); }

static int raw_close_range(unsigned first, unsigned last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

static int raw_fcntl(int fd, int cmd, ...)
{
	VA_LAST(void *, cmd);
	return (int)syscall(SYS_fcntl, fd, cmd, last);
}

static int raw_dup2(int fd, int to)
{
	if (fd == to)
		return raw_fcntl(fd, F_GETFD) < 0 ? -1 : to;
	return raw_dup3(fd, to, 0);
}

/* The kernel writes the time left into what it is given; these functions do not. */
static struct timespec *copied(const struct timespec *from, struct timespec *to)
{
	if (from)
		*to = *from;
	return from ? to : NULL;
}

static int raw_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec ts;

	return (int)syscall(SYS_ppoll, fds, n, copied(timeout, &ts), mask, SIGSET_SIZE);
}

static int raw_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	struct timespec ts = {timeout / 1000, timeout % 1000 * 1000000L};

	return raw_ppoll(fds, n, timeout < 0 ? NULL : &ts, NULL);
}

static int raw_pselect(int n, fd_set *in, fd_set *out, fd_set *ex, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec ts;
	struct {
		const sigset_t *mask;
		size_t size;
	} m = {mask, SIGSET_SIZE};

	return (int)syscall(SYS_pselect6, n, in, out, ex, copied(timeout, &ts), &m);
}

static int raw_select(int n, fd_set *in, fd_set *out, fd_set *ex, struct timeval *timeout)
{
	struct timespec ts = {0};

	if (timeout)
		ts = (struct timespec){timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000};
	int r = (int)syscall(SYS_pselect6, n, in, out, ex, timeout ? &ts : NULL, NULL);
	if (timeout)
		*timeout = (struct timeval){ts.tv_sec, ts.tv_nsec / 1000};
	return r;
}

static int raw_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

static int raw_epoll_pwait(int epfd, struct epoll_event *evs, int max, int timeout, const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait, epfd, evs, max, timeout, mask, SIGSET_SIZE);
}

static int raw_epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout)
{
	return raw_epoll_pwait(epfd, evs, max, timeout, NULL);
}

static int raw_epoll_pwait2(int epfd, struct epoll_event *evs, int max, const struct timespec *timeout, const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait2, epfd, evs, max, timeout, mask, SIGSET_SIZE);
}

static ssize_t raw_recvmsg(int fd, struct msghdr *m, int flags) { return syscall(SYS_recvmsg, fd, m, flags); }

static int raw_recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
	return (int)syscall(SYS_recvmmsg, fd, v, n, flags, timeout);
}

void nmd_libc_static(void)
{
	if (nmd_libc.close)
		return; /* a dynamic program, where all was found that there is */
	nmd_libc = (struct nmd_libc){
		.open = raw_open,
		.open64 = raw_open,
		.openat = raw_openat,
		.openat64 = raw_openat,
		._exit = raw_exit,
		.access = raw_access,
		.ioctl = raw_ioctl,
		.mmap = raw_mmap,
		.close = raw_close,
		.close_range = raw_close_range,
		.dup = raw_dup,
		.dup2 = raw_dup2,
		.dup3 = raw_dup3,
		.fcntl = raw_fcntl,
		.poll = raw_poll,
		.ppoll = raw_ppoll,
		.select = raw_select,
		.pselect = raw_pselect,
		.epoll_ctl = raw_epoll_ctl,
		.epoll_wait = raw_epoll_wait,
		.epoll_pwait = raw_epoll_pwait,
		.epoll_pwait2 = raw_epoll_pwait2,
		.recvmsg = raw_recvmsg,
		.recvmmsg = raw_recvmmsg,
	};
}
