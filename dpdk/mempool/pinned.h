// Mbufs pinned to the buffers of a region.
#ifndef NETMAPD_MEMPOOL_PINNED_H
#define NETMAPD_MEMPOOL_PINNED_H

#include <stdint.h>

#include <rte_mbuf.h>

struct netmapd_pinned {
	struct rte_mempool *pool; // what devices receive into
	struct rte_mbuf **mbuf;   // by number of buffer
	char *base;               // of buffer 0
	uint32_t count, size;     // buffers, and bytes of one
	uint32_t shift;           // size is 1 << shift, or 0
};

// Takes all mbufs out of the pool and notes them by number.
int netmapd_pinned_init(struct netmapd_pinned *p, struct rte_mempool *pool, void *base, uint32_t count, uint32_t size);
void netmapd_pinned_fini(struct netmapd_pinned *p);

// Hands buffers to the pool. Takes some out, and returns how many there were.
void netmapd_pinned_put(struct netmapd_pinned *p, const uint32_t *idx, uint32_t n);
void netmapd_pinned_flush(struct netmapd_pinned *p);
uint32_t netmapd_pinned_take(struct netmapd_pinned *p, uint32_t *idx, uint32_t n);

static inline uint32_t netmapd_pinned_index(const struct netmapd_pinned *p, const void *data)
{
	uint64_t off = (uint64_t)((const char *)data - p->base);

	return p->shift != 0 ? (uint32_t)(off >> p->shift) : (uint32_t)(off / p->size);
}

#endif
