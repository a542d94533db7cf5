/*
 * libc.h: the C library's own functions, below the wrappers of the same names.
 * Everything in here that needs one of them calls it as REAL(name).
 */
#ifndef NMD_LIBC_H
#define NMD_LIBC_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

struct nmd_libc {
	int (*open)(const char *, int, ...);
	int (*open64)(const char *, int, ...);
	int (*openat)(int, const char *, int, ...);
	int (*openat64)(int, const char *, int, ...);
	void (*_exit)(int);
	int (*access)(const char *, int);
	FILE *(*fopen)(const char *, const char *);
	FILE *(*fopen64)(const char *, const char *);
	int (*fclose)(FILE *);
	int (*ioctl)(int, unsigned long, ...);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	int (*close)(int);
	int (*close_range)(unsigned, unsigned, int);
	int (*dup)(int);
	int (*dup2)(int, int);
	int (*dup3)(int, int, int);
	int (*fcntl)(int, int, ...);
	int (*poll)(struct pollfd *, nfds_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
	int (*select)(int, fd_set *, fd_set *, fd_set *, struct timeval *);
	int (*pselect)(int, fd_set *, fd_set *, fd_set *, const struct timespec *, const sigset_t *);
	int (*epoll_ctl)(int, int, int, struct epoll_event *);
	int (*epoll_wait)(int, struct epoll_event *, int, int);
	int (*epoll_pwait)(int, struct epoll_event *, int, int, const sigset_t *);
	int (*epoll_pwait2)(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	int (*recvmmsg)(int, struct mmsghdr *, unsigned, int, struct timespec *);
};

extern struct nmd_libc nmd_libc;
extern bool nmd_libc_ready;

/* nmd_libc_init finds the functions; twice does no harm. */
void nmd_libc_init(void);

/* nmd_libc_static, in the static library only, stands in for what was not found: in a program
 * that is linked statically, nothing is. */
void nmd_libc_static(void) __attribute__((weak));

static inline const struct nmd_libc *nmd_libc_get(void)
{
	if (__builtin_expect(!__atomic_load_n(&nmd_libc_ready, __ATOMIC_ACQUIRE), 0))
		nmd_libc_init(); /* called before our constructor, by another's */
	return &nmd_libc;
}

#define REAL(f) (nmd_libc_get()->f)

#define EXPORT __attribute__((visibility("default")))

#endif
