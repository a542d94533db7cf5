/*
 * waker PORT NANOSECONDS: sends a frame that says when it was sent (a reading of the TSC behind the header), sleeps that long by a
 * timer, and so on. It goes to sleep as soon as a frame is published, so that who is woken finds its CPU free. It says "ready", and
 * ends with its standard input.
 */
#include "probe.h"

#include <time.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct timespec gap = {.tv_nsec = atol(argv[2])};
	struct nm_desc *d = open_port(argv[1], WAKE_SLOTS);
	struct netmap_ring *out = NETMAP_TXRING(d->nifp, 0);

	puts("ready");
	fflush(stdout);
	for (unsigned n = 1;; n++) {
		nanosleep(&gap, NULL);
		if (n % 64 == 0 && ended()) /* here, where nobody waits for the CPU */
			break;
		char *frame = NETMAP_BUF(out, out->slot[out->head].buf_idx);
		header(frame, there, here);
		out->slot[out->head].len = 60;
		uint64_t now = __rdtsc();
		memcpy(frame + 14, &now, sizeof now);
		advance(out, 1);
		struct pollfd room = {.fd = d->fd, .events = POLLOUT};
		if (poll(&room, 1, 0) < 0)
			fail("poll");
	}
	nm_close(d);
	return 0;
}
