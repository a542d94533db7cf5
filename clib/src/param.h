/*
 * param.h: netmap's module parameters, files under /sys/module/netmap/parameters.
 * What a program opens there is a memory file of its own with the value in it. What
 * it writes is appended, and goes to the daemon when the program closes the
 * descriptor, or one of its duplicates, or exits.
 */
#ifndef NMD_PARAM_H
#define NMD_PARAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NMD_PARAM_DIR "/sys/module/netmap/parameters/"

/* nmd_params counts the writable descriptors there are: 0 in nearly all programs. */
extern _Atomic int nmd_params;

static inline bool nmd_param_any(void)
{
	return __builtin_expect(atomic_load_explicit(&nmd_params, memory_order_relaxed) != 0, 0);
}

static inline bool nmd_param_path(const char *path)
{
	return path && path[0] == '/' && path[1] == 's' && strncmp(path, NMD_PARAM_DIR, sizeof NMD_PARAM_DIR - 1) == 0;
}

/* As their namesakes, for paths of parameters. */
int nmd_param_open(const char *path, int flags);

/* nmd_param_recognise takes note of fd if it is a parameter opened for writing, before
 * an exec or as another descriptor. */
void nmd_param_recognise(int fd);

/* nmd_param_duplicated: to is a new duplicate of something, and not what it was before. */
void nmd_param_duplicated(int to);

/* nmd_param_closing sends what was written to parameters among the descriptors first
 * to last, which are about to be closed: 0 or an errno. */
int nmd_param_closing(unsigned first, unsigned last);

void nmd_param_forked(void);

#endif
