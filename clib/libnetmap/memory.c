/* memory.c: what a port's packets lie in: memory of the program's own, offsets. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

/* The option, and the file's mapping if it was made here. */
struct extmem {
	struct nmport_cleanup_d c;
	struct nmreq_opt_extmem *opt;
	void *mapped;
	size_t size;
};

static void drop_extmem(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	struct extmem *e = (struct extmem *)c;

	nmreq_remove_option(&d->hdr, &e->opt->nro_opt);
	nmctx_free(d->ctx, e->opt);
	d->extmem = NULL;
	if (e->mapped)
		munmap(e->mapped, e->size);
}

static int add_extmem(struct nmport_d *d, void *base, size_t size, void *mapped)
{
	struct extmem *e = nmctx_malloc(d->ctx, sizeof *e);
	struct nmreq_opt_extmem *opt = nmctx_malloc(d->ctx, sizeof *opt);

	if (!e || !opt) {
		nmctx_free(d->ctx, e);
		nmctx_free(d->ctx, opt);
		return nmport_fail(d->ctx, ENOMEM, "extmem: out of memory");
	}
	memset(opt, 0, sizeof *opt);
	opt->nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM;
	opt->nro_usrptr = (uintptr_t)base;
	opt->nro_info.nr_memsize = size;
	nmreq_push_option(&d->hdr, &opt->nro_opt);
	*e = (struct extmem){{d->clist, drop_extmem}, opt, mapped, size};
	d->clist = &e->c;
	d->extmem = opt;
	return 0;
}

static int extmem_possible(struct nmport_d *d)
{
	if (d->register_done)
		return nmport_fail(d->ctx, EINVAL, "extmem: %s is registered already", d->hdr.nr_name);
	if (d->extmem)
		return nmport_fail(d->ctx, EINVAL, "extmem: given twice; a port lives in one region, give it once");
	return 0;
}

EXPORT int nmport_extmem(struct nmport_d *d, void *base, size_t size)
{
	return extmem_possible(d) < 0 ? -1 : add_extmem(d, base, size, NULL);
}

EXPORT int nmport_extmem_from_file(struct nmport_d *d, const char *file)
{
	struct stat st;
	int fd, err;
	void *p;

	if (extmem_possible(d) < 0)
		return -1;
	fd = open(file, O_RDWR);
	if (fd < 0)
		return nmport_fail(d->ctx, errno, "extmem: cannot open %s: %s", file, strerror(errno));
	err = fstat(fd, &st) < 0 ? errno : 0;
	p = err ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (!err && p == MAP_FAILED)
		err = errno;
	close(fd);
	if (err)
		return nmport_fail(d->ctx, err, "extmem: cannot map %s: %s", file, strerror(err));
	if (add_extmem(d, p, (size_t)st.st_size, p) == 0)
		return 0;
	munmap(p, (size_t)st.st_size);
	errno = ENOMEM;
	return -1;
}

EXPORT struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d)
{
	return d->extmem ? &d->extmem->nro_info : NULL;
}

struct offsets {
	struct nmport_cleanup_d c;
	struct nmreq_opt_offsets opt;
};

static void drop_offsets(struct nmport_cleanup_d *c, struct nmport_d *d)
{
	nmreq_remove_option(&d->hdr, &((struct offsets *)c)->opt.nro_opt);
}

EXPORT int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits, uint64_t mingap)
{
	if (d->register_done)
		return nmport_fail(d->ctx, EINVAL, "offset: %s is registered already", d->hdr.nr_name);
	if (nmreq_find_option(&d->hdr, NETMAP_REQ_OPT_OFFSETS))
		return nmport_fail(d->ctx, EINVAL, "offset: given twice; give it once");
	struct offsets *o = nmctx_malloc(d->ctx, sizeof *o);
	if (!o)
		return nmport_fail(d->ctx, ENOMEM, "offset: out of memory");
	memset(o, 0, sizeof *o);
	o->c = (struct nmport_cleanup_d){d->clist, drop_offsets};
	o->opt.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS;
	o->opt.nro_initial_offset = initial;
	o->opt.nro_max_offset = maxoff;
	o->opt.nro_offset_bits = (uint32_t)bits;
	o->opt.nro_min_gap = mingap;
	d->clist = &o->c;
	nmreq_push_option(&d->hdr, &o->opt.nro_opt);
	return 0;
}
