//go:build ignore

/*
 * traffic.c: the driver's commands that move many frames, or do many things at
 * once, which would take too long one command at a time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "driver.h"

/* threads FD COUNT: two threads sync both ways, COUNT times each; says how many calls failed. */
static struct {
	int fd;
	long count;
} job;

static void *syncs(void *unused)
{
	long bad = 0;
	(void)unused;
	for (long i = 0; i < job.count; i++)
		bad += (ioctl(job.fd, NIOCTXSYNC, NULL) != 0) + (ioctl(job.fd, NIOCRXSYNC, NULL) != 0);
	return (void *)bad;
}

void do_threads(void)
{
	pthread_t t[2];
	void *bad[2] = {NULL, NULL};
	job.fd = (int)number();
	job.count = number();
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, syncs, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], &bad[i]);
	printf("0 %ld\n", (long)bad[0] + (long)bad[1]);
}

/* A ring in a mapping: MAP OFFSET. */
static struct netmap_ring *ring(void)
{
	long m = number();
	return mapped(m, number());
}

static char *buffer(struct netmap_ring *r, uint32_t i)
{
	return (char *)r + r->buf_ofs + (uint64_t)r->slot[i].buf_idx * r->nr_buf_size;
}

static uint32_t after(struct netmap_ring *r, uint32_t i) { return i + 1 == r->num_slots ? 0 : i + 1; }

/*
 * feed FD MAP OFFSET START END GAP: sends the broadcasts of 60 bytes numbered so; after
 * every GAP of them, when GAP is not 0, it yields the CPU, so that a slow receiver is
 * not outrun.
 */
void do_feed(void)
{
	struct pollfd p = {(int)number(), POLLOUT, 0};
	struct netmap_ring *r = ring();
	uint32_t seq = (uint32_t)number(), end = (uint32_t)number();
	long gap = number();
	while (seq < end) {
		if (poll(&p, 1, 10000) != 1 || p.revents != POLLOUT) {
			printf("%d %u\n", EIO, seq);
			return;
		}
		for (long k = 0; r->head != r->tail && seq < end && (gap == 0 || k < gap); k++, seq++) {
			char *f = buffer(r, r->head);
			memset(f, 0xff, 6);
			memset(f + 6, 2, 8);
			memcpy(f + 14, &seq, sizeof(seq));
			r->slot[r->head].len = 60;
			r->slot[r->head].flags = 0;
			r->head = r->cur = after(r, r->head);
		}
		ioctl(p.fd, NIOCTXSYNC, NULL);
		if (gap)
			usleep(1);
	}
	printf("0 %u\n", seq);
}

/*
 * drain HOW FD MAP OFFSET COUNT: receives until the frame numbered COUNT-1 has come, by
 * poll or epoll. It answers the number of frames, of those out of order, and of waits
 * that timed out.
 */
void do_drain(void)
{
	int by_epoll = strcmp(word(), "epoll") == 0, fd = (int)number(), e = -1;
	struct netmap_ring *r = ring();
	long count = number(), got = 0, disorder = 0, stalls = 0;
	struct epoll_event ev = {.events = EPOLLIN};
	uint32_t want = 0, seq = 0;

	if (by_epoll) {
		e = epoll_create1(0);
		if (e < 0 || epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev) < 0) {
			printf("%d 0 0 0\n", errno);
			return;
		}
	}
	while (seq + 1 != (uint32_t)count && stalls < 3) {
		struct pollfd p = {fd, POLLIN, 0};
		int n = by_epoll ? epoll_wait(e, &ev, 1, 10000) : poll(&p, 1, 10000);
		if (n < 1)
			stalls++;
		while (r->head != r->tail) {
			memcpy(&seq, buffer(r, r->head) + 14, sizeof(seq));
			disorder += got > 0 && seq + 1 < want; /* the last one may come twice */
			want = seq + 1;
			got++;
			r->head = r->cur = after(r, r->head);
		}
	}
	if (e >= 0)
		close(e);
	printf("0 %ld %ld %ld\n", got, disorder, stalls);
}

/*
 * relay IN OUT MAP RX TX COUNT: forwards from the RX ring of one descriptor to the TX ring of another by exchanging
 * buffers, until the frame numbered COUNT-1 has gone.
 */
void do_relay(void)
{
	struct pollfd p = {(int)number(), POLLIN, 0};
	int out = (int)number();
	long m = number(), rxo = number(), txo = number(), moved = 0;
	uint32_t last = (uint32_t)number() - 1, seq = last + 1;
	struct netmap_ring *rx = mapped(m, rxo), *tx = mapped(m, txo);
	while (seq != last) {
		if (poll(&p, 1, 10000) != 1) {
			printf("%d %ld\n", ETIMEDOUT, moved);
			return;
		}
		for (; rx->head != rx->tail && tx->head != tx->tail; moved++) {
			struct netmap_slot *r = &rx->slot[rx->head], *t = &tx->slot[tx->head];
			uint32_t idx = t->buf_idx;
			memcpy(&seq, buffer(rx, rx->head) + 14, sizeof(seq));
			t->buf_idx = r->buf_idx;
			r->buf_idx = idx;
			t->len = r->len;
			t->flags = r->flags = NS_BUF_CHANGED;
			rx->head = rx->cur = after(rx, rx->head);
			tx->head = tx->cur = after(tx, tx->head);
		}
		ioctl(out, NIOCTXSYNC, NULL);
	}
	printf("0 %ld\n", moved);
}

