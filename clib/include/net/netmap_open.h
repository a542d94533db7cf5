/*
 * net/netmap_open.h: nm_open and its family, inline. Programs include
 * net/netmap_user.h with NETMAP_WITH_LIBS defined, which includes this.
 *
 * New programs better use libnetmap.h, which knows more names and more than one host
 * ring.
 */
#ifndef NETMAPD_NET_NETMAP_OPEN_H
#define NETMAPD_NET_NETMAP_OPEN_H

#ifndef HAVE_NETMAP_WITH_LIBS
#define HAVE_NETMAP_WITH_LIBS
#endif

#include <net/netmap_user.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define NM_ERRBUF_SIZE 512

struct nm_desc;

/* A packet, as nm_nextpkt and nm_dispatch hand it out. */
struct nm_pkthdr {
	struct timeval ts;
	uint32_t caplen; /* bytes at buf */
	uint32_t len;    /* bytes of the packet; more than caplen if the rest lies elsewhere */
	uint64_t flags;  /* NM_MORE_PKTS */
	struct nm_desc *d;
	struct netmap_slot *slot; /* its first one */
	uint8_t *buf;
};

#define NM_MORE_PKTS 1 /* nm_dispatch has another packet after this */

struct nm_stat {
	u_int ps_recv;
	u_int ps_drop;
	u_int ps_ifdrop;
};

/* The layout is compiled into programs (NC C.7). */
struct nm_desc {
	struct nm_desc *self; /* itself: marks a valid one */
	int fd;
	void *mem; /* the mapping of the region */
	size_t memsize;
	int done_mmap; /* it is ours, not the parent's */
	struct netmap_if *nifp;
	uint16_t first_tx_ring, last_tx_ring, cur_tx_ring;
	uint16_t first_rx_ring, last_rx_ring, cur_rx_ring;
	struct nmreq req; /* as the core answered it */
	struct nm_pkthdr hdr;

	struct netmap_ring *some_ring; /* to make addresses of buffers with */
	void *buf_start, *buf_end;

	/* For pcap's use. */
	int snaplen;
	int promisc;
	int to_ms;
	char *errbuf;
	uint32_t if_flags;
	uint32_t if_reqcap;
	uint32_t if_curcap;

	struct nm_stat st;
	char msg[NM_ERRBUF_SIZE];
};

#define P2NMD(p) ((const struct nm_desc *)(p))
#define IS_NETMAP_DESC(d) ((d) && P2NMD(d)->self == P2NMD(d))
#define NETMAP_FD(d) (P2NMD(d)->fd)

typedef void (*nm_cb_t)(u_char *arg, const struct nm_pkthdr *hdr, const u_char *buf);

/* What nm_open takes from the parent, and what it leaves out. In the low bits of the same
 * word NETMAP_NO_TX_POLL and NETMAP_DO_RX_POLL may stand. */
enum {
	NM_OPEN_NO_MMAP = 0x040000,  /* map nothing; with a parent of the same region, take its mapping */
	NM_OPEN_IFNAME = 0x080000,   /* nr_name, nr_ringid, nr_flags: the name is not parsed */
	NM_OPEN_ARG1 = 0x100000,     /* nr_arg1 */
	NM_OPEN_ARG2 = 0x200000,     /* nr_arg2: its region */
	NM_OPEN_ARG3 = 0x400000,     /* nr_arg3: as many extra buffers */
	NM_OPEN_RING_CFG = 0x800000, /* numbers of rings and slots */
};

/* nm_parse: names (NC C.4). */
#include <net/netmap_parse.h>

/* --- open and close --- */

static int nm_close(struct nm_desc *);
static int nm_mmap(struct nm_desc *, const struct nm_desc *);

