#include "attach.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "libc.h"

static const char socket_name[] = "/netmap.sock";

/* How long the daemon may take for an answer. */
enum { ANSWER_MS = 5000 };

/*
 * shared_dir checks a directory in /tmp, where anybody could have made it before
 * its owner: a link, somebody else's, or one that others can write to is refused.
 */
static int shared_dir(const char *dir)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return errno;
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return EACCES;
	return 0;
}

static bool serves(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* The order is that of Find in netmap/rundir. */
int nmd_socket_path(char path[NMD_PATH_MAX])
{
	static const char system_path[] = "/run/netmapd/netmap.sock";
	const char *env = secure_getenv("NETMAPD_RUNTIME_DIR"), *xdg = secure_getenv("XDG_RUNTIME_DIR");
	char own[NMD_PATH_MAX], cwd[NMD_PATH_MAX] = "";
	const char *dir = own;
	int err = 0;

	if (env && *env) {
		dir = env;
		if (*dir != '/' && !getcwd(cwd, sizeof cwd))
			return ENAMETOOLONG;
	} else if (geteuid() == 0) {
		dir = "/run/netmapd";
	} else if (xdg && *xdg == '/') {
		if (snprintf(own, sizeof own, "%s/netmapd", xdg) >= (int)sizeof own)
			return ENAMETOOLONG;
	} else {
		snprintf(own, sizeof own, "/tmp/netmapd-%u", (unsigned)geteuid());
		err = shared_dir(own);
	}
	size_t len = strlen(dir);
	while (len > 1 && dir[len - 1] == '/')
		len--;
	int n = snprintf(path, NMD_PATH_MAX, "%s%s%.*s%s", cwd, *cwd ? "/" : "", (int)len, dir, socket_name);
	if (n >= NMD_PATH_MAX)
		err = ENAMETOOLONG;
	/* One who has no daemon of his own gets the system's. */
	if (dir == own && (err || !serves(path)) && serves(system_path)) {
		memcpy(path, system_path, sizeof system_path);
		err = 0;
	}
	return err;
}

int nmd_connect(const char *path, bool cloexec)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	const struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | (cloexec ? SOCK_CLOEXEC : 0), 0);

	if (fd < 0)
		return -1;
	memcpy(sa.sun_path, path, strnlen(path, sizeof sa.sun_path - 1));
	/* A daemon that accepts nobody must not hang the program for good. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	while (connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
		if (errno == EINTR)
			continue;
		int err = errno;
		REAL(close)(fd);
		errno = err;
		return -1;
	}
	return fd;
}

bool nmd_peer_path(int fd, char path[NMD_PATH_MAX])
{
	struct sockaddr_un sa;
	socklen_t len = sizeof sa;
	int err = errno;

	memset(&sa, 0, sizeof sa);
	if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0) {
		errno = err;
		return false;
	}
	if (sa.sun_family != AF_UNIX || len <= offsetof(struct sockaddr_un, sun_path) || sa.sun_path[0] != '/')
		return false;
	size_t n = strnlen(sa.sun_path, sizeof sa.sun_path), m = sizeof socket_name - 1;
	if (n >= NMD_PATH_MAX || n <= m || memcmp(sa.sun_path + n - m, socket_name, m) != 0)
		return false;
	memcpy(path, sa.sun_path, n);
	path[n] = 0;
	return true;
}

void nmd_answer_done(struct nmd_answer *a)
{
	for (int i = 0; i < a->nfds; i++)
		if (a->fds[i] >= 0)
			REAL(close)(a->fds[i]);
	a->nfds = 0;
}

/* explain shows a refusal's text to a user who asked for it. */
static void explain(const struct nmd_answer *a, uint32_t err)
{
	if (secure_getenv("NETMAPD_EXPLAIN") && a->len > 0)
		fprintf(stderr, "netmapd: %.*s (errno %u)\n", (int)a->len, a->body, err);
}

/* take_fds takes the descriptors out of the control messages; none may leak. */
static void take_fds(struct msghdr *m, struct nmd_answer *a)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (a->nfds < NMD_MAX_FDS + 1)
				a->fds[a->nfds++] = fd;
			else
				REAL(close)(fd);
		}
	}
}

/* check_answer judges the form: 0, the daemon's errno, or EIO. */
static int check_answer(struct nmd_answer *a, ssize_t n, uint16_t type, int want_fds)
{
	struct nmd_header h;

	if (n < (ssize_t)sizeof h)
		return EIO;
	memcpy(&h, a->msg, sizeof h);
	if (h.magic != NMD_MAGIC || h.version != NMD_VERSION || h.length != (size_t)n ||
	    h.type != (type | NMD_ANSWER))
		return EIO;
	a->body = a->msg + sizeof h;
	a->len = (size_t)n - sizeof h;
	if (h.err) {
		explain(a, h.err);
		return h.err <= NMD_ERRNO_MAX ? (int)h.err : EIO;
	}
	/* A pipe brings more. */
	if (want_fds == NMD_BIND_FDS && a->nfds == NMD_PIPE_FDS)
		return 0;
	return a->nfds == want_fds || a->nfds == 0 ? 0 : EIO;
}

static int read_answer(int fd, uint16_t type, int want_fds, struct nmd_answer *a)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * (NMD_MAX_FDS + 1))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {a->msg, sizeof a->msg};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t n;
	int r;

	do
		r = REAL(poll)(&p, 1, ANSWER_MS);
	while (r < 0 && errno == EINTR);
	if (r <= 0)
		return r < 0 ? EIO : ETIMEDOUT;
	do
		n = REAL(recvmsg)(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return EIO;
	take_fds(&m, a);
	if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return EIO;
	return check_answer(a, n, type, want_fds);
}

/* send_request sends the message and with it the socket for the answer, and perhaps memory. */
static int send_request(int conn, int reply, int memory, struct iovec *iov, int n)
{
	union {
		char space[CMSG_SPACE(2 * sizeof(int))];
		struct cmsghdr align;
	} control;
	const int fds[2] = {reply, memory};
	const size_t size = memory < 0 ? sizeof reply : sizeof fds;
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n, .msg_control = &control, .msg_controllen = CMSG_SPACE(size)};
	ssize_t r;

	memset(&control, 0, sizeof control);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), fds, size);
	do
		r = sendmsg(conn, &m, MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r < 0 ? EIO : 0;
}

int nmd_request(int conn, uint16_t type, const struct iovec *parts, int nparts, int want_fds, struct nmd_answer *a)
{
	return nmd_request_with(conn, type, parts, nparts, -1, want_fds, a);
}

int nmd_request_with(int conn, uint16_t type, const struct iovec *parts, int nparts, int memory, int want_fds,
		     struct nmd_answer *a)
{
	enum { MAX_PARTS = 4 };
	struct nmd_header h = {NMD_MAGIC, NMD_VERSION, type, sizeof h, 0};
	struct iovec iov[1 + MAX_PARTS] = {{&h, sizeof h}};
	int pair[2], err;

	a->nfds = 0;
	a->len = 0;
	for (int i = 0; i < nparts && i < MAX_PARTS; i++) {
		iov[i + 1] = parts[i];
		h.length += (uint32_t)parts[i].iov_len;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	err = send_request(conn, pair[1], memory, iov, nparts + 1);
	/* Ours must go, so that the end of the daemon ends the wait for its answer. */
	REAL(close)(pair[1]);
	if (!err)
		err = read_answer(pair[0], type, want_fds, a);
	REAL(close)(pair[0]);
	if (err)
		nmd_answer_done(a);
	return err;
}