/*
 * mix FD1 MAP1 RX1 FD2 MAP2 RX2 COUNT: epoll on two netmap descriptors, a timer of 1 ms and a socket that each tick
 * writes to, until COUNT frames have come. It answers the frames of each port, the ticks, the bytes read from the
 * socket, and the waits that timed out.
 */
void do_mix(void)
{
	int fds[4], socks[2], e = epoll_create1(0);
	struct netmap_ring *r[2];
	long count, got[2] = {0, 0}, ticks = 0, bytes = 0, stalls = 0;
	struct itimerspec every = {{0, 1000000}, {0, 1000000}};
	uint64_t v;
	for (int i = 0; i < 2; i++) {
		fds[i] = (int)number();
		r[i] = ring();
	}
	count = number();
	fds[2] = timerfd_create(CLOCK_MONOTONIC, 0);
	timerfd_settime(fds[2], 0, &every, NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
		exit(1);
	fds[3] = socks[0];
	for (uint32_t i = 0; i < 4; i++) {
		struct epoll_event ev = {EPOLLIN, {.u32 = i}};
		if (epoll_ctl(e, EPOLL_CTL_ADD, fds[i], &ev) < 0) {
			printf("%d 0 0 0 0 0\n", errno);
			return;
		}
	}
	while (got[0] + got[1] < count && stalls == 0) {
		struct epoll_event ev[4];
		int n = epoll_wait(e, ev, 4, 10000);
		stalls += n < 1;
		for (int k = 0; k < n; k++) {
			uint32_t i = ev[k].data.u32;
			if (i < 2) {
				for (; r[i]->head != r[i]->tail; got[i]++)
					r[i]->head = r[i]->cur = after(r[i], r[i]->head);
			} else if (i == 2) {
				ticks += read(fds[2], &v, sizeof(v)) == sizeof(v) && write(socks[1], "x", 1) == 1;
			} else {
				bytes += read(socks[0], &v, 1);
			}
		}
	}
	printf("0 %ld %ld %ld %ld %ld\n", got[0], got[1], ticks, bytes, stalls);
	close(e);
}

/*
 * echo HOW FD MAP TX RX COUNT: COUNT times one frame out, and one frame back; "first" begins. Between any
 * two frames both sides sleep: each is a race of a wake-up.
 */
void do_echo(void)
{
	int first = strcmp(word(), "first") == 0;
	struct pollfd p = {(int)number(), POLLIN, 0};
	long m = number(), txo = number(), rxo = number(), count = number();
	struct netmap_ring *tx = mapped(m, txo), *rx = mapped(m, rxo);
	for (long i = 0; i < count; i++) {
		for (int step = 0; step < 2; step++) {
			if ((step == 0) == first) {
				char *f = buffer(tx, tx->head);
				memset(f, 0xff, 6);
				memset(f + 6, 2, 54);
				tx->slot[tx->head].len = 60;
				tx->slot[tx->head].flags = 0;
				tx->head = tx->cur = after(tx, tx->head);
				ioctl(p.fd, NIOCTXSYNC, NULL);
				continue;
			}
			while (rx->head == rx->tail) {
				if (poll(&p, 1, 10000) != 1) {
					printf("%d %ld\n", ETIMEDOUT, i);
					return;
				}
			}
			rx->head = rx->cur = after(rx, rx->head);
		}
	}
	printf("0 %ld\n", count);
}

/* How many descriptors this process has. */
static long open_files(void)
{
	long n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* cycles COUNT HEADER BODY: opens, registers, maps, syncs, unmaps and closes; says how many descriptors were lost. */
void do_cycles(void)
{
	long count = number(), before = 0;
	struct nmreq_header h0 = {0}, h;
	struct nmreq_register r0 = {0}, r;
	unhex(word(), (unsigned char *)&h0, sizeof(h0));
	unhex(word(), (unsigned char *)&r0, sizeof(r0));
	for (long i = 0; i < count; i++) {
		int fd = open("/dev/netmap", O_RDWR);
		void *p;
		h = h0;
		r = r0;
		h.nr_body = (uint64_t)(uintptr_t)&r;
		if (fd < 0 || ioctl(fd, NIOCCTRL, &h) < 0) {
			printf("%d %ld\n", errno, i);
			return;
		}
		p = mmap(NULL, r.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p == MAP_FAILED || ioctl(fd, NIOCTXSYNC, NULL) < 0 || munmap(p, r.nr_memsize) < 0 || close(fd) < 0) {
			printf("%d %ld\n", errno, i);
			return;
		}
		if (i == 0)
			before = open_files();
	}
	printf("0 %ld\n", open_files() - before);
}
