#include "libc.h"

#include <dlfcn.h>
#include <string.h>

struct nmd_libc nmd_libc;
bool nmd_libc_ready;

/* find stores what the next library calls name; dlsym returns an object pointer, hence the copy. */
static void find(void *where, const char *name)
{
	void *sym = dlsym(RTLD_NEXT, name);

	memcpy(where, &sym, sizeof sym);
}

/*
 * netmapd_libc_1 is exported for another copy of this library in the same process, as
 * when a program linked with libnetmap runs under the interposer. The copy that the
 * program's calls reach does all the work; below it come the C library's functions, not
 * those of the next copy. The number changes when struct nmd_libc does.
 */
EXPORT const struct nmd_libc *netmapd_libc_1(void);
EXPORT const struct nmd_libc *netmapd_libc_1(void) { return nmd_libc_get(); }

/* next_copy takes what a copy of us further down the search order has found. */
static bool next_copy(void)
{
	const struct nmd_libc *(*next)(void);

	find(&next, "netmapd_libc_1");
	if (next)
		nmd_libc = *next();
	return next != NULL;
}

void nmd_libc_init(void)
{
	if (next_copy())
		goto ready;
#define FIND(f) find(&nmd_libc.f, #f)
	FIND(open);
	FIND(open64);
	FIND(openat);
	FIND(openat64);
	FIND(_exit);
	FIND(access);
	FIND(fopen);
	FIND(fopen64);
	FIND(fclose);
	FIND(ioctl);
	FIND(mmap);
	FIND(close);
	FIND(close_range);
	FIND(dup);
	FIND(dup2);
	FIND(dup3);
	FIND(fcntl);
	FIND(poll);
	FIND(ppoll);
	FIND(select);
	FIND(pselect);
	FIND(epoll_ctl);
	FIND(epoll_wait);
	FIND(epoll_pwait);
	FIND(epoll_pwait2);
	FIND(recvmsg);
	FIND(recvmmsg);
#undef FIND
	if (nmd_libc_static)
		nmd_libc_static();
ready:
	__atomic_store_n(&nmd_libc_ready, true, __ATOMIC_RELEASE);
}
