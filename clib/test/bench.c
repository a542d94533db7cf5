/* bench N: what a sync costs that has nothing to do, by N calls of each kind.
 * bench N pipe: what a frame costs through a pipe whose ends are both here, by N batches. */
#include "port.h"

static double ns_each(int n, int (*call)(struct port *), struct port *p)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < n; i++)
		CHECK(call(p) >= 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / n;
}

static int txsync(struct port *p) { return ioctl(p->fd, NIOCTXSYNC, NULL); }
static int rxsync(struct port *p) { return ioctl(p->fd, NIOCRXSYNC, NULL); }
static int pollout(struct port *p) { return poll(&(struct pollfd){.fd = p->fd, .events = POLLOUT}, 1, -1); }
static int pollin(struct port *p) { return poll(&(struct pollfd){.fd = p->fd, .events = POLLIN}, 1, 0); }

enum { BATCH = 64 };

static struct port ends[2];
static uint32_t sent, got;

static int batch(struct port *p)
{
	CHECK(put(p->tx, BATCH, &sent) == BATCH && poll_one(p->fd, POLLOUT, -1) == POLLOUT);
	CHECK(poll_one(ends[1].fd, POLLIN, -1) == POLLIN && get(ends[1].rx, &got, false) == BATCH);
	return 0;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000000;
	if (argc > 2) {
		ends[0] = open_port("nmbench{1", 0);
		ends[1] = open_port("nmbench}1", 0);
		printf("frame through a pipe %.1f ns\n", ns_each(n, batch, ends) / BATCH);
		return 0;
	}
	struct port p = open_port("vale8:bench", 0);

	printf("txsync %.1f ns\n", ns_each(n, txsync, &p));
	printf("rxsync %.1f ns\n", ns_each(n, rxsync, &p));
	printf("poll for room %.1f ns\n", ns_each(n, pollout, &p));
	printf("poll for frames, no timeout %.1f ns\n", ns_each(n, pollin, &p));
	return 0;
}
