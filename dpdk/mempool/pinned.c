#include <errno.h>
#include <stdlib.h>

#include "pinned.h"

enum { BATCH = 256 };

static void note_one(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	struct netmapd_pinned *p = opaque;

	(void)mp;
	if (i < p->count)
		p->mbuf[i] = obj;
}

int netmapd_pinned_init(struct netmapd_pinned *p, struct rte_mempool *pool, void *base, uint32_t count, uint32_t size)
{
	void *out[BATCH];

	p->mbuf = calloc(count, sizeof(*p->mbuf));
	if (p->mbuf == NULL)
		return -ENOMEM;
	p->pool = pool;
	p->base = base;
	p->count = count;
	p->size = size;
	p->shift = (size & (size - 1)) == 0 ? (uint32_t)__builtin_ctz(size) : 0;
	rte_mempool_obj_iter(pool, note_one, p);
	for (uint32_t left = count; left > 0;) {
		uint32_t n = left < BATCH ? left : BATCH;

		if (rte_mempool_generic_get(pool, out, n, NULL) != 0) {
			netmapd_pinned_fini(p);
			return -ENOBUFS;
		}
		left -= n;
	}
	for (uint32_t i = 0; i < count; i++) {
		if (p->mbuf[i] == NULL || netmapd_pinned_index(p, (char *)p->mbuf[i]->buf_addr + RTE_PKTMBUF_HEADROOM) != i) {
			netmapd_pinned_fini(p);
			return -EFAULT; // an mbuf is not where its buffer is
		}
	}
	return 0;
}

void netmapd_pinned_fini(struct netmapd_pinned *p)
{
	free(p->mbuf);
	p->mbuf = NULL;
}

void netmapd_pinned_put(struct netmapd_pinned *p, const uint32_t *idx, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		void *m = p->mbuf[idx[i]];

		rte_mempool_put_bulk(p->pool, &m, 1);
	}
}

void netmapd_pinned_flush(struct netmapd_pinned *p)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(p->pool, rte_lcore_id());

	if (cache != NULL)
		rte_mempool_cache_flush(cache, p->pool);
}

uint32_t netmapd_pinned_take(struct netmapd_pinned *p, uint32_t *idx, uint32_t n)
{
	uint32_t got = 0;
	void *m;

	// Not through the cache of a thread: what is there is found by nobody else.
	while (got < n && rte_mempool_generic_get(p->pool, &m, 1, NULL) == 0)
		idx[got++] = netmapd_pinned_index(p, (char *)((struct rte_mbuf *)m)->buf_addr + RTE_PKTMBUF_HEADROOM);
	return got;
}
