// Burst input and output by copy: one call of these per burst. The structures are C memory that Go reads and writes through
// slices, so they hold plain arrays.
#ifndef NETMAPD_ETHDEV_BURST_H
#define NETMAPD_ETHDEV_BURST_H

#include <stdint.h>

#include <stdbool.h>

#include <rte_mbuf.h>

// What the burst functions need to know about a device. Written by the control path while the device is stopped.
struct netmapd_dev {
	struct rte_mempool *pool;
	uint32_t max_frame; // bytes of the longest frame that it takes
	uint32_t max_segs;  // mbufs of the longest chain that it takes
	uint16_t port;
	uint16_t room; // data bytes of one mbuf
	uint32_t held; // mbufs that receive batches hold; atomic
	bool lent;     // other devices were given mbufs of the pool, to send
	bool at_once;  // frames are sent, and their mbufs freed, within the call
	const void *pinned; // the pool over a region that it receives into; NULL: into its own memory, which is DPDK's
	uint32_t *sent; // by queue: descriptors used, for those who count back from the newest
};

// A received burst: mbufs[0, next) are delivered, mbufs[next, have) wait because the segment arrays were full.
struct netmapd_rx {
	struct netmapd_dev *dev; // where the mbufs came from, NULL when there are none
	uint16_t queue;
	uint32_t cap, seg_cap;
	uint32_t have, next;
	uint64_t dropped; // frames longer than the segment arrays, or waiting when the batch changed queues
	struct rte_mbuf **mbufs;
	struct rte_mbuf **head; // by segment: the mbuf of a frame of one segment
	void **addr;
	uint32_t *len;
	uint8_t *more;
};

// A burst to transmit, as segments.
struct netmapd_tx {
	uint32_t seg_cap, mbuf_cap;
	uint64_t refused; // frames that the device cannot take, see max_frame and max_segs
	uint64_t no_mbuf; // bursts that were cut short because the pool was empty
	void **addr;
	uint32_t *len;
	uint8_t *more;
	struct rte_mbuf **mbufs;  // fresh ones
	struct rte_mbuf **frames; // heads of the chains
	uint32_t *order;          // frames[i] is frame order[i] of the batch; for forward: segments
};

struct netmapd_rx *netmapd_rx_new(uint32_t cap, uint32_t seg_cap);
void netmapd_rx_free(struct netmapd_rx *rx);
void netmapd_rx_reset(struct netmapd_rx *rx);
struct netmapd_tx *netmapd_tx_new(uint32_t seg_cap);
void netmapd_tx_free(struct netmapd_tx *tx);

// The handles are pointers; as integers they cost no pointer check in cgo.
uint32_t netmapd_rx_burst(uintptr_t dev, uint16_t queue, uintptr_t rx);
uint32_t netmapd_tx_burst(uintptr_t dev, uint16_t queue, uintptr_t tx, uint32_t segs);

// Sends n frames of one segment each that rx received, those of segments order[0, n), from where they are. Returns how
// many were sent, from the first on.
uint32_t netmapd_tx_forward(uintptr_t dev, uint16_t queue, uintptr_t tx, uintptr_t rx, uint32_t n);

#endif
