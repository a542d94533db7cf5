#include "csb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "usermem.h"

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)

enum { CSB_ALIGN = 64 };

struct nmd_sync_block *nmd_csb_block(const struct nmd_desc *d)
{
	return d->ntx + d->nrx ? d->tx[0].blk : NULL; /* RX rings lie behind TX rings */
}

void nmd_csb_look(struct nmd_desc *d)
{
	struct nmd_sync_block *b = nmd_csb_block(d);

	if (b)
		atomic_store_explicit(&d->csb, LOAD(b->csb) != 0, memory_order_relaxed);
}

/* describe says in fresh entries what a ring's state is. */
static void describe(const struct nmd_ring *r, struct nmd_csb_atok *in, struct nmd_csb_ktoa *out)
{
	memset(out, 0, sizeof *out);
	in->head = LOAD(r->blk->rhead);
	in->cur = LOAD(r->blk->rcur);
	in->appl_need_kick = 1;
	in->sync_flags = 1;
	out->hwcur = nmd_hwcur(r);
	out->hwtail = LOAD(r->blk->rtail);
	out->kern_need_kick = 1;
}

/* init writes both arrays; nothing is written where one of them cannot be. */
static int init(struct nmd_desc *d, uint64_t atok, uint64_t ktoa)
{
	size_t n = d->ntx + d->nrx;
	struct nmd_csb_atok *in = calloc(n, sizeof *in);
	struct nmd_csb_ktoa *out = calloc(n, sizeof *out);
	int err = in && out ? nmd_copy_in(in, atok, n * sizeof *in) : ENOMEM;

	if (!err)
		err = nmd_copy_out(atok, in, n * sizeof *in);
	for (size_t i = 0; i < n && !err; i++)
		describe(&d->tx[i], &in[i], &out[i]);
	if (!err)
		err = nmd_copy_out(ktoa, out, n * sizeof *out);
	if (!err)
		err = nmd_copy_out(atok, in, n * sizeof *in);
	free(in);
	free(out);
	return err;
}

static int set(struct nmd_desc *d, uint64_t atok, uint64_t ktoa)
{
	struct nmd_sync_block *b = nmd_csb_block(d);

	if (b && LOAD(b->loop))
		return EBUSY;
	if (!b)
		return 0;
	if (!(d->bind.flags & NMD_FLAG_EXCLUSIVE) || (atok | ktoa) % CSB_ALIGN)
		return EINVAL;
	int err = init(d, atok, ktoa);
	if (err)
		return err;
	d->atok = (struct nmd_csb_atok *)(uintptr_t)atok;
	d->ktoa = (struct nmd_csb_ktoa *)(uintptr_t)ktoa;
	atomic_store(&b->csb, 1);
	atomic_store(&d->csb, true);
	return 0;
}

int nmd_csb_set(struct nmd_desc *d, struct nmd_options *o)
{
	uint64_t at[2];
	int i = nmd_options_find(o, NMD_OPT_CSB);

	if (i < 0)
		return 0;
	memcpy(at, o->wire + o->opt[i].body, sizeof at);
	int err = set(d, at[0], at[1]);
	o->opt[i].status = (uint32_t)err;
	return err;
}

int nmd_csb_enable(struct nmd_desc *d, int fd, struct nmd_options *o)
{
	int i = nmd_options_find(o, NMD_OPT_CSB);

	if (i < 0)
		return EINVAL;
	if (nmd_desc_bound(d, fd) != 0) {
		o->opt[i].status = 0; /* nothing to do, and no error (NC B.7) */
		return 0;
	}
	pthread_mutex_lock(&d->binding);
	int err = nmd_csb_set(d, o);
	pthread_mutex_unlock(&d->binding);
	return err;
}
