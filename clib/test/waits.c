/* waits: poll, ppoll and select, with netmap descriptors among others (NC G.8). */
#include "port.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

static struct port a, b;
static uint32_t sent, got;
static unsigned yields;

/* sched_yield is what a poll calls that looks for long before it sleeps. */
int sched_yield(void)
{
	yields++;
	return 0;
}

/* later sends one frame after a while. */
static void *later(void *unused)
{
	usleep(20000);
	put(a.tx, 1, &sent);
	CHECK(poll_one(a.fd, 0, 0) == 0, "POL-11: pushes, reports nothing");
	return unused;
}

static pthread_t start_later(void)
{
	pthread_t t;

	CHECK(pthread_create(&t, NULL, later, NULL) == 0);
	return t;
}

static void take(void)
{
	CHECK(ioctl(b.fd, NIOCRXSYNC, NULL) == 0);
	get(b.rx, &got, false);
	CHECK(ioctl(b.fd, NIOCRXSYNC, NULL) == 0);
}

static void polls(void)
{
	CHECK(poll_one(a.fd, POLLOUT, 10000) == POLLOUT, "POL-03");
	CHECK(poll_one(b.fd, POLLIN, 0) == 0);
	int64_t t0 = now_ms();
	CHECK(poll_one(b.fd, POLLIN, 50) == 0);
	CHECK(now_ms() - t0 >= 49, "the timeout was cut short");
	pthread_t t = start_later();
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN, "POL-06");
	pthread_join(t, NULL);
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN && space(b.rx) == 1, "POL-07");
	b.rx->cur = b.rx->tail; /* held, not released */
	t = start_later();
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN && space(b.rx) == 2, "POL-08");
	pthread_join(t, NULL);
	take();
	CHECK(poll_one(a.fd, POLLIN | POLLOUT, 10000) == POLLOUT, "POL-17");

	/* POL-09: a poll for frames sends, too. */
	put(a.tx, 1, &sent);
	CHECK(poll_one(a.fd, POLLIN, 0) == 0);
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN);
	take();

	b.rx->head = 1 << 30;
	CHECK(poll_one(b.fd, POLLIN, 0) & POLLERR, "POL-16");
	t = start_later();
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN, "POL-16");
	pthread_join(t, NULL);
	take();
}

