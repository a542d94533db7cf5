/*
 * preload.c: the C library's functions as programs call them. Each does the
 * least that keeps track of netmap descriptors, and passes everything else on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bind.h"
#include "control.h"
#include "desc.h"
#include "epoll.h"
#include "iface.h"
#include "libc.h"
#include "param.h"
#include "process.h"

static int fail(int err)
{
	errno = err;
	return -1;
}

static int result(int err) { return err ? fail(err) : 0; }

/* --- open --- */

static bool is_device(const char *path) { return path && path[0] == '/' && strcmp(path, "/dev/netmap") == 0; }

/* open_device: without a daemon there is no such device, as without the kernel module. */
static int open_device(int flags)
{
	char path[NMD_PATH_MAX];
	int err = nmd_socket_path(path);

	if (err)
		return fail(err == ENAMETOOLONG ? ENOENT : err);
	int fd = nmd_connect(path, flags & O_CLOEXEC);
	if (fd < 0)
		return errno == ECONNREFUSED ? fail(ENOENT) : -1;
	struct nmd_desc *d = nmd_desc_new(fd, path);
	if (!d) {
		REAL(close)(fd);
		return fail(ENOMEM);
	}
	nmd_desc_put(d);
	return fd;
}

/* fresh: a new descriptor cannot be one that we know. Somebody closed it behind our back. */
static int fresh(int fd)
{
	if (__builtin_expect(fd >= 0 && nmd_fd_get(fd) != 0, 0) && !nmd_borrowed()) {
		nmd_desc_closed(nmd_desc_drop(fd));
		nmd_epoll_closed(fd);
	}
	return fd;
}

static mode_t mode_arg(int flags, va_list ap)
{
	return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                                   \
	EXPORT int name(const char *path, int flags, ...)            \
	{                                                            \
		va_list ap;                                          \
		if (is_device(path))                                 \
			return open_device(flags);                   \
		if (nmd_param_path(path))                            \
			return nmd_param_open(path, flags);          \
		va_start(ap, flags);                                 \
		mode_t mode = mode_arg(flags, ap);                   \
		va_end(ap);                                          \
		return fresh(REAL(name)(path, flags, mode));         \
	}                                                            \
	EXPORT int __##name##_2(const char *path, int flags);        \
	EXPORT int __##name##_2(const char *path, int flags)         \
	{                                                            \
		if (is_device(path))                                 \
			return open_device(flags);                   \
		if (nmd_param_path(path))                            \
			return nmd_param_open(path, flags);          \
		return fresh(REAL(name)(path, flags));               \
	}

#define OPENAT(name)                                                 \
	EXPORT int name(int dir, const char *path, int flags, ...)   \
	{                                                            \
		va_list ap;                                          \
		if (is_device(path))                                 \
			return open_device(flags);                   \
		if (nmd_param_path(path))                            \
			return nmd_param_open(path, flags);          \
		va_start(ap, flags);                                 \
		mode_t mode = mode_arg(flags, ap);                   \
		va_end(ap);                                          \
		return fresh(REAL(name)(dir, path, flags, mode));    \
	}                                                            \
	EXPORT int __##name##_2(int dir, const char *path, int flags);\
	EXPORT int __##name##_2(int dir, const char *path, int flags)\
	{                                                            \
		if (is_device(path))                                 \
			return open_device(flags);                   \
		if (nmd_param_path(path))                            \
			return nmd_param_open(path, flags);          \
		return fresh(REAL(name)(dir, path, flags));          \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* --- ioctl, mmap --- */

/* lookup finds a netmap descriptor, also one that came by a way we cannot see. */
static struct nmd_desc *lookup(int fd)
{
	struct nmd_desc *d = nmd_desc_get(fd);

	return d ? d : nmd_desc_recognise(fd);
}

EXPORT int ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	va_start(ap, req);
	void *arg = va_arg(ap, void *);
	va_end(ap);

	struct nmd_desc *d = nmd_is_netmap_ioctl(req) ? lookup(fd) : nmd_desc_get(fd);
	if (d) {
		int err = nmd_ioctl(d, fd, (uint32_t)req, (uint64_t)(uintptr_t)arg);
		nmd_desc_put(d);
		return result(err);
	}
	int before = errno, r = REAL(ioctl)(fd, req, arg);
	if (__builtin_expect(r < 0 && errno == ENODEV, 0) && nmd_is_iface_ioctl(req)) {
		errno = before;
		return result(nmd_iface(req, arg));
	}
	return r;
}

/* map_region maps a part of the region of a bound descriptor (NC A.13). */
static void *map_region(struct nmd_desc *d, int fd, void *addr, size_t len, int prot, int flags, off_t off)
{
	if (nmd_desc_bound(d, fd) != 0 || off < 0 || len == 0 || (uint64_t)off > d->region->size ||
	    len > d->region->size - (uint64_t)off) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	return nmd_map(addr, len, prot, flags, atomic_load(&d->region->fd), off);
}

EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	/* Allocators map memory before anybody's constructor has run. */
	if (__builtin_expect(!__atomic_load_n(&nmd_libc_ready, __ATOMIC_ACQUIRE), 0))
		return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, off);
	if (flags & MAP_ANONYMOUS || fd < 0)
		return nmd_libc.mmap(addr, len, prot, flags, fd, off);
	struct nmd_desc *d = nmd_desc_get(fd);
	void *m = MAP_FAILED;
	if (!d) {
		m = nmd_libc.mmap(addr, len, prot, flags, fd, off);
		if (m != MAP_FAILED || errno != ENODEV || !(d = nmd_desc_recognise(fd)))
			return m;
	}
	m = map_region(d, fd, addr, len, prot, flags, off);
	nmd_desc_put(d);
	return m;
}

