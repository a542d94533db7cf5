#include "bind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csb.h"
#include "libc.h"
#include "spin.h"

static struct nmd_region *regions; /* under nmd_lock */

/*
 * sealed makes sure that fd is memory of at least size bytes that nobody can take
 * away from under a mapping. 0 or an errno.
 */
static int sealed(int fd, uint64_t size, struct stat *st)
{
	if (fstat(fd, st) < 0)
		return errno;
	int seals = REAL(fcntl)(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || st->st_size < 0 || (uint64_t)st->st_size < size)
		return EIO;
	return 0;
}

/*
 * nmd_map maps shared memory of ours, whose pages come into being when they are touched.
 * In a program that locks what it will map in memory (mlockall), all of them would here
 * and now: a gigabyte for a region. Of what nobody may touch the kernel makes no pages,
 * so it is mapped as that first.
 */
void *nmd_map(void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	bool whole = flags & (MAP_LOCKED | MAP_POPULATE); /* they want it so */
	void *m = REAL(mmap)(addr, len, whole ? prot : PROT_NONE, flags, fd, off);

	if (m == MAP_FAILED || whole)
		return m;
	munlock(m, len); /* what was not locked stays as it is */
	if (mprotect(m, len, prot) == 0)
		return m;
	int err = errno;
	munmap(m, len);
	errno = err;
	return MAP_FAILED;
}

static int map(int fd, size_t size, void **base)
{
	*base = nmd_map(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return *base == MAP_FAILED ? errno : 0;
}

/* open_region maps the region behind fd, or takes the mapping there is. */
static int open_region(int fd, uint64_t size, struct nmd_region **out)
{
	struct stat st;
	int err = sealed(fd, size, &st), own;
	struct nmd_region *r;

	if (err)
		return err;
	pthread_mutex_lock(&nmd_lock);
	for (r = regions; r; r = r->next)
		if (r->dev == st.st_dev && r->ino == st.st_ino)
			break;
	if (r && r->size != size) {
		err = EIO;
	} else if (r) {
		r->refs++;
	} else if (!(r = calloc(1, sizeof *r))) {
		err = ENOMEM;
	} else if ((own = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 0)) < 0 || (err = map(fd, size, &r->base))) {
		err = err ? err : errno;
		if (own >= 0)
			REAL(close)(own);
		free(r);
		r = NULL;
	} else {
		r->dev = st.st_dev;
		r->ino = st.st_ino;
		r->size = size;
		r->refs = 1;
		r->next = regions;
		regions = r;
		nmd_internal(own, &r->fd);
	}
	pthread_mutex_unlock(&nmd_lock);
	*out = r;
	return err;
}

int nmd_region_of(dev_t dev, ino_t ino, uint64_t size)
{
	int fd = -1;

	pthread_mutex_lock(&nmd_lock);
	for (struct nmd_region *r = regions; r; r = r->next)
		if (r->dev == dev && r->ino == ino)
			fd = r->size == size ? REAL(fcntl)(atomic_load(&r->fd), F_DUPFD_CLOEXEC, 0) : -2;
	pthread_mutex_unlock(&nmd_lock);
	return fd;
}

static void put_region(struct nmd_region *r)
{
	pthread_mutex_lock(&nmd_lock);
	bool last = --r->refs == 0;
	for (struct nmd_region **p = &regions; last && *p; p = &(*p)->next) {
		if (*p == r) {
			*p = r->next;
			break;
		}
	}
	pthread_mutex_unlock(&nmd_lock);
	if (last) {
		nmd_internal_close(&r->fd);
		munmap(r->base, r->size);
		free(r);
	}
}

