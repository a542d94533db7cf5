/* library: a program linked with libnetmap, which also has an nm_open of its own. Nothing is preloaded for it. */
#define NETMAP_WITH_LIBS
#include <libnetmap.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/select.h>
#include <sys/wait.h>

#include "check.h"

/* NC C.7: what programs were compiled with. */
#define AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #type "." #field)
#define SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
SIZE(nmport_d, 216);
AT(nmport_d, hdr, 0);
AT(nmport_d, reg, 88);
AT(nmport_d, mem, 144);
AT(nmport_d, ctx, 152);
AT(nmport_d, register_done, 160);
AT(nmport_d, mmap_done, 164);
AT(nmport_d, extmem, 168);
AT(nmport_d, fd, 176);
AT(nmport_d, nifp, 184);
AT(nmport_d, first_tx_ring, 192);
AT(nmport_d, last_tx_ring, 194);
AT(nmport_d, first_rx_ring, 196);
AT(nmport_d, last_rx_ring, 198);
AT(nmport_d, cur_tx_ring, 200);
AT(nmport_d, cur_rx_ring, 202);
AT(nmport_d, clist, 208);
SIZE(nm_desc, 760);
AT(nm_desc, fd, 8);
AT(nm_desc, mem, 16);
AT(nm_desc, memsize, 24);
AT(nm_desc, done_mmap, 32);
AT(nm_desc, nifp, 40);
AT(nm_desc, first_tx_ring, 48);
AT(nm_desc, cur_tx_ring, 52);
AT(nm_desc, first_rx_ring, 54);
AT(nm_desc, cur_rx_ring, 58);
AT(nm_desc, req, 60);
AT(nm_desc, hdr, 120);
AT(nm_desc, some_ring, 176);
AT(nm_desc, buf_start, 184);
AT(nm_desc, buf_end, 192);
AT(nm_desc, snaplen, 200);
AT(nm_desc, promisc, 204);
AT(nm_desc, to_ms, 208);
AT(nm_desc, errbuf, 216);
AT(nm_desc, st, 236);
AT(nm_desc, msg, 248);
SIZE(nm_pkthdr, 56);
SIZE(nmem_d, 48);
AT(nmem_d, refcount, 4);
AT(nmem_d, mem, 8);
AT(nmem_d, size, 16);
AT(nmem_d, is_extmem, 24);
AT(nmem_d, next, 32);
SIZE(nmctx, 48);
AT(nmctx, error, 8);
AT(nmctx, malloc, 16);
AT(nmctx, free, 24);
AT(nmctx, lock, 32);
AT(nmctx, mem_descs, 40);
SIZE(nmreq_opt_parser, 304);
SIZE(nmreq_parse_ctx, 144);

enum { BUF = 2048, BIG = 5000 };

static char frame[BIG] = "\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01";
static int complaints;

static void complain(struct nmctx *ctx, const char *msg)
{
	(void)ctx;
	complaints++;
	CHECK(strlen(msg) > 10, "%s", msg);
}

/* wait_for polls until fd reports events. */
static void wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	CHECK(poll(&p, 1, 30000) == 1 && p.revents == events, "revents %#x", p.revents);
}

struct seen {
	int packets;
	uint32_t bytes;
	bool last;
};

static void count(u_char *arg, const struct nm_pkthdr *h, const u_char *buf)
{
	struct seen *s = (struct seen *)arg;

	CHECK(buf == h->buf && memcmp(buf, frame, 12) == 0 && h->caplen <= h->len);
	s->packets++;
	s->bytes += h->len;
	s->last = !(h->flags & NM_MORE_PKTS);
}

