//go:build ignore

/*
 * library.c: commands of the driver that is linked with libnetmap.
 */
#define NETMAP_WITH_LIBS
#include <errno.h>
#include <libnetmap.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

static char spec[4096];

static const char *spec_arg(void)
{
	spec[unhex(word() + 1, (unsigned char *)spec, sizeof(spec) - 1)] = 0;
	return spec;
}

static void show_register(const char *name, const struct nmreq_register *r)
{
	printf("0 -");
	for (; *name; name++)
		printf("%02x", (unsigned char)*name);
	printf(" %u %u %lu %u %u %u %u %u %u %u\n", r->nr_mode, r->nr_ringid, (unsigned long)r->nr_flags, r->nr_mem_id, r->nr_tx_rings,
	       r->nr_rx_rings, r->nr_host_tx_rings, r->nr_host_rx_rings, r->nr_tx_slots, r->nr_rx_slots);
}

/* decode -SPEC: what the library makes of a name. */
void do_decode(void)
{
	struct nmport_d *d = nmport_new();
	if (nmport_parse(d, spec_arg()) < 0)
		printf("%d\n", errno);
	else
		show_register(d->hdr.nr_name, &d->reg);
	nmport_close(d);
}

/* refuse -SPEC: the errno, and whether nothing has changed. */
void do_refuse(void)
{
	struct nmreq_header h, h2;
	struct nmreq_register r, r2;
	const char *p = spec_arg(), *start = p;
	int err = 0, kept = 1;

	memset(&h, 0x5a, sizeof(h));
	memset(&r, 0x5a, sizeof(r));
	r.nr_mem_id = 0;
	h2 = h;
	r2 = r;
	if (nmreq_header_decode(&p, &h, nmctx_get()) < 0) {
		err = errno;
		kept = p == start && memcmp(&h, &h2, sizeof(h)) == 0;
	} else {
		start = p;
		if (nmreq_register_decode(&p, &r, nmctx_get()) < 0) {
			err = errno;
			kept = p == start && memcmp(&r, &r2, sizeof(r)) == 0;
		}
	}
	printf("%d %d -%s\n", err, kept, err ? "" : p);
}

/* old -SPEC: what nm_open makes of a name that it cannot open. */
void do_old(void)
{
	errno = EPROTO;
	struct nm_desc *d = nm_open(spec_arg(), NULL, 0, NULL);
	printf("%d %d\n", d ? 0 : errno, d == NULL);
	if (d)
		nm_close(d);
}

void do_option(void)
{
	int on = (int)number();
	const char *name = word();
	if (!on)
		nmport_disable_option(name);
	printf("%d\n", on && nmport_enable_option(name) < 0 ? errno : 0);
}

/* lib -SPEC: opens it with the library, for good: its region record and its rings. */
void do_lib(void)
{
	struct nmport_d *d = nmport_open(spec_arg());
	if (d == NULL)
		printf("%d\n", errno);
	else
		printf("0 %lu %d %u %u %u %u %u %u\n", (unsigned long)(uintptr_t)d->mem, d->fd, d->first_tx_ring, d->last_tx_ring,
		       d->first_rx_ring, d->last_rx_ring, d->nifp->ni_rx_rings, d->nifp->ni_host_rx_rings);
}

/* A thread of pkt-gen: a descriptor of its own for one ring of the port. */
struct worker {
	pthread_t thread;
	struct nmport_d *d;
	uint32_t frames, sent;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	static const char frame[60] = "\xff\xff\xff\xff\xff\xff\x02";
	struct pollfd p = {w->d->fd, POLLOUT, 0};

	while (w->sent < w->frames) {
		if (nmport_inject(w->d, frame, sizeof(frame)) > 0)
			w->sent++;
		else if (poll(&p, 1, 10000) != 1)
			break;
	}
	while (ioctl(w->d->fd, NIOCTXSYNC, NULL) == 0 && nm_tx_pending(NETMAP_TXRING(w->d->nifp, w->d->first_tx_ring)))
		;
	return NULL;
}

/* clones -SPEC THREADS FRAMES: opens the port, then a clone for each thread, which sends on its ring: the total. */
void do_clones(void)
{
	enum { MAX_THREADS = 16 };
	struct nmport_d *d = nmport_open(spec_arg());
	struct worker w[MAX_THREADS];
	int n = (int)number(), err = d == NULL ? errno : 0;
	uint32_t frames = (uint32_t)number(), total = 0;
	int same = 1;

	for (int i = 0; i < n && err == 0; i++) {
		w[i] = (struct worker){.frames = frames, .d = nmport_clone(d)};
		w[i].d->reg.nr_mode = NR_REG_ONE_NIC;
		w[i].d->reg.nr_ringid = (uint16_t)i;
		if (nmport_open_desc(w[i].d) < 0)
			err = errno;
		same &= w[i].d->mem == d->mem && w[i].d->first_tx_ring == i && w[i].d->last_tx_ring == i;
	}
	for (int i = 0; i < n && err == 0; i++)
		err = pthread_create(&w[i].thread, NULL, work, &w[i]);
	for (int i = 0; i < n && err == 0; i++) {
		pthread_join(w[i].thread, NULL);
		total += w[i].sent;
		nmport_close(w[i].d);
	}
	nmport_close(d);
	printf("%d %u %d\n", err, total, same);
}
