/*
 * fdtab.h: what this process's file descriptors mean to us. Looking one up takes
 * two loads and no lock, so that a program which never opens /dev/netmap pays a
 * load of a null pointer.
 */
#ifndef NMD_FDTAB_H
#define NMD_FDTAB_H

#include <stdatomic.h>
#include <stdint.h>

enum { NMD_FD_CHUNK = 1024, NMD_FD_CHUNKS = 1024, NMD_FD_MAX = NMD_FD_CHUNK * NMD_FD_CHUNKS };

/* An entry is a pointer with its kind in the low bits; 0 for descriptors that are not ours. */
typedef uintptr_t nmd_entry;

enum nmd_kind {
	NMD_FD_NONE = 0,
	NMD_FD_DESC = 1,     /* struct nmd_desc: a netmap descriptor */
	NMD_FD_EPOLL = 2,    /* struct nmd_epset: an epoll with netmap descriptors in it */
	NMD_FD_INTERNAL = 3, /* _Atomic int: a descriptor of our own, and where its number is kept */
};

extern _Atomic(_Atomic nmd_entry *) nmd_fd_chunks[NMD_FD_CHUNKS];

static inline nmd_entry nmd_fd_get(int fd)
{
	if ((unsigned)fd >= NMD_FD_MAX)
		return 0;
	_Atomic nmd_entry *c = atomic_load_explicit(&nmd_fd_chunks[fd / NMD_FD_CHUNK], memory_order_acquire);
	return c ? atomic_load_explicit(&c[fd % NMD_FD_CHUNK], memory_order_acquire) : 0;
}

static inline enum nmd_kind nmd_fd_kind(nmd_entry e) { return e & 3; }
static inline void *nmd_fd_ptr(nmd_entry e) { return (void *)(e & ~(uintptr_t)3); }
static inline nmd_entry nmd_fd_entry(enum nmd_kind k, void *p) { return (uintptr_t)p | k; }

/* nmd_fd_swap sets an entry and returns the old one. Setting can fail for want of memory:
 * the descriptor is then found again by its peer address, which takes longer. */
nmd_entry nmd_fd_swap(int fd, nmd_entry e);

/*
 * Descriptors of our own lie where programs do not look, close on exec, and are
 * not closed by a program that closes everything. *at holds the number.
 */
void nmd_internal(int fd, _Atomic int *at);   /* takes over fd, moving it up */
void nmd_internal_close(_Atomic int *at);     /* closes it, if there is one */
int nmd_internal_move(int fd);		      /* out of the way of a dup2 to fd; 0, or -1 with errno */
void nmd_internal_forget(void);		      /* in a child: close them all, *at becomes -1 */

/* nmd_fd_next_internal is the first descriptor >= from that is our own, -1 if there is none. */
int nmd_fd_next_internal(unsigned from);

#endif
