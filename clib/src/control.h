/* control.h: netmap's ioctls on a descriptor. */
#ifndef NMD_CONTROL_H
#define NMD_CONTROL_H

#include <stdbool.h>

#include "desc.h"

/* nmd_is_netmap_ioctl: could a program mean netmap by this number? */
static inline bool nmd_is_netmap_ioctl(unsigned long req)
{
	return ((uint32_t)req & 0xff00) == 0x6900; /* the letter i */
}

/* nmd_ioctl carries one out: 0 or an errno. */
int nmd_ioctl(struct nmd_desc *d, int fd, uint32_t req, uint64_t arg);

/* nmd_control is NIOCCTRL. */
int nmd_control(struct nmd_desc *d, int fd, uint64_t arg);

#endif
