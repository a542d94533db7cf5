#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ethdev.h>

#include "../mempool/pinned.h"
#include "zerocopy.h"

static void *array(size_t n, size_t size)
{
	void *p = NULL;

	if (posix_memalign(&p, RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(n * size, RTE_CACHE_LINE_SIZE)) != 0)
		return NULL;
	memset(p, 0, n * size);
	return p;
}

struct netmapd_zrx *netmapd_zrx_new(struct netmapd_pinned *p, uint32_t cap)
{
	struct netmapd_zrx *rx = array(1, sizeof(*rx));

	if (rx == NULL)
		return NULL;
	rx->pinned = p;
	rx->cap = cap;
	rx->idx = array(cap, sizeof(*rx->idx));
	rx->len = array(cap, sizeof(*rx->len));
	rx->back = array(cap, sizeof(*rx->back));
	rx->addr = array(cap, sizeof(*rx->addr));
	rx->more = array(cap, sizeof(*rx->more));
	rx->mbufs = array(cap, sizeof(*rx->mbufs));
	rx->hold = array(cap, sizeof(*rx->hold));
	rx->put = array(cap, sizeof(*rx->put));
	if (rx->idx && rx->len && rx->back && rx->addr && rx->more && rx->mbufs && rx->hold && rx->put)
		return rx;
	netmapd_zrx_free(rx);
	return NULL;
}

void netmapd_zrx_free(struct netmapd_zrx *rx)
{
	netmapd_zrx_flush(rx);
	free(rx->idx);
	free(rx->len);
	free(rx->back);
	free(rx->addr);
	free(rx->more);
	free(rx->mbufs);
	free(rx->hold);
	free(rx->put);
	free(rx);
}

// Hands over what the last burst left: buffers to the pool, foreign mbufs to theirs.
void netmapd_zrx_flush(struct netmapd_zrx *rx)
{
	struct rte_mbuf **mbuf = rx->pinned->mbuf;
	uint32_t n = rx->give;

	for (uint32_t i = 0; i < n; i++)
		rx->put[i] = mbuf[rx->back[i]];
	if (n > 0)
		rte_mempool_put_bulk(rx->pinned->pool, (void **)rx->put, n);
	rx->give = 0;
	if (unlikely(rx->held > 0)) {
		rte_pktmbuf_free_bulk(rx->hold, rx->held);
		rx->held = 0;
	}
}

// Is m, a segment, one that we may keep the buffer of?
static inline int ours(const struct netmapd_zrx *rx, const struct rte_mbuf *m)
{
	return m->pool == rx->pinned->pool && m->data_off == RTE_PKTMBUF_HEADROOM && rte_mbuf_refcnt_read(m) == 1;
}

uint32_t netmapd_zrx_burst(uintptr_t devp, uint16_t queue, uintptr_t rxp, uint32_t max)
{
	const struct netmapd_dev *dev = (const struct netmapd_dev *)devp;
	struct netmapd_zrx *rx = (struct netmapd_zrx *)rxp;
	uint32_t seg = 0;
	uint16_t n;

	netmapd_zrx_flush(rx);
	if (max > rx->cap)
		max = rx->cap;
	n = rte_eth_rx_burst(dev->port, queue, rx->mbufs, (uint16_t)max);
	for (uint16_t i = 0; i < n; i++) {
		struct rte_mbuf *m = rx->mbufs[i], *next;

		if (likely(m->nb_segs == 1 && ours(rx, m) && seg < rx->cap)) {
			rx->addr[seg] = (char *)m->buf_addr + RTE_PKTMBUF_HEADROOM;
			rx->idx[seg] = netmapd_pinned_index(rx->pinned, rx->addr[seg]);
			rx->len[seg] = m->data_len;
			rx->more[seg++] = 0;
			continue;
		}
		// Bursts that are not full leave room for chains: a chain without room is lost.
		if (m->nb_segs > rx->cap - seg) {
			rte_pktmbuf_free(m);
			rx->dropped++;
			continue;
		}
		for (; m != NULL; m = next) {
			next = m->next;
			m->next = NULL;
			m->nb_segs = 1;
			rx->addr[seg] = rte_pktmbuf_mtod(m, void *);
			rx->len[seg] = m->data_len;
			rx->more[seg] = next != NULL;
			if (ours(rx, m)) {
				rx->idx[seg] = netmapd_pinned_index(rx->pinned, rx->addr[seg]);
			} else {
				rx->idx[seg] = 0;
				rx->hold[rx->held++] = m;
				rx->foreign++;
			}
			seg++;
		}
	}
	return seg;
}

