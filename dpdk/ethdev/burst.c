#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_memcpy.h>

#include "burst.h"

static void *array(size_t n, size_t size)
{
	void *p = NULL;

	// A cache line of its own, so that the batches of two lcores never share one.
	if (posix_memalign(&p, RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL(n * size, RTE_CACHE_LINE_SIZE)) != 0)
		return NULL;
	memset(p, 0, n * size);
	return p;
}

struct netmapd_rx *netmapd_rx_new(uint32_t cap, uint32_t seg_cap)
{
	struct netmapd_rx *rx = array(1, sizeof(*rx));

	if (rx == NULL)
		return NULL;
	rx->cap = cap;
	rx->seg_cap = seg_cap;
	rx->mbufs = array(cap, sizeof(*rx->mbufs));
	rx->head = array(seg_cap, sizeof(*rx->head));
	rx->addr = array(seg_cap, sizeof(*rx->addr));
	rx->len = array(seg_cap, sizeof(*rx->len));
	rx->more = array(seg_cap, sizeof(*rx->more));
	if (rx->mbufs && rx->head && rx->addr && rx->len && rx->more)
		return rx;
	netmapd_rx_free(rx);
	return NULL;
}

void netmapd_rx_free(struct netmapd_rx *rx)
{
	netmapd_rx_reset(rx);
	free(rx->mbufs);
	free(rx->head);
	free(rx->addr);
	free(rx->len);
	free(rx->more);
	free(rx);
}

// Gives back the first n mbufs of the batch.
static inline void give_back(struct netmapd_rx *rx, uint32_t n)
{
	if (n == 0)
		return;
	rte_pktmbuf_free_bulk(rx->mbufs, n);
	__atomic_fetch_sub(&rx->dev->held, n, __ATOMIC_RELAXED);
	rx->have -= n;
	rx->next = 0;
	if (unlikely(rx->have > 0))
		memmove(rx->mbufs, rx->mbufs + n, rx->have * sizeof(*rx->mbufs));
}

void netmapd_rx_reset(struct netmapd_rx *rx)
{
	rx->dropped += rx->have - rx->next;
	give_back(rx, rx->have);
	rx->dev = NULL;
}

// Describes mbufs[next, have) in the segment arrays as far as they go, and returns the number of segments.
static inline uint32_t describe(struct netmapd_rx *rx)
{
	uint32_t seg = 0, i;

	for (i = rx->next; i < rx->have; i++) {
		struct rte_mbuf *m = rx->mbufs[i];

		if (unlikely(m->nb_segs > rx->seg_cap - seg)) {
			if (m->nb_segs <= rx->seg_cap)
				break; // it waits for the next call
			rx->dropped++;
			continue; // freed with the others
		}
		do {
			rx->head[seg] = m;
			rx->addr[seg] = rte_pktmbuf_mtod(m, void *);
			rx->len[seg] = m->data_len;
			rx->more[seg] = m->next != NULL;
			seg++;
			m = m->next;
		} while (unlikely(m != NULL));
	}
	rx->next = i;
	return seg;
}

uint32_t netmapd_rx_burst(uintptr_t devp, uint16_t queue, uintptr_t rxp)
{
	struct netmapd_dev *dev = (struct netmapd_dev *)devp;
	struct netmapd_rx *rx = (struct netmapd_rx *)rxp;

	if (unlikely(rx->dev != dev || rx->queue != queue)) {
		netmapd_rx_reset(rx);
		rx->dev = dev;
		rx->queue = queue;
	}
	give_back(rx, rx->next);
	if (likely(rx->have == 0)) {
		rx->have = rte_eth_rx_burst(dev->port, queue, rx->mbufs, (uint16_t)rx->cap);
		if (rx->have == 0)
			return 0;
		__atomic_fetch_add(&dev->held, rx->have, __ATOMIC_RELAXED);
	}
	return describe(rx);
}

struct netmapd_tx *netmapd_tx_new(uint32_t seg_cap)
{
	struct netmapd_tx *tx = array(1, sizeof(*tx));

	if (tx == NULL)
		return NULL;
	tx->seg_cap = seg_cap;
	// Segments larger than an mbuf take several; a burst that needs more than this is sent in parts.
	tx->mbuf_cap = seg_cap < 64 ? 256 : 4 * seg_cap;
	tx->addr = array(seg_cap, sizeof(*tx->addr));
	tx->len = array(seg_cap, sizeof(*tx->len));
	tx->more = array(seg_cap, sizeof(*tx->more));
	tx->mbufs = array(tx->mbuf_cap, sizeof(*tx->mbufs));
	tx->frames = array(seg_cap, sizeof(*tx->frames));
	tx->order = array(seg_cap, sizeof(*tx->order));
	if (tx->addr && tx->len && tx->more && tx->mbufs && tx->frames && tx->order)
		return tx;
	netmapd_tx_free(tx);
	return NULL;
}

void netmapd_tx_free(struct netmapd_tx *tx)
{
	free(tx->addr);
	free(tx->len);
	free(tx->more);
	free(tx->mbufs);
	free(tx->frames);
	free(tx->order);
	free(tx);
}

// A frame as segments [first, end), needing mbufs of them; mbufs is 0 for a frame that the device cannot take.
struct frame {
	uint32_t end, mbufs;
};

static inline struct frame measure(const struct netmapd_dev *dev, const struct netmapd_tx *tx, uint32_t first, uint32_t segs)
{
	uint64_t total = 0;
	uint32_t i = first;
	struct frame f;

	do {
		total += tx->len[i];
	} while (tx->more[i++] && i < segs);
	f.end = i;
	f.mbufs = 1;
	if (unlikely(total > dev->room))
		f.mbufs = total > dev->max_frame ? 0 : ((uint32_t)total + dev->room - 1) / dev->room;
	// An open end can only be a frame that the caller did not finish.
	if (unlikely(total == 0 || total > dev->max_frame || f.mbufs > dev->max_segs || f.mbufs > tx->mbuf_cap || tx->more[i - 1]))
		f.mbufs = 0;
	return f;
}