/* POL-20: whatever becomes ready ends the wait, and only that is reported. */
static void mixed(void)
{
	int s[2], timer = timerfd_create(CLOCK_MONOTONIC, 0);
	char c = 0;
	CHECK(timer >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	struct pollfd p[] = {{.fd = timer, .events = POLLIN}, {.fd = b.fd, .events = POLLIN}, {.fd = -5, .revents = 9}, {.fd = s[0], .events = POLLIN}};

	struct itimerspec soon = {.it_value.tv_nsec = 20000000};
	CHECK(timerfd_settime(timer, 0, &soon, NULL) == 0);
	CHECK(poll(p, 4, 10000) == 1 && p[0].revents == POLLIN && !p[1].revents && !p[2].revents && !p[3].revents, "timer");
	CHECK(write(s[1], &c, 1) == 1);
	CHECK(poll(p, 4, 10000) == 2 && p[0].revents && p[3].revents == POLLIN, "socket");
	pthread_t t = start_later();
	p[0].fd = -1;
	p[3].events = 0;
	struct timespec ten = {.tv_sec = 10};
	CHECK(ppoll(p, 4, &ten, NULL) == 1 && p[1].revents == POLLIN && !p[3].revents, "netmap");
	pthread_join(t, NULL);
	p[3].events = POLLIN;
	CHECK(poll(p, 4, -1) == 2 && p[1].revents && p[3].revents, "netmap and socket");
	CHECK(close(s[1]) == 0 && read(s[0], &c, 1) == 1);
	take();
	CHECK(poll(p, 4, -1) == 1 && p[3].revents == (POLLIN | POLLHUP), "hangup: %#x", p[3].revents);
	p[3].fd = 999;
	CHECK(poll(p, 4, -1) == 1 && p[3].revents == POLLNVAL);
	close(s[0]);
	close(timer);
}

/* A poll that something else ends, again and again, does not spend its time with a port where nothing happens. */
static void others(void)
{
	struct pollfd p[] = {{.fd = b.fd, .events = POLLIN}, {.fd = eventfd(1, 0), .events = POLLIN}};

	yields = 0;
	for (int i = 0; i < 50; i++)
		CHECK(poll(p, 2, -1) == 1 && !p[0].revents && p[1].revents == POLLIN);
	CHECK(yields == 0, "%u looks at the port instead", yields);
	close(p[1].fd);
}

static void selects(void)
{
	fd_set in, out;
	struct timeval tv = {.tv_usec = 30000};
	int pipefd[2];
	CHECK(pipe(pipefd) == 0);
#define SETS()                           \
	do {                             \
		FD_ZERO(&in);            \
		FD_ZERO(&out);           \
		FD_SET(b.fd, &in);       \
		FD_SET(pipefd[0], &in);  \
	} while (0)
	SETS();
	CHECK(select(64, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(b.fd, &in) && tv.tv_usec == 0, "timeout");
	SETS();
	pthread_t t = start_later();
	CHECK(select(64, &in, NULL, NULL, NULL) == 1 && FD_ISSET(b.fd, &in) && !FD_ISSET(pipefd[0], &in), "frame");
	pthread_join(t, NULL);
	SETS();
	FD_SET(a.fd, &out);
	CHECK(write(pipefd[1], "", 1) == 1);
	CHECK(pselect(64, &in, &out, NULL, NULL, NULL) == 3 && FD_ISSET(pipefd[0], &in) && FD_ISSET(a.fd, &out), "all");
	take();
	int fd = open("/dev/netmap", O_RDWR); /* POL-18: in error */
	SETS();
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	CHECK(select(64, &in, &out, NULL, NULL) >= 2 && FD_ISSET(fd, &in) && FD_ISSET(fd, &out), "POL-18");
	close(fd);
	close(pipefd[0]);
	close(pipefd[1]);
}

static void on_alarm(int sig) { (void)sig; }

static void interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval it = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &it, NULL) == 0);
	struct pollfd p = {.fd = b.fd, .events = POLLIN};
	CHECK(poll(&p, 1, -1) == -1 && errno == EINTR);
	CHECK(setitimer(ITIMER_REAL, &off, NULL) == 0);
}

/* Two threads wait for the same descriptor: a message for one must not be the other's loss. */
static void *waiter(void *unused)
{
	for (int i = 0; i < 200; i++) {
		CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN, "a waiter was forgotten");
		usleep(100);
	}
	return unused;
}

static void two_waiters(void)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&t[i], NULL, waiter, NULL) == 0);
	for (int i = 0; i < 2000; i++) {
		put(a.tx, 1, &sent);
		CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
		usleep(100);
		if (i % 4 == 0)
			take();
	}
	put(a.tx, 1, &sent);
	CHECK(ioctl(a.fd, NIOCTXSYNC, NULL) == 0);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	take();
}

int main(void)
{
	a = open_port("vale6:a", 0);
	b = open_port("vale6:b", 0);
	polls();
	mixed();
	others();
	selects();
	interrupted();
	two_waiters();
	close_port(&b);
	/* POL-10. */
	b = open_port("vale6:b", 0);
	got = sent;
	close_port(&a);
	a = open_port("vale6:a", NR_NO_TX_POLL);
	put(a.tx, 1, &sent);
	CHECK(poll_one(a.fd, POLLIN, 0) == 0);
	CHECK(ioctl(b.fd, NIOCRXSYNC, NULL) == 0 && space(b.rx) == 0, "POL-10");
	CHECK(poll_one(a.fd, POLLOUT, 0) == POLLOUT);
	CHECK(poll_one(b.fd, POLLIN, 10000) == POLLIN);
	return 0;
}
