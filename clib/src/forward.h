/*
 * forward.h: frames of the host that go out on the NIC (NC D.7).
 */
#ifndef NMD_FORWARD_H
#define NMD_FORWARD_H

#include "sync.h"

/* nmd_forward_down sends the released slots [from, to) of a host RX ring that say
 * NS_FORWARD, and returns NMD_FORWARDED if there was one. Part of its sync. */
unsigned nmd_forward_down(struct nmd_ring *r, uint32_t from, uint32_t to);

#endif
