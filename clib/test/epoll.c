/*
 * epoll N: a level-triggered receiver with two netmap descriptors, a timer and a
 * socket takes N frames from a process that was sending before it opened (POL-19).
 */
#include "port.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

/* The program's own data, which have to come back as they are. */
enum { ONE = 0x11, TWO = 0x22, TIMER = 0x33, SOCKET = 0x44 };
static uint64_t data(uint64_t what) { return what << 56 | (0xabcdef + what); }

static int watch(int ep, int fd, uint32_t events, uint64_t what)
{
	struct epoll_event ev = {.events = events, .data.u64 = data(what)};

	return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
}

/* sender sends for ever, in bursts with gaps, so that the receiver sleeps again and again. */
static void sender(const char *name)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct port p = open_port(name, 0);
	uint32_t seq = 0;

	for (unsigned i = 0;; i++) {
		CHECK(poll_one(p.fd, POLLOUT, 10000) == POLLOUT);
		put(p.tx, 1 + i % 97, &seq);
		CHECK(ioctl(p.fd, NIOCTXSYNC, NULL) == 0);
		if (i % 5 == 0)
			usleep(50);
	}
}

static pid_t start(const char *name)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		sender(name);
	return pid;
}

static void stream(uint32_t total)
{
	pid_t one = start("vale5:s"), two = start("vale4:s");
	usleep(50000); /* traffic before the open */
	struct port p[2] = {open_port("vale5:r", 0), open_port("vale4:r", 0)};
	int ep = epoll_create1(0), s[2], timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec tick = {{0, 1000000}, {0, 1000000}};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	CHECK(timerfd_settime(timer, 0, &tick, NULL) == 0);
	CHECK(watch(ep, p[0].fd, EPOLLIN, ONE) == 0 && watch(ep, p[1].fd, EPOLLIN, TWO) == 0);
	CHECK(watch(ep, timer, EPOLLIN, TIMER) == 0 && watch(ep, s[0], EPOLLIN, SOCKET) == 0);

	uint32_t got[2] = {0}, seq[2] = {0}, ticks = 0, words = 0;
	char c = 0;
	while (got[0] < total || got[1] < total || ticks < 10) {
		struct epoll_event ev[3];
		int n = epoll_wait(ep, ev, 3, 10000);
		CHECK(n > 0, "stalled after %u and %u frames", got[0], got[1]);
		for (int i = 0; i < n; i++) {
			uint64_t what = ev[i].data.u64 >> 56;
			CHECK(ev[i].data.u64 == data(what) && ev[i].events == EPOLLIN, "events %#x data %#lx", ev[i].events, ev[i].data.u64);
			uint64_t expired;
			switch (what) {
			case ONE:
			case TWO:
				got[what == TWO] += get(p[what == TWO].rx, &seq[what == TWO], true);
				break;
			case TIMER:
				CHECK(read(timer, &expired, sizeof expired) == sizeof expired);
				ticks++;
				CHECK(write(s[1], &c, 1) == 1);
				break;
			case SOCKET:
				CHECK(read(s[0], &c, 1) == 1);
				words++;
				break;
			default:
				CHECK(false, "event of nothing");
			}
		}
	}
	CHECK(words > 0, "the socket starved");
	kill(one, SIGKILL);
	kill(two, SIGKILL);
	CHECK(waitpid(one, NULL, 0) == one && waitpid(two, NULL, 0) == two);
	close(ep);
	close_port(&p[0]);
	close_port(&p[1]);
}

static int wait_one(int ep, int ms, struct epoll_event *ev)
{
	int n = epoll_wait(ep, ev, 1, ms);

	CHECK(n >= 0);
	return n;
}

static void rules(void)
{
	struct port a = open_port("vale5:a", 0), b = open_port("vale5:b", 0);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 7};
	int ep = epoll_create(1);
	uint32_t sent = 0, got = 0;

	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev) == -1 && errno == ENOENT);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, b.fd, NULL) == -1 && errno == ENOENT);
	CHECK(epoll_ctl(a.fd, EPOLL_CTL_ADD, b.fd, &ev) == -1 && errno == EINVAL);
	CHECK(epoll_ctl(-1, EPOLL_CTL_ADD, b.fd, &ev) == -1 && errno == EBADF);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, b.fd, &ev) == -1 && errno == EEXIST);
	CHECK(epoll_wait(ep, &ev, 0, 0) == -1 && errno == EINVAL);
	CHECK(wait_one(ep, 20, &ev) == 0);

	put(a.tx, 3, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	for (int i = 0; i < 3; i++) /* level-triggered */
		CHECK(wait_one(ep, 10000, &ev) == 1 && ev.data.u64 == 7 && ev.events == EPOLLIN);

	/* A poll of the epoll itself says the same, as event loops in event loops do. */
	CHECK(poll_one(ep, POLLIN, 10000) == POLLIN);
	get(b.rx, &got, false);
	CHECK(wait_one(ep, 20, &ev) == 0);
	CHECK(poll_one(ep, POLLIN, 20) == 0);

	/* One shot. */
	ev = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = 8};
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev) == 0);
	put(a.tx, 1, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	CHECK(wait_one(ep, 10000, &ev) == 1 && ev.data.u64 == 8);
	CHECK(wait_one(ep, 20, &ev) == 0);
	ev = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.u64 = 9};
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, b.fd, &ev) == 0);
	CHECK(wait_one(ep, 10000, &ev) == 1 && ev.data.u64 == 9);
	CHECK(wait_one(ep, 20, &ev) == 0, "an edge came twice");
	put(a.tx, 1, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	CHECK(wait_one(ep, 10000, &ev) == 1, "the next edge");

	/* A descriptor that is registered after it was added; before, it is in error. */
	int fd = open("/dev/netmap", O_RDWR), dup_ep = dup(ep);
	ev = (struct epoll_event){.events = EPOLLOUT, .data.u64 = 10};
	CHECK(epoll_ctl(dup_ep, EPOLL_CTL_ADD, fd, &ev) == 0);
	CHECK(wait_one(ep, 10000, &ev) == 1 && ev.data.u64 == 10 && ev.events & EPOLLERR);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	CHECK(request(fd, NETMAP_REQ_REGISTER, "vale5:late", &reg) == 0);
	CHECK(wait_one(ep, 10000, &ev) == 1 && ev.data.u64 == 10 && ev.events == EPOLLOUT);
	CHECK(close(fd) == 0); /* which takes it out */
	CHECK(wait_one(dup_ep, 20, &ev) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, b.fd, NULL) == 0);
	CHECK(close(ep) == 0 && wait_one(dup_ep, 20, &ev) == 0);
	close(dup_ep);
	close_port(&a);
	close_port(&b);
}

int main(int argc, char **argv)
{
	rules();
	stream(argc > 1 ? (uint32_t)atoi(argv[1]) : 100000);
	return 0;
}
