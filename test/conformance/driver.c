//go:build ignore

/*
 * driver.c: a netmap program that does as it is told. It reads commands, one on
 * each line of its input, and answers each with one line: the errno (0 for
 * success) and what the command returns. Bytes are hexadecimal.
 *
 * The conformance tests run it under the interposer, and linked with libnetmap. It
 * knows nothing of netmapd, only what a program for the kernel module knows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

enum { MAX_LINE = 1 << 20, MAX_MAPS = 256, MAX_OPTIONS = 256, MAX_BODY = 4096 };

static char line[MAX_LINE];
static char *words; /* what is left of the line */

static struct {
	unsigned char *base;
	size_t len;
} maps[MAX_MAPS]; /* base is null where there is none */

/* An address where nothing is mapped. */
static void *wild;

char *word(void)
{
	char *w = strsep(&words, " ");
	if (w == NULL) {
		printf("%d missing word\n", EPROTO);
		exit(2);
	}
	return w;
}

long number(void) { return strtol(word(), NULL, 0); }

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

size_t unhex(const char *text, unsigned char *to, size_t max)
{
	size_t n = 0;
	for (; text[0] && text[1] && n < max; text += 2)
		to[n++] = (unsigned char)(digit(text[0]) << 4 | digit(text[1]));
	return n;
}

static void hex(const void *from, size_t n)
{
	const unsigned char *p = from;
	while (n-- > 0)
		printf("%02x", *p++);
}

/* failed is the errno of a call that returned r. */
static int failed(long r) { return r < 0 ? errno : 0; }

static void do_open(void)
{
	int fd = open("/dev/netmap", O_RDWR);
	printf("%d %d\n", failed(fd), fd);
}

static void do_close(void) { printf("%d\n", failed(close((int)number()))); }

static void do_dup(void)
{
	int fd = dup((int)number());
	printf("%d %d\n", failed(fd), fd);
}

/* A request as it was built, to look what came back changed. */
struct built {
	struct nmreq_header header;
	unsigned char body[MAX_BODY];
	size_t body_len;
	struct {
		struct nmreq_option *opt;
		uint64_t next;
		size_t len;
	} options[MAX_OPTIONS];
	int noptions;
	int fd, err;
	uint64_t body_ptr, options_ptr;
};

/* build_options lays out "type/size/next/body,..." in memory of its own. */
static void build_options(struct built *b, char *text)
{
	long next[MAX_OPTIONS];
	char *one;
	while ((one = strsep(&text, ",")) != NULL && b->noptions < MAX_OPTIONS) {
		int i = b->noptions++;
		uint32_t type = (uint32_t)strtoul(strsep(&one, "/"), NULL, 0);
		uint64_t size = strtoull(strsep(&one, "/"), NULL, 0);
		struct nmreq_option *o;
		next[i] = strtol(strsep(&one, "/"), NULL, 0);
		b->options[i].len = strlen(one) / 2;
		o = calloc(1, sizeof(*o) + b->options[i].len);
		unhex(one, (unsigned char *)(o + 1), b->options[i].len);
		o->nro_reqtype = type;
		o->nro_size = size;
		b->options[i].opt = o;
	}
	for (int i = 0; i < b->noptions; i++) {
		struct nmreq_option *o = b->options[i].opt;
		if (next[i] > 0)
			o->nro_next = (uint64_t)(uintptr_t)b->options[next[i] - 1].opt;
		else if (next[i] == 0 && i + 1 < b->noptions)
			o->nro_next = (uint64_t)(uintptr_t)b->options[i + 1].opt;
		else if (next[i] == -2)
			o->nro_next = (uint64_t)(uintptr_t)wild;
		b->options[i].next = o->nro_next;
	}
	b->header.nr_options = (uint64_t)(uintptr_t)b->options[0].opt;
}

/* build reads FD HEADER BODY OPTIONS: BODY is hex, "-" a null pointer, "!" a wild one. */
struct built *build(void)
{
	struct built *b = calloc(1, sizeof(*b));
	char *body, *options;

	b->fd = (int)number();
	unhex(word(), (unsigned char *)&b->header, sizeof(b->header));
	body = word();
	options = word();
	if (*body == '!') {
		b->header.nr_body = (uint64_t)(uintptr_t)wild;
	} else if (*body != '-') {
		b->body_len = unhex(body, b->body, sizeof(b->body));
		b->header.nr_body = (uint64_t)(uintptr_t)b->body;
	}
	if (*options != '-')
		build_options(b, options);
	b->body_ptr = b->header.nr_body;
	b->options_ptr = b->header.nr_options;
	return b;
}

void carry_out(struct built *b) { b->err = failed(ioctl(b->fd, NIOCCTRL, &b->header)); }