struct netmapd_ztx *netmapd_ztx_new(struct netmapd_pinned *p, struct rte_mempool *headers, uint32_t seg_cap, uint32_t descs, int how)
{
	struct netmapd_ztx *tx = array(1, sizeof(*tx));
	uint32_t flight = rte_align32pow2(2 * descs + seg_cap);

	if (tx == NULL)
		return NULL;
	tx->pinned = p;
	tx->headers = headers;
	tx->base = p->base;
	tx->size = p->size;
	tx->iova = rte_eal_iova_mode() == RTE_IOVA_VA;
	tx->seg_cap = seg_cap;
	tx->mask = flight - 1;
	tx->descs = descs;
	tx->how = how;
	tx->idx = array(seg_cap, sizeof(*tx->idx));
	tx->len = array(seg_cap, sizeof(*tx->len));
	tx->more = array(seg_cap, sizeof(*tx->more));
	tx->mbufs = array(seg_cap, sizeof(*tx->mbufs));
	tx->frames = array(seg_cap, sizeof(*tx->frames));
	tx->flight = array(flight, sizeof(*tx->flight));
	tx->frame_end = array(flight, sizeof(*tx->frame_end));
	if (tx->idx && tx->len && tx->more && tx->mbufs && tx->frames && tx->flight && tx->frame_end)
		return tx;
	netmapd_ztx_free(tx);
	return NULL;
}

void netmapd_ztx_drop(struct netmapd_ztx *tx)
{
	for (; tx->head != tx->tail; tx->head++)
		if (tx->flight[tx->head & tx->mask] != NULL)
			rte_pktmbuf_free_seg(tx->flight[tx->head & tx->mask]);
}

void netmapd_ztx_free(struct netmapd_ztx *tx)
{
	free(tx->idx);
	free(tx->len);
	free(tx->more);
	free(tx->mbufs);
	free(tx->frames);
	free(tx->flight);
	free(tx->frame_end);
	free(tx);
}

// Tells by the descriptor whether the frame that ends at place is done: the newest descriptor lies right before the queue's
// tail, which the driver counts from.
static int reported(const struct netmapd_dev *dev, uint16_t queue, const struct netmapd_ztx *tx, uint32_t place)
{
	uint32_t age = dev->sent[queue] - tx->frame_end[place & tx->mask];

	return age < tx->descs && rte_eth_tx_descriptor_status(dev->port, queue, (uint16_t)(tx->descs - 1 - age)) == RTE_ETH_TX_DESC_DONE;
}

// Frees the oldest segments up to end.
static uint32_t retire(struct netmapd_ztx *tx, uint32_t end)
{
	uint32_t n = end - tx->head;

	for (; tx->head != end; tx->head++) {
		struct rte_mbuf *m = tx->flight[tx->head & tx->mask];

		if (m != NULL)
			rte_pktmbuf_free_seg(m);
	}
	return n;
}

// Finds the segments whose frames the device is done with, oldest first. frame_end[i] is the count of the queue's descriptors
// up to and including segment i; all segments of a frame have that of its last one.
static uint32_t complete(const struct netmapd_dev *dev, uint16_t queue, struct netmapd_ztx *tx)
{
	uint32_t at = tx->head;

	if (at == tx->tail)
		return 0;
	if (tx->how == NETMAPD_DONE_FREED) {
		while (at != tx->tail) {
			struct rte_mbuf *m = tx->flight[at & tx->mask];

			if (m != NULL && rte_mbuf_refcnt_read(m) != 1)
				break;
			at++;
		}
		return retire(tx, at);
	}
	// The newest first: some drivers clear the mark of an old descriptor while they tidy up.
	if (reported(dev, queue, tx, tx->tail - 1))
		return retire(tx, tx->tail);
	while (at != tx->tail && (tx->flight[at & tx->mask] == NULL || reported(dev, queue, tx, at)))
		at++;
	return retire(tx, at);
}

// Makes the header of one segment.
static inline void refer(struct netmapd_ztx *tx, struct rte_mbuf *m, uint32_t i)
{
	uint32_t idx = tx->idx[i];

	m->buf_addr = tx->base + (size_t)idx * tx->size;
	m->buf_iova = likely(tx->iova) ? (uintptr_t)m->buf_addr : tx->pinned->mbuf[idx]->buf_iova + RTE_PKTMBUF_HEADROOM;
	m->buf_len = (uint16_t)tx->size;
	m->data_off = 0;
	m->data_len = (uint16_t)tx->len[i];
	rte_mbuf_refcnt_set(m, 2); // the driver's, and ours until the device is done
}