/* Packets from one library's port to the other's, small ones and one of three slots. */
static void exchange(void)
{
	struct nmport_d *a = nmport_open("vale11:a");
	struct nm_desc *b = nm_open("vale11:b", NULL, 0, NULL);
	struct seen s = {0};

	CHECK(a && b && IS_NETMAP_DESC(b));
	CHECK(nmport_inject(a, frame, 60) == 60 && nmport_inject(a, frame, BIG) == BIG && nmport_inject(a, frame, 100) == 100);
	CHECK(ioctl(a->fd, NIOCTXSYNC, NULL) == 0);
	wait_for(b->fd, POLLIN);
	CHECK(nm_ring_space(NETMAP_RXRING(b->nifp, 0)) == 5);
	CHECK(nm_dispatch(b, 2, count, (u_char *)&s) == 2 && s.last && s.bytes == 60 + BIG);
	CHECK(nm_dispatch(b, -1, count, (u_char *)&s) == 1 && s.last && s.bytes == 160 + BIG);
	CHECK(nm_dispatch(b, -1, count, (u_char *)&s) == 0);

	CHECK(nm_inject(b, frame, BIG) == BIG && nm_inject(b, frame, 60) == 60);
	wait_for(b->fd, POLLOUT);
	wait_for(a->fd, POLLIN);
	struct netmap_ring *r = NETMAP_RXRING(a->nifp, a->first_rx_ring);
	CHECK(nm_ring_space(r) == 4);
	for (uint32_t at = 0, i = r->head; at < BIG; at += BUF, i = nm_ring_next(r, i))
		CHECK(memcmp(NETMAP_BUF(r, r->slot[i].buf_idx), frame + at, r->slot[i].len) == 0);
	CHECK(nmport_inject(a, frame, 1 << 24) == 0); /* more than a ring holds */

	struct nm_pkthdr h;
	CHECK(nmport_inject(a, frame, 77) == 77 && ioctl(a->fd, NIOCTXSYNC, NULL) == 0);
	wait_for(b->fd, POLLIN);
	CHECK(nm_nextpkt(b, &h) && h.len == 77 && !nm_nextpkt(b, &h));
	CHECK(nm_close(b) == 0);
	nmport_close(a);
}

/* One region is mapped once; the record is how programs see that they need not copy. */
static void regions(void)
{
	struct nmport_d *a = nmport_open("vale11:a"), *b, *c, *d;
	char spec[64];

	CHECK(a && a->mem->mem_id == a->reg.nr_mem_id && a->mem->size == a->reg.nr_memsize && a->mem->refcount == 1);
	snprintf(spec, sizeof spec, "vale12:b@%u", a->reg.nr_mem_id);
	b = nmport_open(spec);
	c = nmport_open("vale12:c@share=vale11:a");
	d = nmport_open("vale12:d");
	CHECK(b && c && d && b->mem == a->mem && c->mem == a->mem && d->mem != a->mem && a->mem->refcount == 3);
	nmport_close(a); /* the mapping stays for the others */
	CHECK(nmport_inject(c, frame, 60) == 60 && ioctl(c->fd, NIOCTXSYNC, NULL) == 0);
	wait_for(b->fd, POLLIN);
	nmport_close(b);
	nmport_close(c);
	nmport_close(d);
	CHECK(nmctx_get()->mem_descs == NULL);
}

/* Threads of a program each take a ring with a clone. */
static void clones(void)
{
	struct nmport_d *d = nmport_prepare("vale11:q@conf:rings=2,slots=64"), *c;

	CHECK(d && d->reg.nr_tx_rings == 2 && !d->register_done && nmport_mmap(d) < 0 && errno == EINVAL);
	CHECK(nmport_open_desc(d) == 0 && d->register_done && d->mmap_done && d->last_tx_ring == 1);
	CHECK(nmport_register(d) < 0 && errno == EINVAL && nmport_mmap(d) < 0 && errno == EINVAL);
	c = nmport_clone(d);
	CHECK(c && c->fd < 0 && !c->register_done && c->reg.nr_mem_id == d->reg.nr_mem_id && c->hdr.nr_body == (uintptr_t)&c->reg);
	c->reg.nr_mode = NR_REG_ONE_NIC;
	c->reg.nr_ringid = 1;
	CHECK(nmport_open_desc(c) == 0 && c->mem == d->mem && c->first_tx_ring == 1 && c->last_rx_ring == 1);
	CHECK(NETMAP_TXRING(c->nifp, 1) == NETMAP_TXRING(d->nifp, 1));
	nmport_undo_open_desc(c);
	CHECK(c->fd == -1 && !c->mem && !c->nifp && nmport_open_desc(c) == 0);
	nmport_close(d);
	nmport_close(c);
}