EXPORT void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t off)
{
	return mmap(addr, len, prot, flags, fd, off);
}

/* --- close --- */

/* close_param closes what may be a module parameter; that is when the value takes effect. */
static int close_param(int fd)
{
	int err = nmd_borrowed() || fd < 0 ? 0 : nmd_param_closing((unsigned)fd, (unsigned)fd);
	int r = REAL(close)(fd);

	return r == 0 ? result(err) : r;
}

EXPORT int close(int fd)
{
	nmd_entry e = nmd_fd_get(fd);

	if (__builtin_expect(e == 0, 1))
		return nmd_param_any() ? close_param(fd) : REAL(close)(fd);
	if (nmd_fd_kind(e) == NMD_FD_INTERNAL)
		return fail(EBADF); /* not the program's: to it there is nothing here */
	if (nmd_borrowed())
		return REAL(close)(fd);
	struct nmd_desc *d = nmd_desc_drop(fd);
	nmd_epoll_closed(fd);
	int r = REAL(close)(fd);
	int err = errno;
	nmd_desc_closed(d);
	errno = err;
	return r;
}

/* close_part closes [first, last], in which nothing is internal. */
static int close_part(unsigned first, unsigned last, int flags)
{
	if (first > last)
		return 0;
	if (nmd_param_any() && !nmd_borrowed())
		nmd_param_closing(first, last);
	for (unsigned fd = first; fd <= last && fd < NMD_FD_MAX; fd++) {
		if (!atomic_load(&nmd_fd_chunks[fd / NMD_FD_CHUNK]))
			fd |= NMD_FD_CHUNK - 1;
		else if (nmd_fd_get((int)fd))
			close((int)fd);
	}
	if (REAL(close_range))
		return REAL(close_range)(first, last, flags);
	return (int)syscall(SYS_close_range, first, last, flags);
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	/* Without closing, there is nothing to look after: our own close on exec anyway. */
	if (flags & (int)CLOSE_RANGE_CLOEXEC || first > last)
		return REAL(close_range) ? REAL(close_range)(first, last, flags)
					 : (int)syscall(SYS_close_range, first, last, flags);
	for (;;) {
		int skip = nmd_fd_next_internal(first);
		if (skip < 0 || (unsigned)skip > last)
			return close_part(first, last, flags);
		if ((unsigned)skip > first && close_part(first, (unsigned)skip - 1, flags) < 0)
			return -1;
		if ((unsigned)skip == last)
			return 0;
		first = (unsigned)skip + 1;
	}
}

EXPORT void closefrom(int first)
{
	close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0);
}

/* --- duplicates --- */

/* duplicated: to is a new duplicate of from, made over whatever to was before. */
static int duplicated(int from, int to)
{
	if (nmd_param_any() && to >= 0 && from != to && !nmd_borrowed())
		nmd_param_duplicated(to);
	if (to < 0 || from == to || (nmd_fd_get(from) | nmd_fd_get(to)) == 0 || nmd_borrowed())
		return to;
	int err = errno;
	struct nmd_desc *old = nmd_desc_drop(to);
	nmd_epoll_closed(to);
	nmd_desc_dup(from, to);
	nmd_epoll_dup(from, to);
	nmd_desc_closed(old);
	errno = err;
	return to;
}

/* hidden: descriptors of our own do not exist for the program. */
static bool hidden(int fd) { return nmd_fd_kind(nmd_fd_get(fd)) == NMD_FD_INTERNAL; }

EXPORT int dup(int fd)
{
	return hidden(fd) ? fail(EBADF) : duplicated(fd, REAL(dup)(fd));
}

/* make_way for a dup2 to a number that one of our own descriptors has. */
static int make_way(int fd)
{
	return hidden(fd) && !nmd_borrowed() ? nmd_internal_move(fd) : 0;
}

EXPORT int dup2(int fd, int to)
{
	if (hidden(fd))
		return fail(EBADF);
	return make_way(to) < 0 ? -1 : duplicated(fd, REAL(dup2)(fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
	if (hidden(fd))
		return fail(EBADF);
	return make_way(to) < 0 ? -1 : duplicated(fd, REAL(dup3)(fd, to, flags));
}

/* Whatever follows cmd has the size of a register or less. */
#define FCNTL(name)                                                       \
	EXPORT int name(int fd, int cmd, ...)                             \
	{                                                                 \
		va_list ap;                                               \
		va_start(ap, cmd);                                        \
		void *arg = va_arg(ap, void *);                           \
		va_end(ap);                                               \
		int r = REAL(fcntl)(fd, cmd, arg);                        \
		if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)             \
			return duplicated(fd, r);                         \
		return r;                                                 \
	}

FCNTL(fcntl)
FCNTL(fcntl64)

/* --- descriptors from other processes --- */

/* received looks at what came with a message. */
static void received(struct msghdr *m)
{
	if (m->msg_controllen == 0)
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			struct nmd_desc *d = nmd_desc_recognise(fresh(fd));
			if (d)
				nmd_desc_put(d);
		}
	}
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = REAL(recvmsg)(fd, m, flags);

	if (n >= 0)
		received(m);
	return n;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *v, unsigned n, int flags, struct timespec *timeout)
{
	int got = REAL(recvmmsg)(fd, v, n, flags, timeout);

	for (int i = 0; i < got; i++)
		received(&v[i].msg_hdr);
	return got;
}
