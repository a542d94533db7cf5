/* nmport.c: ports, from their name to the rings. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

EXPORT struct nmport_d *nmport_new(void)
{
	struct nmctx *ctx = nmctx_get();
	struct nmport_d *d = nmctx_malloc(ctx, sizeof *d);

	if (!d) {
		nmport_fail(ctx, ENOMEM, "cannot make a port: out of memory");
		return NULL;
	}
	memset(d, 0, sizeof *d);
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
	d->ctx = ctx;
	d->fd = -1;
	return d;
}

EXPORT void nmport_delete(struct nmport_d *d) { nmctx_free(d->ctx, d); }

void nmport_clean(struct nmport_d *d)
{
	struct nmport_cleanup_d *c;

	while ((c = d->clist)) {
		d->clist = c->next;
		c->cleanup(c, d);
		nmctx_free(d->ctx, c);
	}
}

EXPORT void nmport_undo_parse(struct nmport_d *d)
{
	nmport_clean(d);
	memset(&d->reg, 0, sizeof d->reg);
	nmreq_header_init(&d->hdr, NETMAP_REQ_REGISTER, &d->reg);
}

EXPORT int nmport_parse(struct nmport_d *d, const char *portspec)
{
	const char *at = portspec;

	if (nmreq_header_decode(&at, &d->hdr, d->ctx) == 0 && nmreq_register_decode(&at, &d->reg, d->ctx) == 0 &&
	    nmport_parse_options(d, at) == 0)
		return 0;
	int err = errno;
	nmport_undo_parse(d);
	errno = err;
	return -1;
}

EXPORT struct nmport_d *nmport_prepare(const char *portspec)
{
	struct nmport_d *d = nmport_new();

	if (!d || nmport_parse(d, portspec) == 0)
		return d;
	int err = errno;
	nmport_delete(d);
	errno = err;
	return NULL;
}

EXPORT void nmport_undo_prepare(struct nmport_d *d)
{
	nmport_undo_parse(d);
	nmport_delete(d);
}

/* refused tells what the core has against the request. */
static int refused(struct nmport_d *d, int err)
{
	struct nmreq_option *opt;
	bool said = false;

	nmreq_foreach_option (&d->hdr, opt) {
		if (!opt->nro_status)
			continue;
		nmctx_ferror(d->ctx, "%s: option %s: %s", d->hdr.nr_name, nmreq_option_name(opt->nro_reqtype),
			     strerror((int)opt->nro_status));
		said = true;
	}
	if (!said)
		nmctx_ferror(d->ctx, "%s: cannot register: %s", d->hdr.nr_name, strerror(err));
	errno = err;
	return -1;
}

EXPORT int nmport_register(struct nmport_d *d)
{
	if (d->register_done)
		return nmport_fail(d->ctx, EINVAL, "%s: registered already", d->hdr.nr_name);
	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (d->fd < 0)
		return nmport_fail(d->ctx, errno, "cannot open " NETMAP_DEVICE_NAME ": %s; is netmapd running?", strerror(errno));
	if (ioctl(d->fd, NIOCCTRL, &d->hdr) < 0) {
		int err = errno;
		nmport_undo_register(d);
		return refused(d, err);
	}
	d->register_done = 1;
	return 0;
}

EXPORT void nmport_undo_register(struct nmport_d *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	d->register_done = 0;
}

/* find_region is the region that d was registered in, if it is mapped. Under the context's lock. */
static struct nmem_d *find_region(struct nmport_d *d)
{
	struct nmem_d *m = d->ctx->mem_descs;

	while (m && m->mem_id != d->reg.nr_mem_id)
		m = m->next;
	return m;
}

/* map_region maps it. Under the context's lock. */
static struct nmem_d *map_region(struct nmport_d *d)
{
	struct nmem_d *m = nmctx_malloc(d->ctx, sizeof *m);

	if (!m) {
		errno = ENOMEM;
		return NULL;
	}
	memset(m, 0, sizeof *m);
	m->mem_id = d->reg.nr_mem_id;
	m->size = d->reg.nr_memsize;
	if (d->extmem) {
		m->is_extmem = 1;
		m->mem = (void *)(uintptr_t)d->extmem->nro_usrptr;
		m->size = d->extmem->nro_info.nr_memsize;
	} else if ((m->mem = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0)) == MAP_FAILED) {
		int err = errno;
		nmctx_free(d->ctx, m);
		errno = err;
		return NULL;
	}
	m->next = d->ctx->mem_descs;
	if (m->next)
		m->next->prev = m;
	d->ctx->mem_descs = m;
	return m;
}

/* bound finds the first run of bound rings among count offsets: those that are not 0 (NC A.4 rule 3). */
static void bound(const ssize_t *ofs, uint32_t count, uint16_t *first, uint16_t *last)
{
	uint32_t i = 0;

	while (i < count && !ofs[i])
		i++;
	*first = (uint16_t)i;
	while (i < count && ofs[i])
		i++;
	*last = (uint16_t)(i - 1);
}

