// Burst input and output without copying: frames stay in buffers of a shared region (mempool.Pinned), and what moves
// between the caller and the device is the number of a buffer.
#ifndef NETMAPD_ETHDEV_ZEROCOPY_H
#define NETMAPD_ETHDEV_ZEROCOPY_H

#include <stdint.h>

#include "burst.h"

struct netmapd_pinned;

// A received burst, as segments. Those with a number lie in that buffer, which is now the caller's; the others (0) lie
// elsewhere and are to be copied before the next burst.
struct netmapd_zrx {
	struct netmapd_pinned *pinned;
	uint32_t cap; // segments
	uint32_t give;   // buffers to hand to the pool at the next burst
	uint32_t held;   // foreign mbufs to free at the next burst
	uint64_t foreign, dropped;
	uint32_t *idx, *len, *back; // back[0, give)
	void **addr;
	uint8_t *more;
	struct rte_mbuf **mbufs, **hold, **put;
};

// How the end of a transmission is learned.
enum {
	NETMAPD_DONE_FREED,  // the driver frees the mbuf, in a later transmit call if not at once
	NETMAPD_DONE_STATUS, // the descriptor says so; the mbuf is freed when the descriptor is used again
};

// A queue that transmits from buffers. Each segment in flight has a header mbuf that refers to its buffer, and of which we
// hold a reference: whatever the driver does with its own, the header does not go while the device may read the buffer.
struct netmapd_ztx {
	struct rte_mempool *headers;
	char *base;     // of buffer 0
	uint64_t iova;  // how the device calls it; only without pages
	uint32_t size;  // of a buffer
	uint32_t seg_cap;
	uint32_t mask;  // of the ring of segments in flight
	uint32_t descs; // of the device's queue
	uint32_t head, tail; // counts; tail - head are in flight
	int how;
	uint64_t refused;
	uint32_t *idx, *len, *frame_end;
	uint8_t *more;
	struct rte_mbuf **flight, **mbufs, **frames;
	struct netmapd_pinned *pinned;
};

struct netmapd_zrx *netmapd_zrx_new(struct netmapd_pinned *p, uint32_t cap);
void netmapd_zrx_free(struct netmapd_zrx *rx);
uint32_t netmapd_zrx_burst(uintptr_t dev, uint16_t queue, uintptr_t rx, uint32_t max);
void netmapd_zrx_flush(struct netmapd_zrx *rx);

struct netmapd_ztx *netmapd_ztx_new(struct netmapd_pinned *p, struct rte_mempool *headers, uint32_t seg_cap, uint32_t descs, int how);
void netmapd_ztx_free(struct netmapd_ztx *tx);

// Sends segments idx/len/more[0, segs), whole frames, as far as the device takes them. Returns the number of segments
// consumed, sent or refused for good, in the lower half; the upper half says how many of the oldest in flight are done.
uint64_t netmapd_ztx_burst(uintptr_t dev, uint16_t queue, uintptr_t tx, uint32_t segs);

// Forgets everything in flight; the queue must be stopped.
void netmapd_ztx_drop(struct netmapd_ztx *tx);

#endif
