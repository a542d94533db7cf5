/*
 * woken PORT: role "woken" of the benchmark as a netmap program in C: it sleeps in poll until frames come, which say when they
 * were sent (a reading of the TSC behind the header), and writes the median, 99th and 99.9th percentile of their ages in TSC
 * cycles. It says "ready", and ends with its standard input.
 */
#include "probe.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct nm_desc *d = open_port(argv[1], WAKE_SLOTS);
	struct netmap_ring *in = NETMAP_RXRING(d->nifp, 0);

	teach(d);
	puts("ready");
	fflush(stdout);
	while (!ended()) {
		struct pollfd news = {.fd = d->fd, .events = POLLIN};
		if (poll(&news, 1, 50) < 0)
			fail("poll");
		uint64_t now = __rdtsc(), sent;
		if (nm_ring_empty(in))
			continue;
		memcpy(&sent, NETMAP_BUF(in, in->slot[in->head].buf_idx) + 14, sizeof sent);
		take(in);
		note(now - sent);
	}
	nm_close(d);
	return report();
}
