/* nmreq.c: the headers of requests and their option lists. */
#include <stdlib.h>
#include <string.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

EXPORT void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body)
{
	memset(hdr, 0, sizeof *hdr);
	hdr->nr_version = NETMAP_API;
	hdr->nr_reqtype = reqtype;
	hdr->nr_body = (uintptr_t)body;
}

EXPORT void nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	opt->nro_next = hdr->nr_options;
	hdr->nr_options = (uintptr_t)opt;
}

EXPORT void nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt)
{
	uint64_t *link = &hdr->nr_options;

	while (*link && *link != (uintptr_t)opt)
		link = &((struct nmreq_option *)(uintptr_t)*link)->nro_next;
	if (*link) {
		*link = opt->nro_next;
		opt->nro_next = 0;
	}
}

EXPORT struct nmreq_option *nmreq_find_option(struct nmreq_header *hdr, uint32_t type)
{
	struct nmreq_option *opt;

	nmreq_foreach_option (hdr, opt) {
		if (opt->nro_reqtype == type)
			break;
	}
	return opt;
}

EXPORT void nmreq_free_options(struct nmreq_header *hdr)
{
	struct nmreq_option *opt = (struct nmreq_option *)(uintptr_t)hdr->nr_options, *next;

	for (; opt; opt = next) {
		next = (struct nmreq_option *)(uintptr_t)opt->nro_next;
		free(opt);
	}
	hdr->nr_options = 0;
}

EXPORT const char *nmreq_option_name(uint32_t type)
{
	switch (type) {
	case NETMAP_REQ_OPT_EXTMEM:
		return "extmem";
	case NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS:
		return "sync-kloop-eventfds";
	case NETMAP_REQ_OPT_CSB:
		return "csb";
	case NETMAP_REQ_OPT_SYNC_KLOOP_MODE:
		return "sync-kloop-mode";
	case NETMAP_REQ_OPT_OFFSETS:
		return "offsets";
	}
	return "unknown";
}
