/*
 * usermem.h: the program's memory, which it may have named wrongly. A netmap
 * request with a wild pointer gives EFAULT, not a crash (NC B.4).
 */
#ifndef NMD_USERMEM_H
#define NMD_USERMEM_H

#include <stddef.h>
#include <stdint.h>

/* Both return 0 or EFAULT. Addresses are as requests hold them. */
int nmd_copy_in(void *to, uint64_t from, size_t n);
int nmd_copy_out(uint64_t to, const void *from, size_t n);

#endif
