#include "options.h"

#include <errno.h>
#include <string.h>

#include "abi.h"
#include "usermem.h"
#include "wire.h"

/* The reference's staging area, which is what bounds a list (NC B.8 rule 1). */
enum { STAGING = 4208, STAGING_FIXED = 16 + 48, STAGING_HEADER = 32 };

void nmd_options_init(struct nmd_options *o)
{
	o->n = 0;
	o->wire_len = 0;
}

/* option_body is the size of an option's body; negative when it is out of bounds. */
static int64_t option_body(const struct nmd_req_option *h)
{
	static const uint8_t total[NMD_OPT_TYPES] = {0, 96, 0, 40, 32, 56};

	if (h->type >= NMD_OPT_TYPES)
		return 0; /* nobody knows what follows */
	if (h->type != NMD_OPT_KLOOP_EVENTFDS)
		return total[h->type] - (int64_t)sizeof *h;
	if (h->size > NMD_MAX_REQUEST)
		return -1;
	return h->size < sizeof *h ? 0 : (int64_t)(h->size - sizeof *h);
}

/* duplicate marks both options of one known type. */
static bool duplicate(struct nmd_options *o, int i)
{
	for (int j = 0; j < i; j++) {
		if (o->opt[j].type == o->opt[i].type && o->opt[i].type < NMD_OPT_TYPES) {
			o->opt[j].status = o->opt[i].status = EINVAL;
			return true;
		}
	}
	return false;
}

/* append puts an option where the daemon finds it: header, body, padding. */
static int append(struct nmd_options *o, int i, uint32_t size)
{
	struct nmd_option w = {.type = o->opt[i].type, .size = size};
	size_t padded = (size + 7) & ~(size_t)7;

	memcpy(o->wire + o->wire_len, &w, sizeof w);
	o->wire_len += sizeof w;
	memset(o->wire + o->wire_len, 0, padded);
	o->opt[i].size = size;
	o->opt[i].body = (uint32_t)o->wire_len;
	int err = nmd_copy_in(o->wire + o->wire_len, o->opt[i].at + sizeof(struct nmd_req_option), size);
	o->wire_len += padded;
	return err;
}

/* step reads the option at an address; the order is that of NC B.8. */
static int step(struct nmd_options *o, uint64_t at, size_t *staged, uint64_t *next)
{
	struct nmd_req_option h;

	if (*staged + STAGING_HEADER > STAGING || o->n == NMD_OPTS_MAX) {
		o->n = 0; /* nothing is written back */
		return EMSGSIZE;
	}
	*staged += STAGING_HEADER;
	if (nmd_copy_in(&h, at, sizeof h))
		return EFAULT;
	int i = o->n++;
	o->opt[i].at = at;
	o->opt[i].type = h.type;
	o->opt[i].status = 0;
	*next = h.next;
	if (h.type == 0) {
		o->opt[i].status = EINVAL;
		return EINVAL;
	}
	if (duplicate(o, i))
		return EINVAL;
	int64_t size = option_body(&h);
	if (size < 0 || *staged + (size_t)size > STAGING)
		return EMSGSIZE;
	*staged += (size_t)size;
	return append(o, i, (uint32_t)size);
}

int nmd_options_walk(struct nmd_options *o, uint64_t first, size_t body_len)
{
	size_t staged = STAGING_FIXED + body_len;
	uint64_t next = 0;

	for (uint64_t at = first; at; at = next) {
		int err = step(o, at, &staged, &next);
		if (err)
			return err;
	}
	/* Each consumer overwrites this; who carries nothing out leaves it. */
	for (int i = 0; i < o->n; i++)
		o->opt[i].status = EOPNOTSUPP;
	return 0;
}

int nmd_options_find(const struct nmd_options *o, uint32_t type)
{
	for (int i = 0; i < o->n; i++)
		if (o->opt[i].type == type)
			return i;
	return -1;
}

int nmd_options_answer(struct nmd_options *o, const char *wire, size_t len)
{
	struct nmd_option w;

	if (len != o->wire_len)
		return EIO;
	for (int i = 0; i < o->n; i++) {
		memcpy(&w, wire + o->opt[i].body - sizeof w, sizeof w);
		if (w.type != o->opt[i].type || w.size != o->opt[i].size)
			return EIO;
		o->opt[i].status = w.status;
	}
	memcpy(o->wire, wire, len);
	return 0;
}

int nmd_options_write_back(const struct nmd_options *o, bool ok)
{
	int err = 0;

	for (int i = 0; i < o->n; i++) {
		uint64_t at = o->opt[i].at;
		err |= nmd_copy_out(at + offsetof(struct nmd_req_option, status), &o->opt[i].status,
				    sizeof o->opt[i].status);
		if (ok && o->opt[i].status == 0)
			err |= nmd_copy_out(at + sizeof(struct nmd_req_option), o->wire + o->opt[i].body,
					    o->opt[i].size);
	}
	return err ? EFAULT : 0;
}
