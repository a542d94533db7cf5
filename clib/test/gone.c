/*
 * gone: what a program sees of a daemon that dies (NC I.10). It says "ready" on
 * its output, and goes on when a line comes in after the daemon's death.
 */
#include "port.h"

#include <pthread.h>
#include <sys/epoll.h>

static struct port b;

static void *sleeper(void *events)
{
	*(short *)events = poll_one(b.fd, POLLIN, 60000);
	return NULL;
}

int main(void)
{
	struct port a = open_port("vale2:a", 0);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 1};
	int ep = epoll_create1(0), unbound = open("/dev/netmap", O_RDWR);
	uint32_t sent = 0;
	short events = 0;
	pthread_t t;

	b = open_port("vale2:b", 0);
	CHECK(unbound >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev) == 0);
	put(a.tx, 1, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN);
	get(b.rx, &(uint32_t){0}, false);
	CHECK(pthread_create(&t, NULL, sleeper, &events) == 0);
	puts("ready");
	fflush(stdout);
	CHECK(getchar() == '\n');

	pthread_join(t, NULL);
	CHECK(events == POLLERR, "a sleeping poll got %#x", events);
	/* Who is not waiting for anything notices within a second or so. */
	for (int64_t end = now_ms() + 30000; poll_one(a.fd, POLLOUT, 10000) != POLLERR;)
		CHECK(now_ms() < end, "an idle port never noticed");
	CHECK(epoll_wait(ep, &ev, 1, 10000) == 1 && ev.events & EPOLLERR && ev.data.u64 == 1);
	CHECK(ioctl(b.fd, NIOCRXSYNC, NULL) == -1 && errno == EIO);
	put(a.tx, 1, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == -1 && errno == EIO);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	CHECK(request(unbound, NETMAP_REQ_REGISTER, "vale2:c", &reg) == -1 && errno == EIO);
	/* The memory stays. */
	memset(buf(a.tx, a.tx->slot[3].buf_idx), 1, a.tx->nr_buf_size);
	CHECK(a.mem[0] == 'v');
	CHECK(open("/dev/netmap", O_RDWR) == -1 && errno == ENOENT, "without a daemon there is no device");
	close_port(&a);
	close_port(&b);
	return 0;
}
