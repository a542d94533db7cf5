/* epoll.h: netmap descriptors in an epoll (NC D.6). */
#ifndef NMD_EPOLL_H
#define NMD_EPOLL_H

#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "desc.h"
#include "poll.h"

struct nmd_epset;

/* nmd_epset_get: the set behind an epoll descriptor, NULL if no netmap descriptor ever was in it. */
struct nmd_epset *nmd_epset_get(int epfd);
void nmd_epset_put(struct nmd_epset *e);

/* nmd_epoll_ctl is epoll_ctl for a netmap descriptor; d is what fd stands for. */
int nmd_epoll_ctl(int epfd, int op, int fd, struct nmd_desc *d, const struct epoll_event *ev);

/* nmd_epoll_wait is epoll_pwait on such a set. */
int nmd_epoll_wait(struct nmd_epset *e, int epfd, struct epoll_event *evs, int max, struct nmd_deadline until,
		   const sigset_t *mask);

/* nmd_epset_look: would a wait find a netmap descriptor ready? nmd_epset_arm: see nmd_arm_for. */
bool nmd_epset_look(struct nmd_epset *e, unsigned *out);
void nmd_epset_arm(struct nmd_epset *e);

/* nmd_epoll_dup: to is a duplicate of from. nmd_epoll_closed: epfd goes. */
void nmd_epoll_dup(int from, int to);
void nmd_epoll_closed(int epfd);

/* nmd_epoll_forget takes a descriptor out of all sets, as the kernel does at its last close. */
void nmd_epoll_forget(struct nmd_desc *d);

void nmd_epoll_forked(void);

#endif
