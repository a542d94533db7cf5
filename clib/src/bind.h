/* bind.h: the memory of a bound descriptor, mapped and let go. */
#ifndef NMD_BIND_H
#define NMD_BIND_H

#include "desc.h"

/* nmd_unbind undoes nmd_desc_adopt, as far as it came. Nobody else uses d. */
void nmd_unbind(struct nmd_desc *d);

/* nmd_region_forked: see nmd_desc_forked. */
void nmd_region_forked(void);

#endif
