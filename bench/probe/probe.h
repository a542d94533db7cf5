/* probe.h: what the programs in C share. A failure ends the program with status 1. */
#ifndef PROBE_H
#define PROBE_H

#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

enum { WAKE_SLOTS = 64 }; /* wakeSlots */

static const unsigned char here[6] = {2, 0, 0, 0, 0, 1}, there[6] = {2, 0, 0, 0, 1, 0};

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* open_port opens a port whose rings have as many slots as that; 0: as many as usual. */
static inline struct nm_desc *open_port(const char *name, uint32_t slots)
{
	struct nmreq req = {.nr_tx_slots = slots, .nr_rx_slots = slots};
	struct nm_desc *d = nm_open(name, &req, 0, NULL);

	if (!d)
		fail(name);
	return d;
}

static inline void header(char *frame, const unsigned char *dst, const unsigned char *src)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = (char)0x88;
	frame[13] = (char)0xb5;
}

static inline uint64_t sync_of(struct nm_desc *d, unsigned long request)
{
	_mm_lfence(); /* what stands before it is done, and so at the end: the counter does not wait for memory */
	uint64_t start = __rdtsc();

	if (ioctl(d->fd, request, NULL) < 0)
		fail("sync");
	_mm_lfence();
	return __rdtsc() - start;
}

static inline void advance(struct netmap_ring *r, uint32_t n)
{
	uint32_t to = r->head + n;

	r->head = r->cur = to >= r->num_slots ? to - r->num_slots : to;
}

/* take gives back what has come. */
static inline uint32_t take(struct netmap_ring *r)
{
	uint32_t n = nm_ring_space(r);

	r->head = r->cur = r->tail;
	return n;
}

static inline int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* teach sends a frame, so that the switch learns where "there" is. */
static inline void teach(struct nm_desc *d)
{
	struct netmap_ring *r = NETMAP_TXRING(d->nifp, 0);

	header(NETMAP_BUF(r, r->slot[r->head].buf_idx), (const unsigned char *)"\xff\xff\xff\xff\xff\xff", there);
	r->slot[r->head].len = 60;
	advance(r, 1);
	sync_of(d, NIOCTXSYNC);
}

/* Ages in TSC cycles: note takes one, report writes the median, the 99th and the 99.9th percentile of them, but for the first lap of
 * the rings. Its result is the program's. */
static uint64_t ages[1 << 20];
static size_t nages;

static inline void note(uint64_t age)
{
	if (nages < sizeof ages / sizeof *ages)
		ages[nages++] = age;
}

static inline int report(void)
{
	if (nages < 2 * WAKE_SLOTS)
		return 4;
	uint64_t *a = ages + WAKE_SLOTS;
	size_t n = nages - WAKE_SLOTS;
	qsort(a, n, sizeof *a, ascending);
	printf("%llu %llu %llu\ndone\n", (unsigned long long)a[n / 2], (unsigned long long)a[n * 99 / 100], (unsigned long long)a[n * 999 / 1000]);
	return 0;
}

/* ended says whether the benchmark has had enough. */
static inline int ended(void)
{
	struct pollfd p = {.fd = 0, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

#endif
