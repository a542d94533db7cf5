/*
 * together ID SWITCHPORT IN OUT: one of several programs on one switch and over one chain of pipes. How it opens its
 * ports is chosen when it is compiled: NM_OPEN, the library (LIBNETMAP), or requests as netmap.h has them.
 *
 * It says ready, waits for a line, sends SENT numbered frames to all and receives as many from each of the others, then
 * moves CHAINED frames from IN to OUT, signing each.
 */
#define NETMAP_WITH_LIBS
#include "port.h"
#ifdef LIBNETMAP
#include <libnetmap.h>
#else
#include <net/netmap_user.h>
#endif

enum { MEMBERS = 4, SENT = 200, CHAINED = 20000, LEN = 60, ID_AT = 12, SEQ_AT = 16, SIGNED_AT = 24, PATIENCE_MS = 30000 };

struct ends {
	int fd;
	struct netmap_ring *tx, *rx;
};

static struct ends open_ends(const char *name)
{
#if defined LIBNETMAP
	struct nmport_d *d = nmport_open(name);
	CHECK(d, "%s", name);
	return (struct ends){d->fd, NETMAP_TXRING(d->nifp, d->first_tx_ring), NETMAP_RXRING(d->nifp, d->first_rx_ring)};
#elif defined NM_OPEN
	struct nm_desc *d = nm_open(name, NULL, 0, NULL);
	CHECK(d, "%s", name);
	return (struct ends){d->fd, NETMAP_TXRING(d->nifp, d->first_tx_ring), NETMAP_RXRING(d->nifp, d->first_rx_ring)};
#else
	struct port p = open_port(strncmp(name, "netmap:", 7) == 0 ? name + 7 : name, 0);
	return (struct ends){p.fd, p.tx, p.rx};
#endif
}

static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	CHECK(poll(&p, 1, PATIENCE_MS) == 1 && !(p.revents & POLLERR), "revents %#x", p.revents);
}

static char *head(struct netmap_ring *r) { return NETMAP_BUF(r, r->slot[r->head].buf_idx); }
static void advance(struct netmap_ring *r) { r->head = r->cur = nm_ring_next(r, r->head); }

static void on_switch(struct ends p, unsigned char id)
{
	uint32_t seen[MEMBERS] = {0}, seq, missing = (MEMBERS - 1) * SENT;

	for (uint32_t i = 0; i < SENT; i++) {
		char *b = head(p.tx);
		memset(b, 0, LEN);
		memset(b, 0xff, 6);
		b[6] = 2;
		b[11] = b[ID_AT] = (char)id;
		memcpy(b + SEQ_AT, &i, sizeof i);
		p.tx->slot[p.tx->head].len = LEN;
		advance(p.tx);
	}
	CHECK(ioctl(p.fd, NIOCTXSYNC, NULL) == 0);
	for (; missing > 0; wait_for(p.fd, POLLIN)) {
		for (; p.rx->head != p.rx->tail; advance(p.rx), missing--) {
			char *b = head(p.rx);
			unsigned from = (unsigned char)b[ID_AT];
			memcpy(&seq, b + SEQ_AT, sizeof seq);
			CHECK(from < MEMBERS && from != id && seq == seen[from], "frame %u of member %u, want %u", seq, from, seen[from]);
			seen[from]++;
		}
		if (missing == 0)
			break;
	}
}

static void in_chain(struct ends in, struct ends out, unsigned char id)
{
	for (uint32_t i = 0; i < CHAINED; i++) {
		while (in.rx->head == in.rx->tail) {
			CHECK(ioctl(out.fd, NIOCTXSYNC, NULL) == 0); /* before it waits for more */
			wait_for(in.fd, POLLIN);
		}
		while (out.tx->head == out.tx->tail)
			wait_for(out.fd, POLLOUT);
		char *from = head(in.rx), *to = head(out.tx);
		memcpy(to, from, LEN);
		to[SIGNED_AT + id] = (char)id;
		out.tx->slot[out.tx->head].len = in.rx->slot[in.rx->head].len;
		advance(out.tx);
		advance(in.rx);
	}
	CHECK(ioctl(out.fd, NIOCTXSYNC, NULL) == 0);
	CHECK(ioctl(in.fd, NIOCRXSYNC, NULL) == 0);
}

int main(int argc, char **argv)
{
	char line[16];

	CHECK(argc == 5);
	setvbuf(stdout, NULL, _IOLBF, 0);
	unsigned char id = (unsigned char)atoi(argv[1]);
	struct ends p = open_ends(argv[2]), in = open_ends(argv[3]), out = open_ends(argv[4]);
	printf("ready\n");
	CHECK(fgets(line, sizeof line, stdin));
	on_switch(p, id);
	printf("switch\n");
	in_chain(in, out, id);
	printf("chain\n");
	CHECK(!fgets(line, sizeof line, stdin)); /* the ports stay until all are done */
	return 0;
}