/* nm_inherit_ takes from the parent what the flags say. */
static inline void nm_inherit_(struct nmreq *req, const struct nmreq *from, uint64_t flags)
{
	if (flags & NM_OPEN_IFNAME) {
		memcpy(req->nr_name, from->nr_name, sizeof req->nr_name);
		req->nr_ringid = from->nr_ringid;
		req->nr_flags = from->nr_flags;
	}
	if (flags & NM_OPEN_ARG1)
		req->nr_arg1 = from->nr_arg1;
	if (flags & NM_OPEN_ARG2)
		req->nr_arg2 = from->nr_arg2;
	if (flags)
		req->nr_arg3 = flags & NM_OPEN_ARG3 ? from->nr_arg3 : 0;
	if (flags & NM_OPEN_RING_CFG) {
		req->nr_tx_slots = from->nr_tx_slots;
		req->nr_rx_slots = from->nr_rx_slots;
		req->nr_tx_rings = from->nr_tx_rings;
		req->nr_rx_rings = from->nr_rx_rings;
	}
}

/* nm_find_rings_ works out the bound rings from the answer (NC C.4): this interface knows one host ring. */
static inline void nm_find_rings_(struct nm_desc *d)
{
	const struct nmreq *r = &d->req;
	uint16_t one = r->nr_ringid & NETMAP_RING_MASK;

	switch (r->nr_flags & NR_REG_MASK) {
	case NR_REG_SW:
		d->first_tx_ring = d->last_tx_ring = r->nr_tx_rings;
		d->first_rx_ring = d->last_rx_ring = r->nr_rx_rings;
		break;
	case NR_REG_NIC_SW:
		d->first_tx_ring = d->first_rx_ring = 0;
		d->last_tx_ring = r->nr_tx_rings;
		d->last_rx_ring = r->nr_rx_rings;
		break;
	case NR_REG_ONE_NIC:
		d->first_tx_ring = d->last_tx_ring = d->first_rx_ring = d->last_rx_ring = one;
		break;
	case NR_REG_PIPE_MASTER:
	case NR_REG_PIPE_SLAVE:
		d->first_tx_ring = d->last_tx_ring = d->first_rx_ring = d->last_rx_ring = 0;
		break;
	default:
		d->first_tx_ring = d->first_rx_ring = 0;
		d->last_tx_ring = (uint16_t)(r->nr_tx_rings - 1);
		d->last_rx_ring = (uint16_t)(r->nr_rx_rings - 1);
	}
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
}

/* nm_fill_req_ makes the request of what nm_open was given. */
static inline int nm_fill_req_(struct nm_desc *d, const char *ifname, const struct nmreq *req, uint64_t flags,
			       const struct nm_desc *parent)
{
	if (req)
		d->req = *req;
	/* A parent's name stands instead of the one given, which then only has to be netmap's. */
	if (!(parent && flags & NM_OPEN_IFNAME)) {
		uint16_t given = d->req.nr_arg2;
		if (nm_parse(ifname, d, d->msg) < 0)
			return -1;
		if (d->req.nr_arg2 == 0)
			d->req.nr_arg2 = given;
	}
	d->req.nr_version = NETMAP_API;
	d->req.nr_ringid &= NETMAP_RING_MASK;
	if (parent)
		nm_inherit_(&d->req, &parent->req, flags);
	d->req.nr_ringid |= flags & (NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);
	return 0;
}

/*
 * nm_open opens a port. req, if not null, says what the name does not (rings, slots,
 * extra buffers); flags are NM_OPEN_*; parent is another descriptor, whose mapping
 * is used too if both are in one region. A null pointer with errno 0 says that
 * ifname does not look like a port of netmap.
 */
