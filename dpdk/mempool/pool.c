#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_memory.h>

#include "pool.h"

// As rte_pktmbuf_pool_create, with one thing of our own: without hugepages DPDK would keep each mbuf within one 4 KiB
// page, and the af_xdp driver, which computes the extent of its memory from the size of an mbuf, would leave out the
// last part of the pool: the kernel then drops its descriptors silently. Saying that mbufs need not be contiguous for
// a device packs them, but leaves them without I/O addresses, so not where a NIC could use the pool.
int netmapd_pool_create(const char *name, unsigned int n, unsigned int cache, uint16_t data_room, int socket,
			struct rte_mempool **pool)
{
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = data_room};
	unsigned int flags = rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	struct rte_mempool *mp;
	int rc;

	mp = rte_mempool_create_empty(name, n, sizeof(struct rte_mbuf) + data_room, cache, sizeof(priv), socket, flags);
	if (mp == NULL)
		return -rte_errno;
	rc = rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL);
	if (rc == 0) {
		rte_pktmbuf_pool_init(mp, &priv);
		rc = rte_mempool_populate_default(mp);
	}
	if (rc < 0) {
		rte_mempool_free(mp);
		return rc;
	}
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	*pool = mp;
	return 0;
}

int netmapd_pool_create_extbuf(const char *name, unsigned int n, unsigned int cache, uint16_t elt, int socket, void *base,
			       size_t len, size_t page_len, struct rte_mempool **pool)
{
	// The memory may begin inside a page.
	size_t skip = page_len != 0 ? (uintptr_t)base % page_len : 0;
	unsigned int pages = page_len != 0 ? (unsigned int)((skip + len + page_len - 1) / page_len) : 1;
	struct rte_pktmbuf_extmem *ext = calloc(pages, sizeof(*ext));
	size_t done = 0;
	int rc = 0;

	if (ext == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < pages; i++) {
		size_t k = page_len != 0 ? page_len - (i == 0 ? skip : 0) : len;

		if (k > len - done)
			k = len - done;
		ext[i].buf_ptr = (char *)base + done;
		(void)*(volatile char *)ext[i].buf_ptr; // a page that nobody touched has no address yet
		ext[i].buf_iova = rte_mem_virt2iova(ext[i].buf_ptr);
		ext[i].buf_len = k;
		ext[i].elt_size = elt;
		done += k;
	}
	*pool = rte_pktmbuf_pool_create_extbuf(name, n, cache, 0, elt, socket, ext, pages);
	if (*pool == NULL)
		rc = -rte_errno;
	free(ext);
	return rc;
}

struct fill {
	const void *frame;
	unsigned int len;
};

static void fill_one(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	const struct fill *f = opaque;
	struct rte_mbuf *m = obj;

	(void)mp;
	(void)i;
	memcpy((char *)m->buf_addr + RTE_PKTMBUF_HEADROOM, f->frame, f->len);
}

void netmapd_pool_fill(struct rte_mempool *pool, const void *frame, unsigned int len)
{
	struct fill f = {.frame = frame, .len = len};

	rte_mempool_obj_iter(pool, fill_one, &f);
}

static void addr_one(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	(void)mp;
	((uintptr_t *)opaque)[i] = (uintptr_t)((struct rte_mbuf *)obj)->buf_addr + RTE_PKTMBUF_HEADROOM;
}

void netmapd_pool_addrs(struct rte_mempool *pool, uintptr_t *addrs)
{
	rte_mempool_obj_iter(pool, addr_one, addrs);
}

static void drop_one(struct rte_mempool *mp, void *opaque, void *obj, unsigned int i)
{
	struct rte_mbuf *m = obj;

	(void)mp;
	(void)opaque;
	(void)i;
	m->buf_addr = (char *)m->buf_addr - RTE_PKTMBUF_HEADROOM;
	m->buf_iova -= RTE_PKTMBUF_HEADROOM;
	m->buf_len += RTE_PKTMBUF_HEADROOM;
}

// Drivers put a frame at buf_addr plus the compiled-in headroom. Moving every buf_addr back by the headroom makes the data
// start at the element itself and leaves the whole element to it, as netmap wants; the driver's headroom then lies in
// the element before, which nobody may write through a prepend.
void netmapd_pool_drop_headroom(struct rte_mempool *pool)
{
	struct rte_pktmbuf_pool_private *priv = rte_mempool_get_priv(pool);

	rte_mempool_obj_iter(pool, drop_one, NULL);
	priv->mbuf_data_room_size += RTE_PKTMBUF_HEADROOM;
}

int netmapd_extmem_register(void *base, size_t len, size_t page)
{
	return rte_extmem_register(base, len, NULL, 0, page) < 0 ? -rte_errno : 0;
}

int netmapd_extmem_unregister(void *base, size_t len)
{
	return rte_extmem_unregister(base, len) < 0 ? -rte_errno : 0;
}