// A frame of segments [first, returned end), with its head in *frame, or NULL for one that the device cannot take.
static inline uint32_t chain(const struct netmapd_dev *dev, struct netmapd_ztx *tx, uint32_t first, uint32_t segs,
			     struct rte_mbuf **frame)
{
	struct rte_mbuf *head = tx->mbufs[first];
	uint32_t total = tx->len[first], i = first + 1;

	refer(tx, head, first);
	while (tx->more[i - 1] && i < segs) {
		refer(tx, tx->mbufs[i], i);
		tx->mbufs[i - 1]->next = tx->mbufs[i];
		total += tx->len[i++];
	}
	head->pkt_len = total;
	head->nb_segs = (uint16_t)(i - first);
	*frame = head;
	if (unlikely(total == 0 || total > dev->max_frame || i - first > dev->max_segs || tx->more[i - 1]))
		*frame = NULL;
	return i;
}

// Notes segments [first, end) as in flight; a refused frame, without headers, is done as soon as it is the oldest.
static inline void launch(const struct netmapd_dev *dev, uint16_t queue, struct netmapd_ztx *tx, uint32_t first, uint32_t end,
			  int sent)
{
	uint32_t newest = 0;

	if (dev->sent != NULL)
		newest = dev->sent[queue] += sent ? end - first : 0;
	for (; first < end; first++, tx->tail++) {
		tx->flight[tx->tail & tx->mask] = sent ? tx->mbufs[first] : NULL;
		tx->frame_end[tx->tail & tx->mask] = newest;
	}
}

// Takes the headers of segments [first, end) back, both references.
static void unrefer(struct netmapd_ztx *tx, uint32_t first, uint32_t end)
{
	for (; first < end; first++) {
		rte_mbuf_refcnt_set(tx->mbufs[first], 1);
		tx->mbufs[first]->next = NULL;
		tx->mbufs[first]->nb_segs = 1;
		rte_pktmbuf_free_seg(tx->mbufs[first]);
	}
}

// Sends one run of frames and returns how many segments were consumed.
static uint32_t transmit(const struct netmapd_dev *dev, uint16_t queue, struct netmapd_ztx *tx, uint32_t segs)
{
	uint32_t good = 0, sent = 0, k = 0, i, end;

	for (i = 0; i < segs; i = end) {
		end = chain(dev, tx, i, segs, &tx->frames[good]);
		if (likely(tx->frames[good] != NULL))
			good++;
	}
	while (sent < good) {
		uint16_t n = rte_eth_tx_burst(dev->port, queue, tx->frames + sent, (uint16_t)(good - sent));

		if (n == 0)
			break;
		sent += n;
	}
	// What was sent may be on its way back already: only our own arrays are looked at.
	for (i = 0; i < segs; i = end) {
		end = i + 1;
		while (tx->more[end - 1] && end < segs)
			end++;
		if (likely(k < good && tx->frames[k] == tx->mbufs[i])) {
			if (k++ == sent)
				break; // the device is full
			launch(dev, queue, tx, i, end, 1);
			continue;
		}
		unrefer(tx, i, end);
		launch(dev, queue, tx, i, end, 0);
		tx->refused++;
	}
	unrefer(tx, i, segs);
	return i;
}

uint64_t netmapd_ztx_burst(uintptr_t devp, uint16_t queue, uintptr_t txp, uint32_t segs)
{
	const struct netmapd_dev *dev = (const struct netmapd_dev *)devp;
	struct netmapd_ztx *tx = (struct netmapd_ztx *)txp;
	uint64_t done = complete(dev, queue, tx);
	uint32_t used = 0;

	if (segs > 0 && tx->tail - tx->head + segs <= tx->mask && rte_pktmbuf_alloc_bulk(tx->headers, tx->mbufs, segs) == 0) {
		used = transmit(dev, queue, tx, segs);
		if (tx->how == NETMAPD_DONE_FREED)
			done += complete(dev, queue, tx); // software devices are done at once
	} else if (tx->head != tx->tail && tx->how == NETMAPD_DONE_FREED) {
		rte_eth_tx_burst(dev->port, queue, tx->mbufs, 0); // lets the driver look for what is done
	}
	return done << 32 | used;
}
