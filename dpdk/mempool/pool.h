// Shims for mbuf pools: what DPDK has only as callbacks or as inline functions.
#ifndef NETMAPD_MEMPOOL_POOL_H
#define NETMAPD_MEMPOOL_POOL_H

#include <stdint.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

// These return 0 and the pool, or -errno.
int netmapd_pool_create(const char *name, unsigned int n, unsigned int cache, uint16_t data_room, int socket,
			struct rte_mempool **pool);
// The external memory is len bytes at base. With page_len, each page of that size is told to DPDK by itself; 0 is for
// IOVAs that are virtual addresses.
int netmapd_pool_create_extbuf(const char *name, unsigned int n, unsigned int cache, uint16_t elt, int socket, void *base,
			       size_t len, size_t page_len, struct rte_mempool **pool);

void netmapd_pool_fill(struct rte_mempool *pool, const void *frame, unsigned int len);
void netmapd_pool_addrs(struct rte_mempool *pool, uintptr_t *addrs);

// Gives the headroom to the data: see pool.c.
void netmapd_pool_drop_headroom(struct rte_mempool *pool);

int netmapd_extmem_register(void *base, size_t len, size_t page);
int netmapd_extmem_unregister(void *base, size_t len);

#endif
