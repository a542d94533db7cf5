/* poll.h: the poll family with netmap descriptors among others (NC D.6). */
#ifndef NMD_POLL_H
#define NMD_POLL_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A limit of time: nothing, for ever, or until a point of CLOCK_MONOTONIC. */
struct nmd_deadline {
	enum { NMD_NOW, NMD_FOREVER, NMD_UNTIL } kind;
	struct timespec at;
};

/* nmd_deadline_in makes one of a poll timeout in milliseconds or of a relative time. */
struct nmd_deadline nmd_deadline_ms(int ms);
struct nmd_deadline nmd_deadline_in(const struct timespec *ts);

/* nmd_deadline_left is the time left, at most cap nanoseconds unless that is 0; NULL is for ever. */
const struct timespec *nmd_deadline_left(const struct nmd_deadline *d, int64_t cap, struct timespec *ts);
bool nmd_deadline_passed(const struct nmd_deadline *d);

/* nmd_poll_any: is any of the descriptors one of netmap's? */
bool nmd_poll_any(const struct pollfd *fds, nfds_t n);

/* nmd_ppoll is ppoll for a set with at least one of them. */
int nmd_ppoll(struct pollfd *fds, nfds_t n, struct nmd_deadline until, const sigset_t *mask);

#endif
