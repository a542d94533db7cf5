#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../src/abi.h"
#include "../src/libc.h"
#include "../src/usermem.h"

enum { MAX_CONNS = 8, SYNC_SIZE = 4096, FILES = 1024, OURS = FILES / 4 * 3 };

char *arena;

static struct lie lie;
static int conns[MAX_CONNS], nconns; /* the daemon's ends */
static int regions[2], syncs[2];     /* sealed, and not */
static int sleeper[2], lowest[2];

/* sanitizers see a memcpy, not what the kernel copies; and nothing but the arena may be written to. */
static char *user(uint64_t at, size_t n)
{
	return at >= ARENA_AT && n <= ARENA_SIZE && at - ARENA_AT <= ARENA_SIZE - n ? arena + (at - ARENA_AT) : NULL;
}

int nmd_copy_in(void *to, uint64_t from, size_t n)
{
	char *p = user(from, n);

	if (n && !p)
		return EFAULT;
	if (n)
		memcpy(to, p, n);
	return 0;
}

int nmd_copy_out(uint64_t to, const void *from, size_t n)
{
	char *p = user(to, n);

	if (n && !p)
		return EFAULT;
	if (n)
		memcpy(p, from, n);
	return 0;
}

void nmd_copy_many(struct nmd_copy *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		c[i].fault = nmd_copy_in(c[i].to, c[i].from, c[i].n) != 0;
}

int world_connection(void)
{
	int pair[2];

	must(nconns < MAX_CONNS && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	conns[nconns++] = pair[1];
	return pair[0];
}

/* The linker sends the library's calls of nmd_connect here. */
int __wrap_nmd_connect(const char *path, bool cloexec);
int __wrap_nmd_connect(const char *path, bool cloexec)
{
	(void)path, (void)cloexec;
	return world_connection();
}

/* take receives a request, if there is one, and the socket for its answer. */
static int take(int conn, char *buf, size_t size)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buf, size};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	int fd;

	if (recvmsg(conn, &m, MSG_DONTWAIT) < (ssize_t)sizeof(struct nmd_header))
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	must(c && c->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

static void give(int reply, struct iovec *iov, int n, int nfds)
{
	union {
		char space[CMSG_SPACE(sizeof(int) * (NMD_MAX_FDS + 2))];
		struct cmsghdr align;
	} control;
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
	int fds[NMD_MAX_FDS + 2] = {regions[lie.unsealed], syncs[lie.unsealed], sleeper[0], sleeper[0], sleeper[0], sleeper[0]};

	if (nfds > 0) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)nfds);
	}
	must(sendmsg(reply, &m, MSG_NOSIGNAL) >= 0);
}

static void answer(int reply, uint16_t type)
{
	struct nmd_session_answer sa = {.token = 1, .id = 1};
	struct nmd_header h = {NMD_MAGIC, NMD_VERSION, type | NMD_ANSWER, sizeof h, 0};
	struct iovec iov[2] = {{&h, sizeof h}, {&sa, sizeof sa}};
	bool lying = type == lie.to;

	if (lying)
		iov[1] = (struct iovec){(void *)(uintptr_t)lie.msg, lie.len};
	h.length += (uint32_t)iov[1].iov_len;
	if (lying && lie.whole)
		give(reply, iov + 1, 1, lie.nfds);
	else
		give(reply, iov, 2, lying ? lie.nfds : 1);
}

/* The library waits with poll for its answer: that is when the daemon runs. */
static int daemon_runs(struct pollfd *p, nfds_t n, int timeout)
{
	static char buf[NMD_MAX_MESSAGE];

	for (int i = 0; i < nconns; i++) {
		int reply = take(conns[i], buf, sizeof buf);
		if (reply >= 0) {
			answer(reply, ((struct nmd_header *)(void *)buf)->type);
			close(reply);
		}
	}
	(void)timeout;
	return poll(p, n, 0);
}

static int memory(const char *name, off_t size, bool seal)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && ftruncate(fd, size) == 0);
	must(!seal || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	return fd;
}

/* free_numbers finds the first free number where programs' descriptors are, and where the library's own are (fdtab.c). */
static void free_numbers(int at[2])
{
	for (int i = 0; i < 2; i++) {
		at[i] = fcntl(sleeper[0], F_DUPFD_CLOEXEC, i == 0 ? 0 : OURS);
		must(at[i] >= 0);
		close(at[i]);
	}
}

static void make_world(void)
{
	struct rlimit files = {FILES, FILES};

	must(setrlimit(RLIMIT_NOFILE, &files) == 0);
	arena = mmap((void *)(uintptr_t)ARENA_AT, ARENA_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	must(arena != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		regions[i] = memory("region", REGION_SIZE, i == 0);
		syncs[i] = memory("sync", SYNC_SIZE, i == 0);
	}
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sleeper) == 0);
	nmd_libc_init();
	nmd_libc.poll = daemon_runs;
	setenv("NETMAPD_RUNTIME_DIR", "/fuzz", 1);
}

void world_set(const struct lie *l)
{
	static const uint32_t rings[2] = {1, 1};

	if (!arena)
		make_world();
	free_numbers(lowest);
	lie = *l;
	must(pwrite(regions[lie.unsealed], rings, sizeof rings, offsetof(struct nmd_if, tx_rings)) == sizeof rings);
	must(pwrite(regions[lie.unsealed], lie.ring_ofs, sizeof lie.ring_ofs, sizeof(struct nmd_if)) == sizeof lie.ring_ofs);
}

void world_kill(void)
{
	while (nconns > 0)
		close(conns[--nconns]);
}

/* No descriptor may be left of an input. */
void world_end(void)
{
	int now[2];

	world_kill();
	free_numbers(now);
	must(now[0] == lowest[0] && now[1] == lowest[1]);
}
