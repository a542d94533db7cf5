/*
 * probe SENDER RECEIVER BYTES BATCH...: role "cycle" of the benchmark as a netmap program in C. One thread has both ends: it
 * times a TX sync of so many slots, and the RX syncs that take the frames and give them back, and writes for each batch the
 * 10th percentiles in TSC cycles: "BATCH TX RX". It says "ready", and ends with its standard input.
 */
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

enum { REPS = 400, WARM = 10, SIZES = 16 };

static const unsigned char here[6] = {2, 0, 0, 0, 0, 1}, there[6] = {2, 0, 0, 0, 1, 0};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct nm_desc *open_port(const char *name)
{
	struct nm_desc *d = nm_open(name, NULL, 0, NULL);

	if (!d)
		fail(name);
	return d;
}

static void header(char *frame, const unsigned char *dst, const unsigned char *src)
{
	memcpy(frame, dst, 6);
	memcpy(frame + 6, src, 6);
	frame[12] = (char)0x88;
	frame[13] = (char)0xb5;
}

static uint64_t sync_of(struct nm_desc *d, unsigned long request)
{
	uint64_t start = __rdtsc();

	if (ioctl(d->fd, request, NULL) < 0)
		fail("sync");
	return __rdtsc() - start;
}

static void advance(struct netmap_ring *r, uint32_t n)
{
	uint32_t to = r->head + n;

	r->head = r->cur = to >= r->num_slots ? to - r->num_slots : to;
}

/* take gives back what has come. */
static uint32_t take(struct netmap_ring *r)
{
	uint32_t n = nm_ring_space(r);

	r->head = r->cur = r->tail;
	return n;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	static uint64_t tx_times[SIZES][REPS], rx_times[SIZES][REPS];
	int sizes = argc - 4, good[SIZES] = {0};
	unsigned bytes;
	char *end;

	if (sizes < 1 || sizes > SIZES)
		return 2;
	struct nm_desc *tx = open_port(argv[1]), *rx = open_port(argv[2]);
	struct netmap_ring *out = NETMAP_TXRING(tx->nifp, 0), *in = NETMAP_RXRING(rx->nifp, 0), *teach = NETMAP_TXRING(rx->nifp, 0);

	bytes = (unsigned)strtoul(argv[3], &end, 10);
	header(NETMAP_BUF(teach, teach->slot[teach->head].buf_idx), (const unsigned char *)"\xff\xff\xff\xff\xff\xff", there);
	teach->slot[teach->head].len = 60;
	advance(teach, 1);
	sync_of(rx, NIOCTXSYNC);
	for (uint32_t i = 0; i < out->num_slots; i++)
		header(NETMAP_BUF(out, out->slot[i].buf_idx), there, here);
	puts("ready");
	fflush(stdout);
	for (int rep = -WARM; rep < REPS; rep++) {
		struct pollfd stdin_ended = {.fd = 0, .events = POLLIN};
		for (int z = 0; z < sizes; z++) {
			uint32_t n = (uint32_t)strtoul(argv[4 + z], &end, 10), at = out->head;

			for (int tries = 0; nm_ring_space(out) < n; tries++) { /* the lcore stood still */
				if (tries == 100000)
					return 3;
				sync_of(tx, NIOCTXSYNC);
			}
			for (uint32_t i = 0; i < n; i++, at = nm_ring_next(out, at)) {
				out->slot[at].len = (uint16_t)bytes;
				out->slot[at].flags = 0;
			}
			advance(out, n);
			uint64_t t = sync_of(tx, NIOCTXSYNC), r = sync_of(rx, NIOCRXSYNC);
			uint32_t got = take(in);
			r += sync_of(rx, NIOCRXSYNC);
			for (; got < n; got += take(in)) { /* late: not counted */
				t = 0;
				sync_of(tx, NIOCTXSYNC);
				sync_of(rx, NIOCRXSYNC);
			}
			if (rep >= 0 && t) {
				tx_times[z][good[z]] = t;
				rx_times[z][good[z]++] = r;
			}
		}
		if (poll(&stdin_ended, 1, 0) > 0)
			break;
	}
	for (int z = 0; z < sizes; z++) {
		if (!good[z])
			return 4;
		qsort(tx_times[z], (size_t)good[z], sizeof(uint64_t), ascending);
		qsort(rx_times[z], (size_t)good[z], sizeof(uint64_t), ascending);
		printf("%s %llu %llu\n", argv[4 + z], (unsigned long long)tx_times[z][good[z] / 10], (unsigned long long)rx_times[z][good[z] / 10]);
	}
	puts("done");
	nm_close(rx);
	nm_close(tx);
	return 0;
}
