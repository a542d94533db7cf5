/* process.h: the life of the process: load, fork. */
#ifndef NMD_PROCESS_H
#define NMD_PROCESS_H

#include <stdbool.h>

/*
 * nmd_borrowed: is this a child that runs in its parent's memory, between vfork
 * and exec? Its descriptors are its own, but the table is the parent's and must
 * stay as it is.
 */
bool nmd_borrowed(void);

#endif
