/*
 * indirect.h: slots whose data lie where the program says (NS_INDIRECT, NC D.7).
 * Only this process can read there, so its library brings the data into the
 * slot's own buffer before the daemon sees the slot.
 */
#ifndef NMD_INDIRECT_H
#define NMD_INDIRECT_H

#include "sync.h"

/* nmd_indirect does so for the slots [from, to) of a TX ring. What cannot be read is
 * marked, and its frame dropped: a wrong pointer costs the program a frame. */
void nmd_indirect(struct nmd_ring *r, uint32_t from, uint32_t to);

#endif
