/* port.h: what the test programs share. A check that fails ends the program with status 1. */
#ifndef PORT_H
#define PORT_H

#include <errno.h>
#include <fcntl.h>
#include <net/netmap.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/* An open port. */
struct port {
	int fd;
	char *mem;
	struct nmreq_register reg;
	struct netmap_if *nifp;
	struct netmap_ring *tx, *rx; /* the first of each, NULL for none */
};

static inline int request(int fd, int type, const char *name, void *body)
{
	struct nmreq_header h = {.nr_version = NETMAP_API, .nr_reqtype = (uint16_t)type, .nr_body = (uintptr_t)body};

	snprintf(h.nr_name, sizeof h.nr_name, "%s", name);
	return ioctl(fd, NIOCCTRL, &h);
}

/* bind_port registers and maps a descriptor that is open already. */
static inline struct port map_port(int fd, struct nmreq_register reg)
{
	struct port p = {.fd = fd, .reg = reg};

	p.mem = mmap(NULL, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p.mem != MAP_FAILED);
	p.nifp = (struct netmap_if *)(p.mem + reg.nr_offset);
	ssize_t t = p.nifp->ring_ofs[0], r = p.nifp->ring_ofs[p.nifp->ni_tx_rings + p.nifp->ni_host_tx_rings];
	p.tx = t ? (struct netmap_ring *)((char *)p.nifp + t) : NULL;
	p.rx = r ? (struct netmap_ring *)((char *)p.nifp + r) : NULL;
	return p;
}

static inline struct port open_port(const char *name, uint64_t flags)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC, .nr_flags = flags};
	int fd = open("/dev/netmap", O_RDWR);

	CHECK(fd >= 0, "open for %s", name);
	CHECK(request(fd, NETMAP_REQ_REGISTER, name, &reg) == 0, "register %s", name);
	return map_port(fd, reg);
}

static inline void close_port(struct port *p)
{
	CHECK(munmap(p->mem, p->reg.nr_memsize) == 0);
	CHECK(close(p->fd) == 0);
}

static inline uint32_t next(const struct netmap_ring *r, uint32_t i) { return i + 1 == r->num_slots ? 0 : i + 1; }
static inline char *buf(struct netmap_ring *r, uint32_t idx) { return (char *)r + r->buf_ofs + (size_t)idx * r->nr_buf_size; }
static inline uint32_t space(const struct netmap_ring *r)
{
	return r->tail >= r->head ? r->tail - r->head : r->tail + r->num_slots - r->head;
}

enum { FRAME = 60 };

/* put fills up to n frames, numbered from *seq, and returns how many there was room for. */
static inline unsigned put(struct netmap_ring *r, unsigned n, uint32_t *seq)
{
	unsigned k = 0;
	uint32_t i = r->head;

	for (; k < n && i != r->tail; k++, i = next(r, i), ++*seq) {
		char *b = buf(r, r->slot[i].buf_idx);
		memset(b, 0xff, 6);
		memset(b + 6, 2, 8);
		memcpy(b + 14, seq, sizeof *seq);
		r->slot[i].len = FRAME;
	}
	r->head = r->cur = i;
	return k;
}

/* get takes all frames there are, which must carry on from *seq; holes are allowed if lossy. */
static inline unsigned get(struct netmap_ring *r, uint32_t *seq, bool lossy)
{
	unsigned k = 0;
	uint32_t i = r->head;

	for (; i != r->tail; k++, i = next(r, i)) {
		uint32_t n;
		CHECK(r->slot[i].len == FRAME, "length %d", r->slot[i].len);
		memcpy(&n, buf(r, r->slot[i].buf_idx) + 14, sizeof n);
		CHECK(lossy ? n >= *seq : n == *seq, "frame %u, want %u", n, *seq);
		*seq = n + 1;
	}
	r->head = r->cur = i;
	return k;
}

static inline int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static inline short poll_one(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, ms);

	CHECK(n >= 0);
	CHECK(n == (p.revents != 0), "poll says %d, revents %#x", n, p.revents);
	return p.revents;
}

/* join_child waits for a child that has to succeed. */
static inline void join_child(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child ended with status %#x", status);
}

#endif
