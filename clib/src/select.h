/* select.h: select with netmap descriptors in its sets, by way of poll. */
#ifndef NMD_SELECT_H
#define NMD_SELECT_H

#include <stdbool.h>
#include <sys/select.h>

#include "poll.h"

/* nmd_select_any: is any of the descriptors one of netmap's? */
bool nmd_select_any(int n, const fd_set *in, const fd_set *out, const fd_set *ex);

/* nmd_select is select for such sets. */
int nmd_select(int n, fd_set *in, fd_set *out, fd_set *ex, struct nmd_deadline until, const sigset_t *mask);

#endif