/* show answers with what came back. */
void show(struct built *b)
{
	int err = b->err, kept = b->header.nr_body == b->body_ptr && b->header.nr_options == b->options_ptr;
	b->header.nr_body = b->header.nr_options = 0;
	printf("%d ", err);
	hex(&b->header, sizeof(b->header));
	printf(" %d -", kept);
	hex(b->body, b->body_len);
	printf(" -");
	for (int i = 0; i < b->noptions; i++) {
		struct nmreq_option *o = b->options[i].opt;
		printf("%u/%d/", o->nro_status, o->nro_next == b->options[i].next);
		hex(o + 1, b->options[i].len);
		printf(",");
		free(o);
	}
	printf("\n");
	free(b);
}

/* ctrl REQUEST: makes one. */
static void do_ctrl(void)
{
	struct built *b = build();
	carry_out(b);
	show(b);
}

/* ioctl FD NUMBER ARGUMENT: as for ctrl. */
static void do_ioctl(void)
{
	unsigned char arg[MAX_BODY];
	int fd = (int)number(), err;
	unsigned long num = strtoul(word(), NULL, 0);
	char *text = word();
	size_t n = 0;
	void *p = arg;

	if (*text == '-')
		p = NULL;
	else if (*text == '!')
		p = wild;
	else
		n = unhex(text, arg, sizeof(arg));
	err = failed(ioctl(fd, num, p));
	printf("%d -", err);
	hex(arg, n);
	printf("\n");
}

static void do_mmap(void)
{
	int fd = (int)number();
	size_t len = (size_t)number();
	off_t off = (off_t)number();
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);
	answer_map(p, len);
}

void answer_map(void *p, size_t len)
{
	int err = p == MAP_FAILED ? errno : 0, i = 0;
	while (i + 1 < MAX_MAPS && maps[i].base != NULL)
		i++;
	if (err == 0) {
		maps[i].base = p;
		maps[i].len = len;
	}
	printf("%d %d\n", err, i);
}

static void do_munmap(void)
{
	long m = number();
	printf("%d\n", failed(munmap(maps[m].base, maps[m].len)));
	maps[m].base = NULL;
}

void *mapped(long map, long offset) { return maps[map].base + offset; }

static void do_load(void)
{
	long m = number(), off = number(), n = number();
	printf("0 -");
	hex(maps[m].base + off, (size_t)n);
	printf("\n");
}

/* A word is stored in one piece, as programs store head and cur. */
static void do_store(void)
{
	long m = number(), off = number();
	unsigned char bytes[1 << 16];
	size_t n = unhex(word(), bytes, sizeof(bytes));
	uint32_t v;
	if (n == sizeof(v)) {
		memcpy(&v, bytes, sizeof(v));
		*(volatile uint32_t *)(maps[m].base + off) = v;
	} else {
		memcpy(maps[m].base + off, bytes, n);
	}
	printf("0\n");
}

/* poll LIMIT FD EVENTS ...: the number of ready ones and what each has. */
static void do_poll(void)
{
	struct pollfd p[16] = {0};
	int limit = (int)number(), n = 0, r;
	while (words && n < 16) {
		p[n].fd = (int)number();
		p[n++].events = (short)number();
	}
	r = poll(p, (nfds_t)n, limit);
	printf("%d %d", failed(r), r);
	for (int i = 0; i < n; i++)
		printf(" %d", p[i].revents);
	printf("\n");
}

/* select LIMIT FD: whether it is readable and writable. */
static void do_select(void)
{
	int limit = (int)number(), fd = (int)number(), r;
	struct timeval tv = {limit / 1000, limit % 1000 * 1000};
	fd_set in, out;
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	r = select(fd + 1, &in, &out, NULL, limit < 0 ? NULL : &tv);
	printf("%d %d %d\n", failed(r), r > 0 && FD_ISSET(fd, &in), r > 0 && FD_ISSET(fd, &out));
}

/* timer MS: a descriptor that becomes readable. */
static void do_timer(void)
{
	long ms = number();
	struct itimerspec t = {.it_value = {ms / 1000, ms % 1000 * 1000000 + 1}};
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	if (fd >= 0)
		timerfd_settime(fd, 0, &t, NULL);
	printf("%d %d\n", failed(fd), fd);
}

/* pair: two connected sockets. write FD: makes the other one readable. */
static void do_pair(void)
{
	int fds[2] = {-1, -1}, r = socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	printf("%d %d %d\n", failed(r), fds[0], fds[1]);
}

static void do_write(void) { printf("%d\n", failed(write((int)number(), "x", 1))); }

static int named(struct sockaddr_un *a, int *fd)
{
	a->sun_family = AF_UNIX;
	snprintf(a->sun_path, sizeof(a->sun_path), "%s", word());
	*fd = socket(AF_UNIX, SOCK_STREAM, 0);
	return *fd;
}

union control {
	struct cmsghdr h;
	char space[CMSG_SPACE(sizeof(int))];
};

/* listen PATH; recvfd LISTENER: waits for a descriptor. sendfd PATH FD. */
static void do_listen(void)
{
	struct sockaddr_un a = {0};
	int fd, r = named(&a, &fd);
	if (r >= 0)
		r = bind(fd, (struct sockaddr *)&a, sizeof(a));
	if (r >= 0)
		r = listen(fd, 1);
	printf("%d %d\n", failed(r), fd);
}

