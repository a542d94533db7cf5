/*
 * processes: a descriptor in several processes (NC B.11, G.9), and programs that
 * close everything. With "child FD OFFSET SIZE" it is the one that was started
 * with a descriptor, or receives one on FD.
 */
#include "port.h"

#include <dirent.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static void exchange(struct port *a, struct port *b, uint32_t n)
{
	static uint32_t sent, got;

	got = sent;
	for (uint32_t end = sent + n; sent < end;) {
		put(a->tx, 1, &sent);
		CHECK(ioctl(a->fd, NIOCTXSYNC, NULL) == 0);
		CHECK(poll_one(b->fd, POLLIN, 10000) == POLLIN);
		CHECK(get(b->rx, &got, false) == 1);
	}
	CHECK(ioctl(b->fd, NIOCRXSYNC, NULL) == 0);
}

/* receive_all reads n frames on a port by poll. */
static void receive_all(struct port *p, uint32_t n)
{
	uint32_t got = 0;

	while (got < n) {
		CHECK(poll_one(p->fd, POLLIN, 10000) == POLLIN, "after %u of %u frames", got, n);
		get(p->rx, &got, false);
	}
	CHECK(ioctl(p->fd, NIOCRXSYNC, NULL) == 0);
}

static void send_all(struct port *p, uint32_t n)
{
	for (uint32_t sent = 0; sent < n;) {
		put(p->tx, 10, &sent);
		CHECK(ioctl(p->fd, NIOCTXSYNC, NULL) == 0);
		usleep(100);
	}
}

enum { FRAMES = 1000 };

/* CLS-03: the child uses what the parent opened; the parent goes on after it. */
static void forks(struct port *a, struct port *b)
{
	exchange(a, b, 10);
	pid_t pid = fork();
	if (pid == 0) {
		receive_all(b, FRAMES);
		struct port own = open_port("vale3:own", 0);
		close_port(&own);
		exit(0);
	}
	send_all(a, FRAMES);
	join_child(pid);
	exchange(a, b, 10);

	/* The child registers, the parent uses it. */
	int fd = open("/dev/netmap", O_RDWR), pipefd[2];
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	CHECK(pipe(pipefd) == 0);
	CHECK(ioctl(fd, NIOCRXSYNC, NULL) == -1 && errno == ENXIO);
	if ((pid = fork()) == 0) {
		CHECK(request(fd, NETMAP_REQ_REGISTER, "vale3:late", &reg) == 0);
		CHECK(write(pipefd[1], &reg, sizeof reg) == sizeof reg);
		exit(0);
	}
	CHECK(read(pipefd[0], &reg, sizeof reg) == sizeof reg);
	join_child(pid);
	CHECK(poll_one(fd, POLLOUT, 1000) == POLLOUT);
	struct port p = map_port(fd, reg);
	exchange(&p, b, 10);
	close_port(&p);

	/* A child of vfork closes things in its own table only. */
	CHECK((pid = vfork()) >= 0);
	if (pid == 0) {
		close(a->fd);
		close(b->fd);
		_exit(0);
	}
	join_child(pid);
	exchange(a, b, 10);
	CHECK(system("true") == 0);
	exchange(a, b, 10);
}

static pid_t start(const char *self, int fd, const struct nmreq_register *reg, const char *how)
{
	char n[3][32];
	snprintf(n[0], sizeof n[0], "%d", fd);
	snprintf(n[1], sizeof n[1], "%lu", reg->nr_offset);
	snprintf(n[2], sizeof n[2], "%lu", reg->nr_memsize);
	pid_t pid = fork();
	if (pid == 0) {
		execl(self, self, how, n[0], n[1], n[2], NULL);
		_exit(99);
	}
	return pid;
}

static void pass(int sock, int fd)
{
	char c = 0;
	struct iovec iov = {&c, 1};
	union {
		char space[CMSG_SPACE(sizeof fd)];
		struct cmsghdr align;
	} u = {""};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	*h = (struct cmsghdr){CMSG_LEN(sizeof fd), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(h), &fd, sizeof fd);
	CHECK(sendmsg(sock, &m, 0) == 1);
}

static int receive(int sock)
{
	char c;
	int fd;
	struct iovec iov = {&c, 1};
	union {
		char space[CMSG_SPACE(sizeof fd)];
		struct cmsghdr align;
	} u;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof u};

	CHECK(recvmsg(sock, &m, 0) == 1);
	CHECK(CMSG_FIRSTHDR(&m) && CMSG_FIRSTHDR(&m)->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	return fd;
}

/* Through exec, and CLS-02: over a socket to a process that never opened the device. */
static void strangers(const char *self, struct port *a, struct port *b)
{
	pid_t pid = start(self, b->fd, &b->reg, "child");
	send_all(a, FRAMES);
	join_child(pid);

	int s[2];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	fcntl(b->fd, F_SETFD, FD_CLOEXEC);
	pid = start(self, s[1], &b->reg, "received");
	pass(s[0], b->fd);
	send_all(a, FRAMES);
	join_child(pid);
	exchange(a, b, 10);
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Programs that close all they do not know, one by one and by range. */
static void close_all(struct port *a, struct port *b)
{
	for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX) && fd < 100000; fd++)
		if (fd != a->fd && fd != b->fd)
			close(fd);
	exchange(a, b, 10);
	int first = a->fd < b->fd ? a->fd : b->fd, last = a->fd < b->fd ? b->fd : a->fd;
	CHECK(close_range((unsigned)last + 1, ~0u, 0) == 0);
	CHECK(first + 1 == last || close_range((unsigned)first + 1, (unsigned)last - 1, 0) == 0);
	exchange(a, b, 10);
	closefrom(last + 1);
	exchange(a, b, 10);
	/* And those that want a certain number, whoever has it. */
	for (int fd = last + 1; fd < 4096 && fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		CHECK(dup2(2, fd) == fd);
	exchange(a, b, 10);
	CHECK(poll_one(a->fd, POLLOUT, 1000) == POLLOUT);
	for (int fd = last + 1; fd < 4096 && fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		CHECK(close(fd) == 0 || errno == EBADF);
	exchange(a, b, 10);

	/* What is closed behind our back is noticed when its number is used again. */
	int fd = dup(b->fd);
	syscall(SYS_close, fd);
	int p[2];
	CHECK(pipe(p) == 0 && p[0] == fd);
	CHECK(write(p[1], "", 1) == 1);
	CHECK(poll_one(p[0], POLLIN, 10000) == POLLIN);
	close(p[0]);
	close(p[1]);

	unsigned before = open_fds();
	for (int i = 0; i < 200; i++) {
		struct port x = open_port("vale3:x", 0);
		close_port(&x);
	}
	CHECK(open_fds() == before, "%u descriptors, %u before", open_fds(), before);
	close(a->fd);
	close(b->fd);
	struct port x = open_port("vale3:x", 0);
	close_port(&x);
}

int main(int argc, char **argv)
{
	if (argc > 4) {
		int fd = atoi(argv[2]);
		if (strcmp(argv[1], "received") == 0)
			fd = receive(fd);
		struct nmreq_register reg = {.nr_offset = strtoul(argv[3], NULL, 10), .nr_memsize = strtoul(argv[4], NULL, 10)};
		struct port p = map_port(fd, reg);
		receive_all(&p, FRAMES);
		return 0;
	}
	struct port a = open_port("vale3:a", 0), b = open_port("vale3:b", 0);
	forks(&a, &b);
	strangers(argv[0], &a, &b);
	close_all(&a, &b);
	return 0;
}
