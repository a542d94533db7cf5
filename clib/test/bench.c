/* bench N: what a sync costs that has nothing to do, by N calls of each kind. */
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

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 1000000;
	struct port p = open_port("vale8:bench", 0);

	printf("txsync %.1f ns\n", ns_each(n, txsync, &p));
	printf("rxsync %.1f ns\n", ns_each(n, rxsync, &p));
	printf("poll for room %.1f ns\n", ns_each(n, pollout, &p));
	printf("poll for frames, no timeout %.1f ns\n", ns_each(n, pollin, &p));
	return 0;
}