/* sensible checks what can be checked without the memory that b describes. */
static bool sensible(const struct nmd_bind *b)
{
	uint64_t bufs = (uint64_t)b->buf_count * b->buf_size;
	uint32_t tx = (uint32_t)b->tx_rings + b->host_tx_rings, rx = (uint32_t)b->rx_rings + b->host_rx_rings;

	return b->buf_size && b->buf_count >= NMD_MIN_BUF && b->buf_offset <= b->region_size &&
	       bufs <= b->region_size - b->buf_offset && b->first_tx <= b->end_tx && b->end_tx <= tx &&
	       b->first_rx <= b->end_rx && b->end_rx <= rx &&
	       (b->end_tx == b->first_tx || b->tx_slots >= NMD_MIN_SLOTS) &&
	       (b->end_rx == b->first_rx || b->rx_slots >= NMD_MIN_SLOTS) && b->tx_slots <= NMD_MAX_SLOTS &&
	       b->rx_slots <= NMD_MAX_SLOTS && b->if_offset % 8 == 0 &&
	       b->region_size >= sizeof(struct nmd_if) && b->if_offset <= b->region_size - sizeof(struct nmd_if) &&
	       (tx + rx) * sizeof(int64_t) <= b->region_size - b->if_offset - sizeof(struct nmd_if);
}

/* entries is the length of ring_ofs. */
static uint32_t entries(const struct nmd_bind *b)
{
	return (uint32_t)b->tx_rings + b->host_tx_rings + b->rx_rings + b->host_rx_rings;
}

/* first_sync is the index of the sync block of its first entry. */
static uint32_t first_sync(const struct nmd_bind *b)
{
	return b->features & NMD_FEATURE_SECOND_HALF ? entries(b) : 0;
}

/*
 * view finds one bound ring. Where it lies is in shared memory, where it may have
 * been overwritten: it is read once and checked.
 */
static int view(struct nmd_desc *d, struct nmd_ring *r, uint32_t dir, uint32_t index, uint32_t slots)
{
	const struct nmd_bind *b = &d->bind;
	char *base = d->region->base;
	struct nmd_if *nifp = (struct nmd_if *)(base + b->if_offset);
	int64_t rel = atomic_load_explicit(&nifp->ring_ofs[index], memory_order_relaxed);
	uint64_t ofs = b->if_offset + (uint64_t)rel; /* may wrap, and is outside then */
	uint64_t size = sizeof(struct nmd_ring_hdr) + (uint64_t)slots * sizeof(struct nmd_slot);

	if (rel == 0 || ofs % 8 || ofs > b->region_size || size > b->region_size - ofs)
		return EIO;
	*r = (struct nmd_ring){
		.hdr = (struct nmd_ring_hdr *)(base + ofs),
		.user = &((struct nmd_ring_hdr *)(base + ofs))->user,
		.blk = (struct nmd_sync_block *)d->syncs + first_sync(b) + index,
		.slots = slots,
		.dir = dir,
		.session = d->session->id,
		.buf_count = b->buf_count,
		.buf_size = b->buf_size,
		.bufs = base + b->buf_offset,
		.indirect = dir == NMD_DIR_TX && b->features & NMD_FEATURE_INDIRECT,
	};
	return 0;
}

/*
 * view_peer finds the ring at the other end of a pipe, where there is one in this
 * region. What says where it is can be written by that end: it is read once and checked.
 */
static int view_peer(struct nmd_desc *d, struct nmd_ring *r)
{
	uint64_t ofs = atomic_load(&r->blk->peer_ring), end = d->bind.region_size;
	uint32_t block = atomic_load(&r->blk->peer_block);
	uint64_t size = sizeof(struct nmd_ring_hdr) + (uint64_t)r->slots * sizeof(struct nmd_slot);

	if (ofs == 0)
		return 0; /* the daemon always carries this pipe */
	if (ofs % 8 || ofs > end || size > end - ofs || block >= d->syncs_size / sizeof(struct nmd_sync_block))
		return EIO;
	r->peer = (struct nmd_ring_hdr *)((char *)d->region->base + ofs);
	r->peer_blk = (struct nmd_sync_block *)d->syncs + block;
	return 0;
}

/*
 * watch_pipe adds a pipe's eventfd to the wake descriptor. It is
 * shared by all processes of this end, so nobody reads it: each write is an edge that
 * every epoll sees once.
 */
static int watch_pipe(struct nmd_desc *d, struct nmd_answer *a)
{
	struct epoll_event pipe = {.events = EPOLLIN | EPOLLET, .data.u64 = NMD_WAKE_PIPE};

	if (REAL(epoll_ctl)(a->fds[NMD_FD_WAKE], EPOLL_CTL_ADD, a->fds[NMD_FD_PIPE_SLEEP], &pipe) < 0)
		return errno;
	nmd_internal(a->fds[NMD_FD_PIPE_SLEEP], &d->pipe_sleep);
	nmd_internal(a->fds[NMD_FD_PIPE_WAKE], &d->pipe_wake);
	a->fds[NMD_FD_PIPE_SLEEP] = a->fds[NMD_FD_PIPE_WAKE] = -1;
	return 0;
}