static void do_recvfd(void)
{
	int s = accept((int)number(), NULL, NULL), fd = -1;
	char byte;
	union control c;
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	long r = recvmsg(s, &m, 0);
	if (r > 0 && CMSG_FIRSTHDR(&m) != NULL)
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	printf("%d %d\n", failed(r), fd);
	close(s);
}

static void do_sendfd(void)
{
	struct sockaddr_un a = {0};
	int s, fd;
	long r = named(&a, &s);
	char byte = 0;
	union control c = {.h = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	struct iovec v = {&byte, 1};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};
	fd = (int)number();
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	if (r >= 0)
		r = connect(s, (struct sockaddr *)&a, sizeof(a));
	if (r >= 0)
		r = sendmsg(s, &m, 0);
	printf("%d\n", failed(r));
	close(s);
}

/* forked FD: a child syncs and polls on the descriptor it inherited, closes it and ends. */
static void do_forked(void)
{
	int fd = (int)number(), status = 0;
	pid_t child = fork();
	if (child == 0) {
		struct pollfd p = {fd, POLLOUT, 0};
		int bad = ioctl(fd, NIOCTXSYNC, NULL) != 0 || ioctl(fd, NIOCRXSYNC, NULL) != 0;
		bad |= (poll(&p, 1, 10000) != 1 || p.revents != POLLOUT) << 1;
		close(fd);
		_exit(bad);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	printf("%d %d\n", failed(child), status);
}

#define SHOW(type, field) printf(" " #type "." #field "=%zu", offsetof(struct type, field))
#define SIZE(type) printf(" " #type "=%zu", sizeof(struct type))
#define VALUE(name) printf(" " #name "=%lu", (unsigned long)(uint32_t)(name))

/* layout: what the header says. */
static void do_layout(void)
{
	printf("0");
	SIZE(netmap_slot);
	SHOW(netmap_slot, buf_idx);
	SHOW(netmap_slot, len);
	SHOW(netmap_slot, flags);
	SHOW(netmap_slot, ptr);
	SIZE(netmap_ring);
	SHOW(netmap_ring, buf_ofs);
	SHOW(netmap_ring, num_slots);
	SHOW(netmap_ring, nr_buf_size);
	SHOW(netmap_ring, ringid);
	SHOW(netmap_ring, dir);
	SHOW(netmap_ring, head);
	SHOW(netmap_ring, cur);
	SHOW(netmap_ring, tail);
	SHOW(netmap_ring, flags);
	SHOW(netmap_ring, ts);
	SHOW(netmap_ring, offset_mask);
	SHOW(netmap_ring, buf_align);
	SHOW(netmap_ring, sem);
	SHOW(netmap_ring, slot);
	SIZE(netmap_if);
	SHOW(netmap_if, ni_name);
	SHOW(netmap_if, ni_version);
	SHOW(netmap_if, ni_flags);
	SHOW(netmap_if, ni_tx_rings);
	SHOW(netmap_if, ni_rx_rings);
	SHOW(netmap_if, ni_bufs_head);
	SHOW(netmap_if, ni_host_tx_rings);
	SHOW(netmap_if, ni_host_rx_rings);
	SHOW(netmap_if, ring_ofs);
	VALUE(NIOCGINFO);
	VALUE(NIOCREGIF);
	VALUE(NIOCTXSYNC);
	VALUE(NIOCRXSYNC);
	VALUE(NIOCCONFIG);
	VALUE(NIOCCTRL);
	printf("\n");
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{"open", do_open},	 {"close", do_close},	{"dup", do_dup},       {"ctrl", do_ctrl},	{"ioctl", do_ioctl},
	{"mmap", do_mmap},	 {"munmap", do_munmap}, {"load", do_load},     {"store", do_store},	{"poll", do_poll},
	{"select", do_select},	 {"timer", do_timer},	{"pair", do_pair},     {"write", do_write},	{"listen", do_listen},
	{"recvfd", do_recvfd},	 {"sendfd", do_sendfd}, {"forked", do_forked}, {"threads", do_threads}, {"feed", do_feed},
	{"drain", do_drain},	 {"echo", do_echo},	{"relay", do_relay},	{"mix", do_mix},
	{"cycles", do_cycles},	{"layout", do_layout},	{"address", do_address},
	{"alloc", do_alloc},	{"eventfd", do_eventfd}, {"signal", do_signal}, {"signalled", do_signalled},
	{"begin", do_begin},	{"finish", do_finish},
	{"nmopen", do_nmopen},	 {"nminject", do_nminject}, {"nmdispatch", do_nmdispatch},
#ifdef LINKED
	{"clones", do_clones},
	{"decode", do_decode},	 {"refuse", do_refuse}, {"old", do_old},       {"option", do_option},	{"lib", do_lib},
#endif
};

static void serve(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0) {
			commands[i].run();
			return;
		}
	}
	printf("%d no command %s\n", EPROTO, name);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	wild = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (wild == MAP_FAILED)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		words = line;
		serve(word());
		fflush(stdout);
	}
	return 0;
}
