/* lib.h: what the library's own files share. */
#ifndef NETMAPD_LIBNETMAP_LIB_H
#define NETMAPD_LIBNETMAP_LIB_H

#include <libnetmap.h>

#define EXPORT __attribute__((visibility("default")))

/* Set free when a port is parsed anew or deleted. */
struct nmport_cleanup_d {
	struct nmport_cleanup_d *next;
	void (*cleanup)(struct nmport_cleanup_d *, struct nmport_d *);
};

/* nmport_clean runs what is on the list, the last one first. */
void nmport_clean(struct nmport_d *d);

/* nmport_parse_options reads what follows the register part of a name. */
int nmport_parse_options(struct nmport_d *d, const char *opts);

/* nmport_number reads a decimal number up to max, which has to be all of text. */
int nmport_number(struct nmctx *ctx, const char *key, const char *text, uint64_t max, uint64_t *n);

/* nmport_fail reports an error, sets errno and is -1. */
int nmport_fail(struct nmctx *ctx, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