static int view_rings(struct nmd_desc *d, bool pipe)
{
	const struct nmd_bind *b = &d->bind;
	uint32_t ntx = b->end_tx - b->first_tx, nrx = b->end_rx - b->first_rx;
	uint32_t rx0 = (uint32_t)b->tx_rings + b->host_tx_rings;
	int err = 0;

	d->tx = calloc(ntx + nrx + 1, sizeof *d->tx);
	if (!d->tx)
		return ENOMEM;
	d->rx = d->tx + ntx;
	d->ntx = ntx;
	d->nrx = nrx;
	for (uint32_t i = 0; i < ntx && !err; i++)
		err = view(d, &d->tx[i], NMD_DIR_TX, b->first_tx + i, b->tx_slots);
	for (uint32_t i = 0; i < nrx && !err; i++)
		err = view(d, &d->rx[i], NMD_DIR_RX, rx0 + b->first_rx + i, b->rx_slots);
	for (uint32_t i = 0; pipe && i < ntx + nrx && !err; i++)
		err = view_peer(d, &d->tx[i]);
	/* The first host RX ring forwards, if all HW TX rings are there (NC D.7). */
	if (!err && b->first_tx == 0 && b->end_tx >= b->tx_rings && b->first_rx <= b->rx_rings &&
	    b->end_rx > b->rx_rings) {
		struct nmd_ring *host = &d->rx[b->rx_rings - b->first_rx];
		host->down = d->tx;
		host->ndown = b->tx_rings;
	}
	return err;
}

int nmd_desc_adopt(struct nmd_desc *d, const struct nmd_bind *b, struct nmd_answer *a,
		   int (*last)(struct nmd_desc *, void *), void *arg)
{
	struct stat st;
	uint64_t rings = (uint64_t)first_sync(b) + entries(b);

	/* Bound is bound: other threads use what a second answer would replace. */
	if (atomic_load(&d->bound) || (a->nfds != NMD_BIND_FDS && a->nfds != NMD_PIPE_FDS) || !sensible(b))
		return EIO;
	d->bind = *b;
	d->no_tx_poll = b->flags & NMD_FLAG_NO_TX_POLL;
	int err = open_region(a->fds[NMD_FD_REGION], b->region_size, &d->region);
	if (!err && !(err = sealed(a->fds[NMD_FD_SYNC], rings * sizeof(struct nmd_sync_block), &st))) {
		d->syncs_size = (size_t)st.st_size;
		if ((err = map(a->fds[NMD_FD_SYNC], d->syncs_size, &d->syncs)))
			d->syncs = NULL;
	}
	bool pipe = a->nfds == NMD_PIPE_FDS;
	if (!err)
		err = view_rings(d, pipe);
	if (!err && pipe)
		err = watch_pipe(d, a);
	if (!err) {
		nmd_internal(a->fds[NMD_FD_WAKE], &d->wake);
		nmd_internal(a->fds[NMD_FD_HANGUP], &d->hangup);
		a->fds[NMD_FD_WAKE] = a->fds[NMD_FD_HANGUP] = -1;
	}
	if (!err) {
		nmd_csb_look(d);
		err = last ? last(d, arg) : 0;
	}
	if (err) {
		nmd_unbind(d);
		return err;
	}
	nmd_spin_begin(d);
	atomic_store_explicit(&d->bound, true, memory_order_release);
	return 0;
}

void nmd_unbind(struct nmd_desc *d)
{
	nmd_internal_close(&d->wake);
	nmd_internal_close(&d->hangup);
	nmd_internal_close(&d->pipe_sleep);
	nmd_internal_close(&d->pipe_wake);
	atomic_store(&d->csb, false);
	d->atok = NULL;
	d->ktoa = NULL;
	free(d->tx);
	d->tx = d->rx = NULL;
	d->ntx = d->nrx = 0;
	if (d->syncs)
		munmap(d->syncs, d->syncs_size);
	d->syncs = NULL;
	if (d->region)
		put_region(d->region);
	d->region = NULL;
}
