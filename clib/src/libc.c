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

void nmd_libc_init(void)
{
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
	__atomic_store_n(&nmd_libc_ready, true, __ATOMIC_RELEASE);
}
