/* traffic N: frames from port to port in one process, all of them, in order; syncs by ioctl. */
#include "port.h"

#include <pthread.h>

enum { GIVES_UP_MS = 9, PATIENCE_MS = 30000 };

static void move(struct port *a, struct port *b, uint32_t total)
{
	uint32_t sent = 0, got = 0;
	int64_t started = now_ms();

	while (got < total) {
		/* What was sent was delivered before the ioctl returned, unless that gave up waiting
		 * for a daemon that has no CPU. */
		put(a->tx, total - sent < 256 ? total - sent : 256, &sent);
		int64_t start = now_ms();
		CHECK(ioctl(a->fd, NIOCTXSYNC, NULL) == 0);
		bool gave_up = now_ms() - start >= GIVES_UP_MS;
		CHECK(ioctl(b->fd, NIOCRXSYNC, NULL) == 0);
		get(b->rx, &got, false);
		CHECK(got == sent || gave_up, "%u of %u frames after the sync", got, sent);
		while (got < sent && now_ms() - started < PATIENCE_MS) {
			CHECK(ioctl(b->fd, NIOCRXSYNC, NULL) == 0);
			get(b->rx, &got, false);
		}
	}
	while (space(a->tx) != a->tx->num_slots - 1 && now_ms() - started < PATIENCE_MS)
		CHECK(ioctl(a->fd, NIOCTXSYNC, NULL) == 0);
	CHECK(space(a->tx) == a->tx->num_slots - 1, "SYN-03");
}

static void *hammer(void *arg)
{
	for (int i = 0; i < 20000; i++)
		CHECK(ioctl(*(int *)arg, NIOCRXSYNC, NULL) == 0, "SYN-17");
	return NULL;
}

int main(int argc, char **argv)
{
	struct port a = open_port("vale7:a", 0), b = open_port("vale7:b", 0);
	uint32_t total = argc > 1 ? (uint32_t)atoi(argv[1]) : 100000;

	move(&a, &b, total);
	CHECK(b.rx->ts.tv_sec > 0 && a.tx->ts.tv_sec == 0, "SYN-16");

	/* A bad ring is no error of the ioctl, and traffic goes on after it (SYN-07). */
	a.tx->head = a.tx->num_slots;
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	CHECK(a.tx->head < a.tx->num_slots && a.tx->head == a.tx->cur);
	move(&a, &b, 1000);

	/* Two threads, one ring. */
	pthread_t t[2];
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, hammer, &b.fd);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	move(&a, &b, 1000);

	/* CLS-01, and every way to duplicate. */
	int fds[] = {dup(a.fd), fcntl(a.fd, F_DUPFD, 50), fcntl(a.fd, F_DUPFD_CLOEXEC, 60), dup2(a.fd, 70), dup3(a.fd, 71, O_CLOEXEC)};
	CHECK(close(a.fd) == 0);
	for (unsigned i = 0; i < sizeof fds / sizeof *fds; i++) {
		CHECK(fds[i] >= 0);
		a.fd = fds[i];
		move(&a, &b, 1000);
		CHECK(close(fds[i]) == 0);
		CHECK(ioctl(fds[i], NIOCTXSYNC, NULL) == -1 && errno == EBADF);
	}
	/* The memory outlives the descriptor (NC A.13). */
	a.tx->slot[0].len = 1;
	CHECK(munmap(a.mem, a.reg.nr_memsize) == 0);
	close_port(&b);

	/* Closed is released: exclusive again, at once (REG-17). */
	for (int i = 0; i < 100; i++) {
		struct port x = open_port("vale7:x", NR_EXCLUSIVE);
		close_port(&x);
	}
	return 0;
}
