/* options.h: the list of options of a control request (NC B.8). */
#ifndef NMD_OPTIONS_H
#define NMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NMD_OPTS_MAX = 130,    /* more than the reference has room for */
	NMD_OPTS_WIRE = 16 * NMD_OPTS_MAX + 4096,
};

struct nmd_options {
	int n;
	struct {
		uint64_t at; /* address of the option in the program */
		uint32_t type;
		uint32_t status;
		uint32_t size; /* of the body */
		uint32_t body; /* where it lies in wire */
	} opt[NMD_OPTS_MAX];
	char wire[NMD_OPTS_WIRE]; /* the options as they go to the daemon */
	size_t wire_len;
};

void nmd_options_init(struct nmd_options *o);

/* nmd_options_walk reads the list that starts at an address: 0, EFAULT, EINVAL or EMSGSIZE. */
int nmd_options_walk(struct nmd_options *o, uint64_t first, size_t body_len);

/* nmd_options_find is the place of the option of a type, -1 if there is none. */
int nmd_options_find(const struct nmd_options *o, uint32_t type);

/* nmd_options_answer takes the daemon's copy of wire: 0, or EIO if it has another form. */
int nmd_options_answer(struct nmd_options *o, const char *wire, size_t len);

/* nmd_options_write_back gives the statuses to the program, and the bodies of options that
 * were carried out if the request was: 0 or EFAULT. */
int nmd_options_write_back(const struct nmd_options *o, bool ok);

#endif
