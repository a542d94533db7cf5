#include "fdtab.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libc.h"

_Atomic(_Atomic nmd_entry *) nmd_fd_chunks[NMD_FD_CHUNKS];

/* chunk returns the part of the table with fd in it, made if there is none. */
static _Atomic nmd_entry *chunk(int fd)
{
	_Atomic(_Atomic nmd_entry *) *at = &nmd_fd_chunks[fd / NMD_FD_CHUNK];
	_Atomic nmd_entry *c = atomic_load(at);
	if (c)
		return c;
	size_t size = NMD_FD_CHUNK * sizeof *c;
	void *m = REAL(mmap)(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(at, &c, (_Atomic nmd_entry *)m))
		return m;
	munmap(m, size);
	return c; /* another thread was faster */
}

nmd_entry nmd_fd_swap(int fd, nmd_entry e)
{
	if ((unsigned)fd >= NMD_FD_MAX || (e == 0 && nmd_fd_get(fd) == 0))
		return 0;
	_Atomic nmd_entry *c = chunk(fd);
	return c ? atomic_exchange(&c[fd % NMD_FD_CHUNK], e) : 0;
}

/*
 * base is where our own descriptors begin: in the upper part of what the process
 * may have, but not so far up that the kernel's table becomes large.
 */
static int base(void)
{
	enum { FAR = 4096 };
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur > FAR)
		return FAR / 4 * 3;
	return (int)l.rlim_cur / 4 * 3;
}

void nmd_internal(int fd, _Atomic int *at)
{
	if (fd >= 0) {
		int high = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, base());
		if (high >= 0) {
			REAL(close)(fd);
			fd = high;
		}
		nmd_fd_swap(fd, nmd_fd_entry(NMD_FD_INTERNAL, (void *)at));
	}
	atomic_store(at, fd);
}

void nmd_internal_close(_Atomic int *at)
{
	int fd = atomic_exchange(at, -1);

	if (fd < 0)
		return;
	nmd_fd_swap(fd, 0);
	REAL(close)(fd);
}

int nmd_internal_move(int fd)
{
	nmd_entry e = nmd_fd_get(fd);
	if (nmd_fd_kind(e) != NMD_FD_INTERNAL)
		return 0;
	_Atomic int *at = nmd_fd_ptr(e);
	int to = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, base());
	if (to < 0)
		return -1;
	nmd_fd_swap(to, e);
	atomic_store(at, to);
	nmd_fd_swap(fd, 0);
	REAL(close)(fd);
	return 0;
}

int nmd_fd_next_internal(unsigned from)
{
	for (unsigned fd = from; fd < NMD_FD_MAX; fd++) {
		if (!atomic_load(&nmd_fd_chunks[fd / NMD_FD_CHUNK]))
			fd |= NMD_FD_CHUNK - 1;
		else if (nmd_fd_kind(nmd_fd_get((int)fd)) == NMD_FD_INTERNAL)
			return (int)fd;
	}
	return -1;
}

void nmd_internal_forget(void)
{
	for (int fd = nmd_fd_next_internal(0); fd >= 0; fd = nmd_fd_next_internal((unsigned)fd + 1))
		nmd_internal_close(nmd_fd_ptr(nmd_fd_get(fd)));
}
