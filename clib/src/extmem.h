/*
 * extmem.h: regions in the program's own memory (EXTMEM, NC B.9.1). The daemon takes
 * memory only as a sealed memfd, which nobody can take away from under it. So the
 * program's memory moves onto one, with what is in it, and is mapped in its place.
 */
#ifndef NMD_EXTMEM_H
#define NMD_EXTMEM_H

#include <stdbool.h>

#include "options.h"

/* The memory of one registration. */
struct nmd_extmem {
	int fd; /* -1: the request has no such option */
	bool there; /* it is what is mapped already: the memory of another port of this program */
	int opt; /* of the request */
	uint64_t at, size; /* whole pages */
	uint64_t said; /* the size in the option */
};

/*
 * nmd_extmem_prepare makes the memfd for a request: 0, or EINVAL for memory that does
 * not begin at a page, EFAULT for memory that is not there or not the program's to
 * write, EBUSY for a part of another region, ENOMEM. The program's memory stays as it is.
 */
int nmd_extmem_prepare(struct nmd_extmem *x, struct nmd_options *o);

/* nmd_extmem_answer, when the daemon has answered: the option as the program gave it. */
void nmd_extmem_answer(const struct nmd_extmem *x, struct nmd_options *o);

/* nmd_extmem_place maps it in place of the program's memory: 0 or an errno. */
int nmd_extmem_place(const struct nmd_extmem *x);

void nmd_extmem_done(struct nmd_extmem *x);

#endif