EXPORT int nmport_mmap(struct nmport_d *d)
{
	if (d->mmap_done)
		return nmport_fail(d->ctx, EINVAL, "%s: mapped already", d->hdr.nr_name);
	if (!d->register_done)
		return nmport_fail(d->ctx, EINVAL, "cannot map a port that is not registered");
	nmctx_lock(d->ctx);
	struct nmem_d *m = find_region(d);
	if (!m)
		m = map_region(d);
	int err = errno;
	if (m)
		m->refcount++;
	nmctx_unlock(d->ctx);
	if (!m)
		return nmport_fail(d->ctx, err, "%s: cannot map %llu bytes: %s", d->hdr.nr_name,
				   (unsigned long long)d->reg.nr_memsize, strerror(err));

	d->mem = m;
	d->nifp = NETMAP_IF(m->mem, d->reg.nr_offset);
	uint32_t tx = d->nifp->ni_tx_rings + d->nifp->ni_host_tx_rings;
	uint32_t rx = d->nifp->ni_rx_rings + d->nifp->ni_host_rx_rings;
	bound(d->nifp->ring_ofs, tx, &d->first_tx_ring, &d->last_tx_ring);
	bound(d->nifp->ring_ofs + tx, rx, &d->first_rx_ring, &d->last_rx_ring);
	d->cur_tx_ring = d->first_tx_ring;
	d->cur_rx_ring = d->first_rx_ring;
	d->mmap_done = 1;
	return 0;
}

EXPORT void nmport_undo_mmap(struct nmport_d *d)
{
	struct nmem_d *m = d->mem;

	if (m) {
		nmctx_lock(d->ctx);
		bool gone = --m->refcount == 0;
		if (gone) {
			if (m->prev)
				m->prev->next = m->next;
			else
				d->ctx->mem_descs = m->next;
			if (m->next)
				m->next->prev = m->prev;
		}
		nmctx_unlock(d->ctx);
		if (gone && !m->is_extmem)
			munmap(m->mem, m->size);
		if (gone)
			nmctx_free(d->ctx, m);
	}
	d->mem = NULL;
	d->nifp = NULL;
	d->mmap_done = 0;
	d->first_tx_ring = d->last_tx_ring = d->cur_tx_ring = 0;
	d->first_rx_ring = d->last_rx_ring = d->cur_rx_ring = 0;
}

EXPORT int nmport_open_desc(struct nmport_d *d)
{
	if (nmport_register(d) < 0)
		return -1;
	if (nmport_mmap(d) == 0)
		return 0;
	int err = errno;
	nmport_undo_register(d);
	errno = err;
	return -1;
}

EXPORT void nmport_undo_open_desc(struct nmport_d *d)
{
	nmport_undo_mmap(d);
	nmport_undo_register(d);
}

EXPORT struct nmport_d *nmport_open(const char *portspec)
{
	struct nmport_d *d = nmport_prepare(portspec);

	if (!d || nmport_open_desc(d) == 0)
		return d;
	int err = errno;
	nmport_undo_prepare(d);
	errno = err;
	return NULL;
}

EXPORT void nmport_close(struct nmport_d *d)
{
	if (!d)
		return;
	nmport_undo_open_desc(d);
	nmport_undo_prepare(d);
}

EXPORT struct nmport_d *nmport_clone(struct nmport_d *d)
{
	if (d->extmem && !d->register_done) {
		nmport_fail(d->ctx, EINVAL, "%s: with memory of the program's own, register the port before cloning it", d->hdr.nr_name);
		return NULL;
	}
	struct nmport_d *c = nmctx_malloc(d->ctx, sizeof *c);
	if (!c) {
		nmport_fail(d->ctx, ENOMEM, "%s: cannot clone: out of memory", d->hdr.nr_name);
		return NULL;
	}
	memset(c, 0, sizeof *c);
	c->ctx = d->ctx;
	c->fd = -1;
	c->hdr = d->hdr;
	c->reg = d->reg;
	c->hdr.nr_options = 0;
	c->hdr.nr_body = (uintptr_t)&c->reg;
	return c;
}

/* fill copies a packet into the slots from head on and returns the slot after it. */
static uint32_t fill(struct netmap_ring *ring, const char *from, size_t size)
{
	uint32_t i = ring->head;

	for (;;) {
		struct netmap_slot *slot = &ring->slot[i];
		uint64_t offset = NETMAP_ROFFSET(ring, slot);
		size_t room = ring->nr_buf_size - (offset < ring->nr_buf_size ? offset : 0);
		size_t n = size < room ? size : room;

		if (offset >= ring->nr_buf_size)
			NETMAP_WOFFSET(ring, slot, (uint64_t)0);
		memcpy(NETMAP_BUF_OFFSET(ring, slot), from, n);
		slot->len = (uint16_t)n;
		slot->flags = n < size ? NS_MOREFRAG : 0;
		i = nm_ring_next(ring, i);
		if (n == size)
			return i;
		from += n;
		size -= n;
	}
}

/* room: are there slots enough for size bytes? */
static bool room(struct netmap_ring *ring, size_t size)
{
	uint32_t n = nm_ring_space(ring), i = ring->head;

	for (; n > 0; n--, i = nm_ring_next(ring, i)) {
		uint64_t offset = NETMAP_ROFFSET(ring, &ring->slot[i]);
		size_t space = ring->nr_buf_size - (offset < ring->nr_buf_size ? offset : 0);
		if (size <= space)
			return true;
		size -= space;
	}
	return false;
}

EXPORT int nmport_inject(struct nmport_d *d, const void *buf, size_t size)
{
	uint32_t rings = d->last_tx_ring - d->first_tx_ring + 1U, r = d->cur_tx_ring;

	for (uint32_t tried = 0; tried < rings; tried++, r++) {
		if (r > d->last_tx_ring)
			r = d->first_tx_ring;
		struct netmap_ring *ring = NETMAP_TXRING(d->nifp, r);
		if (!room(ring, size))
			continue;
		ring->head = ring->cur = fill(ring, buf, size);
		d->cur_tx_ring = (uint16_t)r;
		return (int)size;
	}
	return 0;
}
