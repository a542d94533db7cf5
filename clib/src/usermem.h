/*
 * usermem.h: the program's memory, which it may have named wrongly. A netmap
 * request with a wild pointer gives EFAULT, not a crash (NC B.4).
 */
#ifndef NMD_USERMEM_H
#define NMD_USERMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Both return 0 or EFAULT. Addresses are as requests hold them. */
int nmd_copy_in(void *to, uint64_t from, size_t n);
int nmd_copy_out(uint64_t to, const void *from, size_t n);

/* One of several copies into our memory. */
struct nmd_copy {
	void *to;
	uint64_t from;
	size_t n;
	bool fault; /* out: from cannot be read; what lies at to is anything */
};

enum { NMD_COPY_MAX = 64 };

/* nmd_copy_many makes at most NMD_COPY_MAX copies, with one system call if all can be made. */
void nmd_copy_many(struct nmd_copy *c, size_t n);

#endif
