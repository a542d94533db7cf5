/* bind.h: the memory of a bound descriptor, mapped and let go. */
#ifndef NMD_BIND_H
#define NMD_BIND_H

#include "desc.h"

/* nmd_unbind undoes nmd_desc_adopt, as far as it came. Nobody else uses d. */
void nmd_unbind(struct nmd_desc *d);

/* nmd_region_of is a duplicate of the region that is the given file, of this size; -1 if
 * there is none, -2 if it has another size. */
int nmd_region_of(dev_t dev, ino_t ino, uint64_t size);

/* nmd_map is mmap for memory that we share with the daemon: pages are made when they are
 * touched, also in a program that locks all its memory. */
void *nmd_map(void *addr, size_t len, int prot, int flags, int fd, off_t off);

/* nmd_region_forked: see nmd_desc_forked. */
void nmd_region_forked(void);

#endif