/* Errors leave nothing behind and are told in words. */
static void errors(void)
{
	struct nmctx *ctx = nmctx_get();
	struct nmport_d *d;

	ctx->error = complain;
	CHECK(nmport_open("netmap:") == NULL && errno == EINVAL && complaints == 1);
	CHECK(nmport_open("netmap:nosuchif0") == NULL && errno == ENXIO && complaints == 2);
	CHECK(nmport_open("vale11:a@9999") == NULL && errno == EINVAL && complaints == 3);
	CHECK(nmport_open("vale11:a@offset=64") == NULL && errno == EOPNOTSUPP && complaints == 4);
	CHECK(nmport_open("vale11:a@extmem=/nonexistent") == NULL && errno == ENOENT && complaints == 5);
	CHECK(nmport_open("vale11:a@extmem:buf-num=1") == NULL && errno == EINVAL && complaints == 6);
	ctx->verbose = 0;
	CHECK(nmport_open("vale11") == NULL && errno == EINVAL && complaints == 6);
	ctx->verbose = 1;

	/* An option that is not carried out refuses the request. */
	struct nmreq_option unknown = {.nro_reqtype = 1234};
	d = nmport_prepare("vale11:a");
	nmreq_push_option(&d->hdr, &unknown);
	CHECK(nmport_open_desc(d) < 0 && errno == EOPNOTSUPP && unknown.nro_status == EOPNOTSUPP && d->fd < 0);
	nmreq_remove_option(&d->hdr, &unknown);
	CHECK(d->hdr.nr_options == 0 && nmport_open_desc(d) == 0);
	nmport_close(d);

	errno = EPROTO;
	CHECK(nm_open("foo", NULL, 0, NULL) == NULL && errno == 0);
	CHECK(nm_close(NULL) == EINVAL);
}

/* The option list of a request, and what nmport puts there. */
static void options(void)
{
	struct nmport_d *d = nmport_prepare("vale11:a");
	struct nmreq_option *o;
	int n = 0;

	CHECK(nmport_extmem_getinfo(d) == NULL && nmport_extmem(d, frame, sizeof frame) == 0);
	CHECK(nmport_extmem(d, frame, sizeof frame) < 0 && errno == EINVAL);
	CHECK(nmport_extmem_getinfo(d)->nr_memsize == sizeof frame && nmport_clone(d) == NULL);
	CHECK(nmport_offset(d, 64, 128, 16, 0) == 0);
	nmreq_foreach_option (&d->hdr, o)
		n++;
	CHECK(n == 2);
	o = nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS);
	CHECK(o && ((struct nmreq_opt_offsets *)o)->nro_max_offset == 128 && strcmp(nmreq_option_name(o->nro_reqtype), "offsets") == 0);
	CHECK(nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_CSB) == NULL);
	nmport_undo_parse(d);
	CHECK(d->hdr.nr_options == 0 && !d->extmem && nmport_parse(d, "vale11:b") == 0 && nmport_open_desc(d) == 0);
	nmport_close(d);
}

/* A child has the parent's ports, select knows them too, and a descriptor closes like any other. */
static void children(void)
{
	struct nmport_d *d = nmport_open("vale11:a");
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		fd_set out;
		FD_ZERO(&out);
		FD_SET(d->fd, &out);
		_exit(select(d->fd + 1, NULL, &out, NULL, NULL) != 1 || ioctl(d->fd, NIOCTXSYNC, NULL) != 0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	CHECK(close(dup(d->fd)) == 0);
	nmport_close(d);
}

int main(void)
{
	for (size_t i = 12; i < sizeof frame; i++)
		frame[i] = (char)(i * 7);
	exchange();
	regions();
	clones();
	errors();
	options();
	children();
	return 0;
}
