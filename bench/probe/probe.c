/*
 * probe SENDER RECEIVER BYTES BATCH...: role "cycle" of the benchmark as a netmap program in C. One thread has both ends: it
 * times a TX sync of so many slots, and the RX syncs that take the frames and give them back, and writes for each batch the
 * 10th percentiles in TSC cycles: "BATCH TX RX". It says "ready", and ends with its standard input.
 */
#include "probe.h"

enum { REPS = 400, WARM = 10, SIZES = 16 };

int main(int argc, char **argv)
{
	static uint64_t tx_times[SIZES][REPS], rx_times[SIZES][REPS];
	int sizes = argc - 4, good[SIZES] = {0};
	unsigned bytes;
	char *end;

	if (sizes < 1 || sizes > SIZES)
		return 2;
	struct nm_desc *tx = open_port(argv[1], 0), *rx = open_port(argv[2], 0);
	struct netmap_ring *out = NETMAP_TXRING(tx->nifp, 0), *in = NETMAP_RXRING(rx->nifp, 0);

	bytes = (unsigned)strtoul(argv[3], &end, 10);
	teach(rx);
	for (uint32_t i = 0; i < out->num_slots; i++)
		header(NETMAP_BUF(out, out->slot[i].buf_idx), there, here);
	puts("ready");
	fflush(stdout);
	for (int rep = -WARM; rep < REPS; rep++) {
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
		if (ended())
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
