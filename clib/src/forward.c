#include "forward.h"

#define LOAD(p) atomic_load_explicit(&(p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit(&(p), (v), memory_order_relaxed)

static uint32_t next(const struct nmd_ring *r, uint32_t i) { return i + 1 < r->slots ? i + 1 : 0; }

/* changed is the first word of a slot that got the buffer of another. */
static uint64_t changed(uint64_t buffer, uint64_t length)
{
	const uint64_t len = 0xffff;

	return (uint32_t)buffer | (length & len << 32) | (uint64_t)NMD_NS_BUF_CHANGED << 48;
}

/*
 * Buffers change places with those of free slots of the TX rings, in order. What
 * finds no room is lost, since its slot is released. Like netmap, this leaves it to
 * the program to be the only one that fills the TX rings. netmap/forward.go does
 * the same.
 */
unsigned nmd_forward_down(struct nmd_ring *r, uint32_t from, uint32_t to)
{
	unsigned out = 0;

	for (uint32_t i = 0; i < r->ndown; i++) {
		struct nmd_ring *dst = &r->down[i];
		while (from != to) {
			uint64_t w = LOAD(r->hdr->slot[from].word);
			if (!(w >> 48 & NMD_NS_FORWARD)) {
				from = next(r, from);
				continue;
			}
			uint32_t head = LOAD(dst->hdr->head);
			if (head == LOAD(dst->hdr->tail) || head >= dst->slots)
				break;
			uint64_t room = LOAD(dst->hdr->slot[head].word);
			STORE(r->hdr->slot[from].word, changed(room, w));
			STORE(dst->hdr->slot[head].word, changed(w, w));
			STORE(dst->hdr->cur, next(dst, head));
			STORE(dst->hdr->head, next(dst, head));
			from = next(r, from);
			out = NMD_FORWARDED;
		}
	}
	return out;
}