// Copies segments [first, end) into the chain of n fresh mbufs at m, which are enough, and returns its head.
static inline struct rte_mbuf *copy_frame(const struct netmapd_dev *dev, const struct netmapd_tx *tx, uint32_t first,
					  uint32_t end, struct rte_mbuf **m, uint32_t n)
{
	struct rte_mbuf *head = m[0], *tail = head;
	uint32_t used = 1;

	if (likely(end - first == 1 && n == 1)) {
		rte_memcpy(rte_pktmbuf_mtod(head, void *), tx->addr[first], tx->len[first]);
		head->data_len = (uint16_t)tx->len[first];
		head->pkt_len = tx->len[first];
		return head;
	}
	for (uint32_t i = first; i < end; i++) {
		const char *src = tx->addr[i];
		uint32_t left = tx->len[i];

		while (left > 0) {
			uint32_t room = dev->room - tail->data_len, k;

			if (room == 0) {
				tail->next = m[used++];
				tail = tail->next;
				room = dev->room;
			}
			k = left < room ? left : room;
			rte_memcpy(rte_pktmbuf_mtod_offset(tail, char *, tail->data_len), src, k);
			tail->data_len += k;
			head->pkt_len += k;
			src += k;
			left -= k;
		}
	}
	head->nb_segs = (uint16_t)n;
	return head;
}

// Counts the mbufs that the first *frames frames need, lowering *frames to what the array of mbufs holds.
static uint32_t count_mbufs(const struct netmapd_dev *dev, const struct netmapd_tx *tx, uint32_t segs, uint32_t *frames)
{
	uint32_t need = 0, n = 0;

	for (uint32_t seg = 0; seg < segs && n < *frames; n++) {
		struct frame f = measure(dev, tx, seg, segs);

		if (need + f.mbufs > tx->mbuf_cap)
			break;
		need += f.mbufs;
		seg = f.end;
	}
	*frames = n;
	return need;
}

// Sends frames, and returns how many the device took; some drivers take fewer at a time than they have room for.
static inline uint32_t send_all(const struct netmapd_dev *dev, uint16_t queue, struct rte_mbuf **frames, uint32_t n)
{
	uint32_t sent = 0;

	while (sent < n) {
		uint16_t k = rte_eth_tx_burst(dev->port, queue, frames + sent, (uint16_t)(n - sent));

		if (k == 0)
			break;
		sent += k;
	}
	return sent;
}

// Counts the mbufs of the first frames of a batch.
static uint32_t used_by(const struct netmapd_dev *dev, const struct netmapd_tx *tx, uint32_t segs, uint32_t frames)
{
	return count_mbufs(dev, tx, segs, &frames);
}

uint32_t netmapd_tx_forward(uintptr_t devp, uint16_t queue, uintptr_t txp, uintptr_t rxp, uint32_t n)
{
	const struct netmapd_dev *dev = (const struct netmapd_dev *)devp;
	struct netmapd_tx *tx = (struct netmapd_tx *)txp;
	struct netmapd_rx *rx = (struct netmapd_rx *)rxp;
	uint32_t sent;

	if (unlikely(!rx->dev->lent) && n > 0)
		rx->dev->lent = true;
	for (uint32_t i = 0; i < n; i++) {
		struct rte_mbuf *m = rx->head[tx->order[i]];

		rte_mbuf_refcnt_update(m, 1); // the batch has the other reference, and frees it later
		tx->frames[i] = m;
	}
	sent = send_all(dev, queue, tx->frames, n);
	if (unlikely(dev->sent != NULL))
		dev->sent[queue] += sent;
	if (unlikely(sent < n))
		rte_pktmbuf_free_bulk(tx->frames + sent, n - sent);
	return sent;
}

uint32_t netmapd_tx_burst(uintptr_t devp, uint16_t queue, uintptr_t txp, uint32_t segs)
{
	const struct netmapd_dev *dev = (const struct netmapd_dev *)devp;
	struct netmapd_tx *tx = (struct netmapd_tx *)txp;
	uint32_t frames = UINT32_MAX, good = 0, fresh = 0, sent = 0, consumed;
	uint32_t need = count_mbufs(dev, tx, segs, &frames);

	while (need > 0 && unlikely(rte_pktmbuf_alloc_bulk(dev->pool, tx->mbufs, need) != 0)) {
		if (frames == 1) {
			tx->no_mbuf++;
			return 0;
		}
		frames /= 2;
		need = count_mbufs(dev, tx, segs, &frames);
	}
	for (uint32_t i = 0, seg = 0; i < frames; i++) {
		struct frame f = measure(dev, tx, seg, segs);

		if (likely(f.mbufs > 0)) {
			tx->frames[good] = copy_frame(dev, tx, seg, f.end, tx->mbufs + fresh, f.mbufs);
			tx->order[good++] = i;
			fresh += f.mbufs;
		}
		seg = f.end;
	}
	sent = send_all(dev, queue, tx->frames, good);
	if (unlikely(dev->sent != NULL)) // all mbufs of a burst were fresh, in order
		dev->sent[queue] += sent == good ? fresh : used_by(dev, tx, segs, tx->order[sent]);
	consumed = frames;
	if (unlikely(sent < good)) {
		consumed = tx->order[sent];
		rte_pktmbuf_free_bulk(tx->frames + sent, good - sent);
	}
	tx->refused += consumed - sent;
	return consumed;
}
