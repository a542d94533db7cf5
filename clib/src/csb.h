/*
 * csb.h: CSB mode and the sync loop (NC E.10). A program in CSB mode does not make
 * sync calls: it says in arrays of its own how far it is, and a thread of it that
 * entered the sync loop is the core. Only this process sees the arrays, so the loop
 * runs here and bridges them and the sync blocks.
 */
#ifndef NMD_CSB_H
#define NMD_CSB_H

#include "desc.h"
#include "options.h"

/* The program says, one for each bound ring, TX rings first. */
struct nmd_csb_atok {
	_Atomic uint32_t head;
	_Atomic uint32_t cur;
	_Atomic uint32_t appl_need_kick;
	_Atomic uint32_t sync_flags;
	uint8_t pad[48];
};

/* The core says. */
struct nmd_csb_ktoa {
	_Atomic uint32_t hwcur;
	_Atomic uint32_t hwtail;
	_Atomic uint32_t kern_need_kick;
	uint8_t pad[52];
};

_Static_assert(sizeof(struct nmd_csb_atok) == 64, "NC E.10");
_Static_assert(sizeof(struct nmd_csb_ktoa) == 64, "NC E.10");

/*
 * nmd_csb_set puts a descriptor into CSB mode, with the arrays that the option of a
 * request names, if it has one: 0, EBUSY, EINVAL or EFAULT, with which the descriptor
 * is as it was (NC B.9.3). The option's status says it, too.
 */
int nmd_csb_set(struct nmd_desc *d, struct nmd_options *o);

/* nmd_csb_block is the sync block that holds what all processes of d know of its mode;
 * NULL without rings. */
struct nmd_sync_block *nmd_csb_block(const struct nmd_desc *d);

/* nmd_csb_look: another process may have put d into CSB mode. */
void nmd_csb_look(struct nmd_desc *d);

/* The requests CSB_ENABLE, SYNC_KLOOP_START, which returns when the loop was stopped,
 * and SYNC_KLOOP_STOP: 0 or an errno. */
int nmd_csb_enable(struct nmd_desc *d, int fd, struct nmd_options *o);
int nmd_kloop_start(struct nmd_desc *d, int fd, uint32_t sleep_us, struct nmd_options *o);
int nmd_kloop_stop(struct nmd_desc *d, int fd);

#endif
