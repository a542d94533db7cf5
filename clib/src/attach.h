/*
 * attach.h: talking to netmapd over its attach socket (wire.h), and this
 * process's sessions with it.
 */
#ifndef NMD_ATTACH_H
#define NMD_ATTACH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "wire.h"

enum {
	NMD_PATH_MAX = 108,   /* sun_path of unix(7) */
	NMD_ERRNO_MAX = 4095, /* the largest errno there can be */
};

/* An answer of the daemon, its form checked. What nobody took of fds, nmd_answer_done closes. */
struct nmd_answer {
	char msg[NMD_MAX_MESSAGE];
	char *body; /* after the header */
	size_t len;
	int fds[NMD_MAX_FDS + 1]; /* one more, to notice a surplus */
	int nfds;
};

void nmd_answer_done(struct nmd_answer *a);

/*
 * nmd_request sends a request on a connection and reads its answer, which must
 * bring want_fds descriptors. It returns 0, the errno that the daemon answered, or
 * EIO when there is no daemon or no sense in what it says.
 */
int nmd_request(int conn, uint16_t type, const struct iovec *parts, int nparts, int want_fds, struct nmd_answer *a);

/* nmd_request_with sends memory along, if that is a descriptor and not -1. */
int nmd_request_with(int conn, uint16_t type, const struct iovec *parts, int nparts, int memory, int want_fds,
		     struct nmd_answer *a);

/* nmd_connect makes a connection: a descriptor, or -1 with errno. */
int nmd_connect(const char *path, bool cloexec);

/* nmd_socket_path is the attach socket's path for this process: 0 or an errno. */
int nmd_socket_path(char path[NMD_PATH_MAX]);

/* nmd_peer_path: is fd connected to an attach socket, and to which? */
bool nmd_peer_path(int fd, char path[NMD_PATH_MAX]);

/*
 * A session is this process to one daemon. That its connection ends tells the
 * daemon that the process is gone, and the process that the daemon is.
 */
struct nmd_session {
	struct nmd_session *next;
	char path[NMD_PATH_MAX];
	_Atomic int conn;
	_Atomic int kick;
	atomic_bool dead;
	uint64_t token;
	uint32_t id; /* what we write into busy words; never 0 */
	int refs;    /* under nmd_lock */
};

/* nmd_lock guards the lists of sessions, regions and descriptors. Nobody waits for the
 * daemon while holding it. */
extern pthread_mutex_t nmd_lock;

/* nmd_session_get finds or makes the session with the daemon at path: 0 or an errno. */
int nmd_session_get(const char *path, struct nmd_session **s);
void nmd_session_put(struct nmd_session *s);

/* nmd_session_kick makes a daemon that sleeps look at the rings. */
void nmd_session_kick(struct nmd_session *s);

/* nmd_session_alive asks the kernel whether the daemon is still there. */
bool nmd_session_alive(struct nmd_session *s);

/* nmd_session_forked: in a child, all sessions are the parent's. */
void nmd_session_forked(void);

#endif
