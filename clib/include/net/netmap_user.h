/*
 * net/netmap_user.h: how programs find their way in netmap's memory (NC A.5), and,
 * with NETMAP_WITH_LIBS, the old library: nm_open and what goes with it (NC C.4).
 *
 * The old library is all inline: its programs link nothing of netmap. What it calls
 * are open, ioctl, mmap and poll, so such a program reaches netmapd in one of two
 * ways: under the interposer (nmctl run), or linked with -lnetmap, where the same
 * functions are found before the C library's.
 */
#ifndef NETMAPD_NET_NETMAP_USER_H
#define NETMAPD_NET_NETMAP_USER_H

#ifndef _NET_NETMAP_USER_H_
#define _NET_NETMAP_USER_H_
#endif

/* Programs rely on what this header brings along. */
#include <ctype.h>
#include <net/if.h>
#include <net/netmap.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#define NETMAP_DEVICE_NAME "/dev/netmap"

#define _NETMAP_OFFSET(type, ptr, offset) ((type)(void *)((char *)(ptr) + (offset)))

/* The netmap_if of a descriptor, in a mapping of its region. */
#define NETMAP_IF(_base, _ofs) _NETMAP_OFFSET(struct netmap_if *, _base, _ofs)

/* Rings by number, host rings after those of the port. A ring that the descriptor
 * does not bind comes out as the netmap_if itself. */
#define NETMAP_TXRING(nifp, index) _NETMAP_OFFSET(struct netmap_ring *, nifp, (nifp)->ring_ofs[index])
#define NETMAP_RXRING(nifp, index)                   \
	_NETMAP_OFFSET(struct netmap_ring *, nifp,   \
		       (nifp)->ring_ofs[(index) + (nifp)->ni_tx_rings + (nifp)->ni_host_tx_rings])

/* A buffer by its index, from any ring of the region; and back. */
#define NETMAP_BUF(ring, index) \
	((char *)(ring) + (ring)->buf_ofs + ((size_t)(index) * (ring)->nr_buf_size))
#define NETMAP_BUF_IDX(ring, buf) \
	(((char *)(buf) - ((char *)(ring) + (ring)->buf_ofs)) / (ring)->nr_buf_size)

/* Where in its buffer a slot's packet begins (NC A.8): read, set, as an address. */
#define NETMAP_ROFFSET(ring, slot) ((slot)->ptr & (ring)->offset_mask)
#define NETMAP_WOFFSET(ring, slot, offset)                              \
	do {                                                            \
		(slot)->ptr = ((slot)->ptr & ~(ring)->offset_mask) |    \
			      ((offset) & (ring)->offset_mask);         \
	} while (0)
#define NETMAP_BUF_OFFSET(ring, slot) (NETMAP_BUF(ring, (slot)->buf_idx) + NETMAP_ROFFSET(ring, slot))

/* The slot after slot i. */
static inline uint32_t nm_ring_next(struct netmap_ring *ring, uint32_t i)
{
	return unlikely(i + 1 == ring->num_slots) ? 0 : i + 1;
}

/* Is anything that was given to a TX ring still to be sent? */
static inline int nm_tx_pending(struct netmap_ring *ring)
{
	return nm_ring_next(ring, ring->tail) != ring->head;
}

/* Slots that the program owns. */
static inline uint32_t nm_ring_space(struct netmap_ring *ring)
{
	uint32_t head = ring->head, tail = ring->tail;

	return tail >= head ? tail - head : tail + ring->num_slots - head;
}

/* Messages of programs; theirs win if they have their own. */
#ifndef ND
#define ND(_fmt, ...) \
	do {          \
	} while (0)
#define D(_fmt, ...)                                                                                   \
	do {                                                                                           \
		struct timeval _nm_now;                                                                \
		gettimeofday(&_nm_now, NULL);                                                          \
		fprintf(stderr, "%03d.%06d %s [%d] " _fmt "\n", (int)(_nm_now.tv_sec % 1000),          \
			(int)_nm_now.tv_usec, __func__, __LINE__, ##__VA_ARGS__);                      \
	} while (0)

/* At most lps of them in a second. */
#define RD(lps, _fmt, ...)                                       \
	do {                                                     \
		static time_t _nm_second;                        \
		static int _nm_said;                             \
		struct timeval _nm_t;                            \
		gettimeofday(&_nm_t, NULL);                      \
		if (_nm_t.tv_sec != _nm_second) {                \
			_nm_second = _nm_t.tv_sec;               \
			_nm_said = 0;                            \
		}                                                \
		if (_nm_said++ < (lps))                          \
			D(_fmt, ##__VA_ARGS__);                  \
	} while (0)
#endif

/* nm_pkt_copy copies a packet between buffers. */
static inline void nm_pkt_copy(const void *src, void *dst, int len) { memcpy(dst, src, (size_t)len); }

#ifdef NETMAP_WITH_LIBS
#include <net/netmap_open.h>
#endif

#endif /* NETMAPD_NET_NETMAP_USER_H */