static inline struct nm_desc *nm_open(const char *ifname, const struct nmreq *req, uint64_t flags,
				      const struct nm_desc *parent)
{
	struct nm_desc *d;
	int err;

	if (strncmp(ifname, "netmap:", 7) != 0 && strncmp(ifname, NM_BDG_NAME, sizeof NM_BDG_NAME - 1) != 0) {
		errno = 0;
		return NULL;
	}
	d = (struct nm_desc *)calloc(1, sizeof *d);
	if (!d) {
		errno = ENOMEM;
		return NULL;
	}
	d->self = d;
	d->fd = -1;
	if (nm_fill_req_(d, ifname, req, flags, parent) < 0) {
		/* msg is set */
	} else if ((d->fd = open(NETMAP_DEVICE_NAME, O_RDWR)) < 0) {
		snprintf(d->msg, sizeof d->msg, "cannot open " NETMAP_DEVICE_NAME ": %s; is netmapd running?", strerror(errno));
	} else if (ioctl(d->fd, NIOCREGIF, &d->req) < 0) {
		snprintf(d->msg, sizeof d->msg, "netmap refuses %s: %s", ifname, strerror(errno));
	} else {
		nm_find_rings_(d);
		if (((flags & NM_OPEN_NO_MMAP) && !parent) || nm_mmap(d, parent) == 0)
			return d;
		snprintf(d->msg, sizeof d->msg, "cannot map the memory of %s: %s", ifname, strerror(errno));
	}
	err = errno;
	fprintf(stderr, "nm_open: %s\n", d->msg);
	nm_close(d);
	errno = err ? err : EINVAL;
	return NULL;
}

/* nm_close closes d and frees it: 0, or EINVAL if it is no descriptor. */
static inline int nm_close(struct nm_desc *d)
{
	if (!d || d->self != d)
		return EINVAL;
	if (d->done_mmap && d->mem)
		munmap(d->mem, d->memsize);
	if (d->fd >= 0)
		close(d->fd);
	memset(d, 0, sizeof *d); /* so that a second close is noticed */
	free(d);
	return 0;
}

