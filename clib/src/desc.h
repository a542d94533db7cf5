/*
 * desc.h: netmap descriptors. What open("/dev/netmap") returns is a socket; a
 * struct nmd_desc is what this process knows of it. All descriptors that dup,
 * fork or SCM_RIGHTS made of one socket share one (NC B.11).
 */
#ifndef NMD_DESC_H
#define NMD_DESC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "attach.h"
#include "fdtab.h"
#include "sync.h"

/* The memory of one allocator, mapped once however many ports of it are open. */
struct nmd_region {
	struct nmd_region *next;
	dev_t dev; /* what identifies it: nobody can forge an inode */
	ino_t ino;
	void *base;
	size_t size;
	_Atomic int fd;
	int refs; /* under nmd_lock */
};

struct nmd_desc {
	/* Descriptors in the table and calls under way. 0: on the free list, where it
	 * stays memory of this type, so that a late look at it does no harm. */
	_Atomic int refs;
	atomic_bool bound; /* what follows up to the rings is set, for good */
	atomic_bool dead;  /* the daemon, or the port's end of it, is gone */
	bool no_tx_poll;
	atomic_bool csb; /* in CSB mode: no syncs, no polls (csb.h) */
	struct nmd_csb_atok *atok; /* as this process named them, or NULL */
	struct nmd_csb_ktoa *ktoa;
	_Atomic int wake;	/* an epoll, readable when an armed ring changed or the daemon is gone */
	_Atomic int hangup;	/* what says the latter, in there */
	_Atomic int pipe_sleep; /* by which the other end of a pipe says the former, in there, too */
	_Atomic int pipe_wake;	/* wakes the other end of a pipe */
	_Atomic uint32_t spin;	/* how long a poll looks before it sleeps (spin.h), in nanoseconds */
	_Atomic int waiters;
	_Atomic bool woken; /* an event was seen and is still there: taken before the next sleep (poll.c) */
	_Atomic bool shared; /* a child may have a copy, or somebody it came from */
	_Atomic time_t checked; /* when the daemon was last seen alive */
	uint32_t ntx, nrx;
	struct nmd_ring *tx, *rx; /* bound ones */
	struct nmd_session *session;
	struct nmd_region *region;
	void *syncs;
	size_t syncs_size;
	struct nmd_bind bind;

	pthread_mutex_t binding; /* one at a time registers or joins */
	dev_t dev;		 /* of the socket, which identifies it */
	ino_t ino;
	char path[NMD_PATH_MAX]; /* of the daemon */
	struct nmd_desc *next;	 /* all of them, or the free ones; under nmd_lock */
};

/* nmd_descs counts those in the table: 0 lets whole families of calls pass untouched. */
extern _Atomic int nmd_descs;

/* nmd_desc_get returns what fd stands for, NULL if it is no netmap descriptor; no lock. */
struct nmd_desc *nmd_desc_get(int fd);
void nmd_desc_put(struct nmd_desc *d);

/* nmd_desc_new enters a connection into the table, nmd_desc_recognise does so for a
 * descriptor of unknown origin if it is one. Both return NULL without success. */
struct nmd_desc *nmd_desc_new(int fd, const char *path);
struct nmd_desc *nmd_desc_recognise(int fd);

/* nmd_desc_is: does fd still lead to the socket that the table says? */
bool nmd_desc_is(const struct nmd_desc *d, int fd);

/* nmd_desc_dup: to is a duplicate of from. */
void nmd_desc_dup(int from, int to);

/* nmd_desc_drop takes fd out of the table before it is closed; the result is given to
 * nmd_desc_closed after. */
struct nmd_desc *nmd_desc_drop(int fd);
void nmd_desc_closed(struct nmd_desc *d);

/* nmd_desc_session is the session to make requests on d in: 0 or an errno. */
int nmd_desc_session(struct nmd_desc *d);

/*
 * nmd_desc_adopt makes d a bound descriptor with what came in an answer: 0 or an errno.
 * last, if not NULL, may refuse while nobody else knows d as bound.
 */
int nmd_desc_adopt(struct nmd_desc *d, const struct nmd_bind *b, struct nmd_answer *a,
		   int (*last)(struct nmd_desc *, void *), void *arg);

/* nmd_desc_undo tells the daemon that a registration could not be used. */
void nmd_desc_undo(struct nmd_desc *d, int fd);

/* nmd_desc_bound: 0 when d is bound, by whatever process; else ENXIO, or EIO when the
 * daemon is gone. */
int nmd_desc_bound(struct nmd_desc *d, int fd);

static inline bool nmd_desc_gone(struct nmd_desc *d)
{
	return atomic_load_explicit(&d->dead, memory_order_relaxed) ||
	       atomic_load_explicit(&d->session->dead, memory_order_relaxed);
}

/* nmd_desc_check looks once a second whether the daemon is there: nobody would notice
 * otherwise who only ever looks at rings. */
void nmd_desc_check(struct nmd_desc *d);

/* nmd_desc_drain takes the wake events there are, and notices the daemon's end. */
void nmd_desc_drain(struct nmd_desc *d);

void nmd_desc_forked(void);

/* nmd_desc_lent is called in the parent after a fork, under nmd_lock. */
void nmd_desc_lent(void);

#endif
