//go:build ignore

/*
 * library.c: commands of the driver that is linked with libnetmap.
 */
#define NETMAP_WITH_LIBS
#include <errno.h>
#include <libnetmap.h>
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