/* nm_mmap maps the region of d, or takes the parent's mapping if that is of the same: 0, or -1 with errno. */
static inline int nm_mmap(struct nm_desc *d, const struct nm_desc *parent)
{
	struct netmap_ring *ring;
	void *mem;

	if (d->done_mmap)
		return 0;
	if (IS_NETMAP_DESC(parent) && parent->mem && parent->req.nr_arg2 == d->req.nr_arg2) {
		d->memsize = parent->memsize;
		d->mem = parent->mem;
	} else {
		mem = mmap(NULL, d->req.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
		if (mem == MAP_FAILED)
			return -1;
		d->mem = mem;
		d->memsize = d->req.nr_memsize;
		d->done_mmap = 1;
	}
	d->nifp = NETMAP_IF(d->mem, d->req.nr_offset);
	ring = NETMAP_RXRING(d->nifp, d->first_rx_ring);
	if ((void *)ring == (void *)d->nifp) /* bound for TX only */
		ring = NETMAP_TXRING(d->nifp, d->first_tx_ring);
	d->some_ring = ring;
	d->buf_start = NETMAP_BUF(ring, 0);
	d->buf_end = (char *)d->mem + d->memsize;
	return 0;
}

/* --- packets --- */

/*
 * nm_inject copies a packet into the next TX ring with room, over several slots if it
 * is larger than a buffer. It returns the size, or 0 if there was no room. The next
 * sync sends it.
 */
static inline int nm_inject(struct nm_desc *d, const void *buf, size_t size)
{
	const char *from = (const char *)buf;
	uint32_t tried, rings = d->last_tx_ring - d->first_tx_ring + 1U, r = d->cur_tx_ring;

	for (tried = 0; tried < rings; tried++, r++) {
		struct netmap_ring *ring;
		struct netmap_slot *slot;
		uint32_t i, need;
		size_t left, n;

		if (r > d->last_tx_ring)
			r = d->first_tx_ring;
		ring = NETMAP_TXRING(d->nifp, r);
		need = size ? (uint32_t)((size + ring->nr_buf_size - 1) / ring->nr_buf_size) : 1;
		if (nm_ring_space(ring) < need)
			continue;
		i = ring->head;
		for (left = size;; left -= n, from += n) {
			slot = &ring->slot[i];
			n = left < ring->nr_buf_size ? left : ring->nr_buf_size;
			memcpy(NETMAP_BUF(ring, slot->buf_idx), from, n);
			slot->len = (uint16_t)n;
			slot->flags = n < left ? NS_MOREFRAG : 0;
			i = nm_ring_next(ring, i);
			if (n == left)
				break;
		}
		ring->head = ring->cur = i;
		d->cur_tx_ring = (uint16_t)r;
		return (int)size;
	}
	return 0;
}

/* nm_slot_ describes the first slot of a ring as a packet. */
static inline void nm_slot_(struct nm_desc *d, struct netmap_ring *ring, struct nm_pkthdr *h)
{
	h->ts = ring->ts;
	h->flags = 0;
	h->d = d;
	h->slot = &ring->slot[ring->head];
	h->buf = (uint8_t *)NETMAP_BUF_OFFSET(ring, h->slot);
	h->len = h->caplen = h->slot->len;
}

/* nm_packet_ describes the packet at the head of a ring and returns the slot after it. It goes on in the
 * next slot as long as it says so and the program owns that; caplen covers what lies in one piece. */
static inline uint32_t nm_packet_(struct nm_desc *d, struct netmap_ring *ring, struct nm_pkthdr *h)
{
	struct netmap_slot *slot = &ring->slot[ring->head];
	uint32_t i = nm_ring_next(ring, ring->head);

	nm_slot_(d, ring, h);
	while ((slot->flags & NS_MOREFRAG) && i != ring->tail) {
		slot = &ring->slot[i];
		if (h->caplen == h->len && (uint8_t *)NETMAP_BUF_OFFSET(ring, slot) == h->buf + h->caplen)
			h->caplen += slot->len;
		h->len += slot->len;
		i = nm_ring_next(ring, i);
	}
	return i;
}

/* nm_next_ring_ is the next RX ring with packets, from the one looked at last and other than
 * done; null if none has any. */
static inline struct netmap_ring *nm_next_ring_(struct nm_desc *d, const struct netmap_ring *done)
{
	uint32_t tried, rings = d->last_rx_ring - d->first_rx_ring + 1U;

	for (tried = 0; tried < rings; tried++) {
		struct netmap_ring *ring = NETMAP_RXRING(d->nifp, d->cur_rx_ring);
		if (ring != done && !nm_ring_empty(ring))
			return ring;
		d->cur_rx_ring = d->cur_rx_ring >= d->last_rx_ring ? d->first_rx_ring : (uint16_t)(d->cur_rx_ring + 1);
	}
	return NULL;
}

/*
 * nm_dispatch calls cb for the packets there are, at most cnt (0 or less: all of
 * them), and returns their number. A packet is the program's until cb returns. Of a
 * packet of several slots only the first caplen bytes are at buf; hdr->slot leads to
 * the others. It does not wait and does not sync.
 */
static inline int nm_dispatch(struct nm_desc *d, int cnt, nm_cb_t cb, u_char *arg)
{
	struct netmap_ring *ring = nm_next_ring_(d, NULL), *next;
	int got = 0;

	while (ring && (cnt <= 0 || got < cnt)) {
		uint32_t after = nm_packet_(d, ring, &d->hdr);
		got++;
		next = after != ring->tail ? ring : nm_next_ring_(d, ring);
		if (next && (cnt <= 0 || got < cnt))
			d->hdr.flags = NM_MORE_PKTS;
		cb(arg, &d->hdr, d->hdr.buf);
		ring->head = ring->cur = after;
		ring = next;
	}
	return got;
}

/* nm_nextpkt returns the next slot with a packet or a part of one (hdr->slot->flags tell), null if there is
 * none. It is the program's until the next sync. */
static inline u_char *nm_nextpkt(struct nm_desc *d, struct nm_pkthdr *hdr)
{
	struct netmap_ring *ring = nm_next_ring_(d, NULL);

	if (!ring)
		return NULL;
	nm_slot_(d, ring, hdr);
	ring->head = ring->cur = nm_ring_next(ring, ring->head);
	return hdr->buf;
}

#endif /* NETMAPD_NET_NETMAP_OPEN_H */
