#include "indirect.h"

#include <string.h>

#include "usermem.h"

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit(&(p), (v), memory_order_relaxed)

enum { FLAGS_SHIFT = 48 };

/*
 * any_flag ors the flags of n slots. It runs over every slot that is sent, indirect
 * or not: four sums, so that the loads do not wait for each other.
 */
static unsigned any_flag(const struct nmd_slot *s, uint32_t n)
{
	uint64_t a = 0, b = 0, c = 0, d = 0;

	for (; n >= 4; n -= 4, s += 4) {
		a |= LOAD(s[0].word);
		b |= LOAD(s[1].word);
		c |= LOAD(s[2].word);
		d |= LOAD(s[3].word);
	}
	for (; n > 0; n--, s++)
		a |= LOAD(s->word);
	return (unsigned)((a | b | c | d) >> FLAGS_SHIFT);
}

/* Slots to be copied with one system call. */
struct batch {
	size_t n;
	struct nmd_slot *slot[NMD_COPY_MAX];
	struct nmd_copy copy[NMD_COPY_MAX];
};

static void mark(struct nmd_slot *s, bool fault)
{
	uint64_t w = LOAD(s->word), bit = (uint64_t)NMD_NS_INDIRECT_FAULT << FLAGS_SHIFT;

	STORE(s->word, fault ? w | bit : w & ~bit);
}

static void flush(struct batch *b)
{
	nmd_copy_many(b->copy, b->n);
	for (size_t i = 0; i < b->n; i++)
		mark(b->slot[i], b->copy[i].fault);
	b->n = 0;
}

/* fetch copies what n slots point to. Wrong indices and lengths are the daemon's to refuse. */
static void fetch(struct nmd_ring *r, struct nmd_slot *s, uint32_t n)
{
	struct batch b;

	b.n = 0;
	for (; n > 0; n--, s++) {
		uint64_t w = LOAD(s->word);
		uint32_t idx = (uint32_t)w, len = w >> 32 & 0xffff;
		if (!(w >> FLAGS_SHIFT & NMD_NS_INDIRECT) || idx < NMD_MIN_BUF || idx >= r->buf_count ||
		    len > r->buf_size)
			continue;
		if (b.n == NMD_COPY_MAX)
			flush(&b);
		b.slot[b.n] = s;
		b.copy[b.n++] = (struct nmd_copy){r->bufs + (uint64_t)idx * r->buf_size, s->ptr, len, false};
	}
	if (b.n > 0)
		flush(&b);
}

static void stretch(struct nmd_ring *r, uint32_t from, uint32_t n)
{
	struct nmd_slot *s = r->hdr->slot + from;

	if (__builtin_expect(any_flag(s, n) & NMD_NS_INDIRECT, 0))
		fetch(r, s, n);
}

void nmd_indirect(struct nmd_ring *r, uint32_t from, uint32_t to)
{
	if (to < from) {
		stretch(r, from, r->slots - from);
		from = 0;
	}
	stretch(r, from, to - from);
}
