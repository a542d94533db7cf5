//go:build ignore

/*
 * oldlib.c: commands that use nm_open and its family as libpcap does. They are inline: nothing is linked for them.
 */
#define NETMAP_WITH_LIBS
#include <net/netmap_user.h>

#include "driver.h"

enum { MAX_OPEN = 8, PATIENCE_MS = 10000 };

static struct nm_desc *descs[MAX_OPEN];
static int opened;

/* nmopen NAME: a number for it. */
void do_nmopen(void)
{
	struct nm_desc *d = opened < MAX_OPEN ? nm_open(word(), NULL, 0, NULL) : NULL;
	if (d == NULL) {
		printf("%d -1\n", errno);
		return;
	}
	d->snaplen = 65535;
	descs[opened] = d;
	printf("0 %d\n", opened++);
}

/* nminject D COUNT SIZE: frames with a number each, all of the same size; every second one is of another type. */
void do_nminject(void)
{
	struct nm_desc *d = descs[number()];
	long count = number(), size = number();
	struct pollfd p = {NETMAP_FD(d), POLLOUT, 0};
	static unsigned char frame[1 << 16];
	int err = 0;

	memset(frame, 0xff, 6);
	frame[6] = 2;
	frame[12] = 0x88;
	for (uint32_t i = 0; i < count && err == 0; i++) {
		frame[13] = i % 2 ? 0xb6 : 0xb5;
		memcpy(frame + 14, &i, sizeof(i));
		while (err == 0 && nm_inject(d, frame, (size_t)size) == 0)
			err = poll(&p, 1, PATIENCE_MS) == 1 ? 0 : ETIMEDOUT;
	}
	if (err == 0 && ioctl(p.fd, NIOCTXSYNC, NULL) != 0)
		err = errno;
	printf("%d\n", err);
}

struct filter {
	long size;
	uint32_t kept, next;
	int bad;
};

/* keep is the callback: a filter on the type, as the program's own would be. */
static void keep(u_char *arg, const struct nm_pkthdr *h, const u_char *buf)
{
	struct filter *f = (struct filter *)arg;
	uint32_t n;

	if (h->len != f->size || h->caplen > h->len || h->ts.tv_sec == 0)
		f->bad = 1;
	if (buf[12] != 0x88 || buf[13] != 0xb5)
		return;
	memcpy(&n, buf + 14, sizeof(n));
	if (n != f->next)
		f->bad = 2;
	f->next = n + 2;
	f->kept++;
}

/* nmdispatch D WANT SIZE: waits and dispatches until that many were kept; what was, and whether anything was wrong. */
void do_nmdispatch(void)
{
	struct nm_desc *d = descs[number()];
	uint32_t want = (uint32_t)number();
	struct filter f = {.size = number()};
	struct pollfd p = {NETMAP_FD(d), POLLIN, 0};

	while (f.kept < want && poll(&p, 1, PATIENCE_MS) == 1)
		nm_dispatch(d, -1, keep, (u_char *)&f);
	ioctl(p.fd, NIOCRXSYNC, NULL); /* gives the slots back */
	printf("0 %u %d\n", f.kept, f.bad);
}
