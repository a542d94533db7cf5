/* options.c: what follows "@" in the names of ports (NC C.3). */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

static struct nmreq_opt_parser *find_parser(struct nmreq_opt_parser *list, const char *option)
{
	while (list && strcmp(list->prefix, option) != 0)
		list = list->next;
	return list;
}

static const struct nmreq_opt_key *find_key(const struct nmreq_opt_parser *p, const char *key)
{
	for (int i = 0; i < p->nr_keys; i++)
		if (strcmp(p->keys[i].key, key) == 0)
			return &p->keys[i];
	return NULL;
}

/* set_key reads "key=value" or "key". */
static int set_key(const struct nmreq_opt_parser *p, struct nmreq_parse_ctx *c, char *text)
{
	char *value = strchr(text, '=');
	const struct nmreq_opt_key *k;

	if (value)
		*value++ = 0;
	for (char *s = text; *s; s++)
		if (*s == '-')
			*s = '_';
	k = find_key(p, text);
	if (!k)
		return nmport_fail(c->ctx, EINVAL, "option %s: unknown key \"%s\"", p->prefix, text);
	if (c->keys[k->id])
		return nmport_fail(c->ctx, EINVAL, "option %s: key %s is given twice; give it once", p->prefix, text);
	if ((!value || !*value) && !(k->flags & NMREQ_OPTK_ALLOWEMPTY))
		return nmport_fail(c->ctx, EINVAL, "option %s: expected \"=\" and a value after %s", p->prefix, text);
	c->keys[k->id] = value ? value : "";
	return 0;
}

/* set_keys reads what comes after the option's name and sep, which is ':', '=' or 0. */
static int set_keys(const struct nmreq_opt_parser *p, struct nmreq_parse_ctx *c, char sep, char *text)
{
	char *one;

	if (sep == '=') {
		if (p->default_key < 0)
			return nmport_fail(c->ctx, EINVAL, "option %s has no default key; write @%s:%s=...", p->prefix,
					   p->prefix, p->nr_keys ? p->keys[0].key : "key");
		if (!*text)
			return nmport_fail(c->ctx, EINVAL, "option %s: expected a value after \"=\"", p->prefix);
		c->keys[p->default_key] = text;
		return 0;
	}
	if (!sep)
		return p->flags & NMREQ_OPTF_ALLOWEMPTY
			       ? 0
			       : nmport_fail(c->ctx, EINVAL, "option %s: expected \":\" and key=value pairs", p->prefix);
	while ((one = strsep(&text, ",")))
		if (set_key(p, c, one) < 0)
			return -1;
	return 0;
}

/* decode_one reads one option, without its "@". */
static int decode_one(char *text, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	struct nmreq_parse_ctx c = {.ctx = ctx, .token = token};
	char *end = text + strcspn(text, ":="), sep = *end;
	struct nmreq_opt_parser *p;

	*end = 0;
	if (!*text)
		return nmport_fail(ctx, EINVAL, "option missing after \"@\"; write @NAME:key=value");
	p = find_parser(parsers, text);
	if (!p)
		return nmport_fail(ctx, EINVAL, "unknown option \"%s\"", text);
	if (p->flags & NMREQ_OPTF_DISABLED)
		return nmport_fail(ctx, EOPNOTSUPP, "option %s is not enabled in this program; leave it out", text);
	if (set_keys(p, &c, sep, sep ? end + 1 : end) < 0)
		return -1;
	for (int i = 0; i < p->nr_keys; i++)
		if ((p->keys[i].flags & NMREQ_OPTK_MUSTSET) && !c.keys[p->keys[i].id])
			return nmport_fail(ctx, EINVAL, "option %s: %s is missing; write @%s:%s=...", p->prefix,
					   p->keys[i].key, p->prefix, p->keys[i].key);
	return p->parse(&c);
}

EXPORT int nmreq_options_decode(const char *opts, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx)
{
	char *copy, *rest, *one;
	int r = 0, err;

	if (!*opts)
		return 0;
	if (*opts != '@')
		return nmport_fail(ctx, EINVAL, "options \"%s\": expected \"@\"", opts);
	copy = rest = strdup(opts + 1);
	if (!copy)
		return nmport_fail(ctx, ENOMEM, "options \"%s\": out of memory", opts);
	while (r == 0 && (one = strsep(&rest, "@")))
		r = decode_one(one, parsers, token, ctx);
	err = errno;
	free(copy);
	errno = err;
	return r;
}

int nmport_number(struct nmctx *ctx, const char *key, const char *text, uint64_t max, uint64_t *n)
{
	char *end;

	errno = 0;
	*n = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : max + 1;
	if (*text < '0' || *text > '9' || *end || errno || *n > max)
		return nmport_fail(ctx, EINVAL, "%s: expected a number from 0 to %llu, found \"%s\"", key,
				   (unsigned long long)max, text);
	return 0;
}

/* --- the options of nmport_parse; the token is the port --- */

static int parse_share(struct nmreq_parse_ctx *c)
{
	struct nmport_d *d = c->token;
	const char *port = c->keys[0];
	int32_t id = nmreq_get_mem_id(&port, c->ctx);

	if (id < 0)
		return -1;
	if (*port)
		return nmport_fail(c->ctx, EINVAL, "option share: expected the end of the port's name, found \"%s\"", port);
	if (d->reg.nr_mem_id && d->reg.nr_mem_id != id)
		return nmport_fail(c->ctx, EINVAL, "option share: %s is in memory %d, but memory %d is asked for; give one",
				   c->keys[0], (int)id, (int)d->reg.nr_mem_id);
	d->reg.nr_mem_id = (uint16_t)id;
	return 0;
}

enum { RINGS, HOST_RINGS, SLOTS, TX_RINGS, RX_RINGS, HOST_TX_RINGS, HOST_RX_RINGS, TX_SLOTS, RX_SLOTS, CONF_KEYS };

static int parse_conf(struct nmreq_parse_ctx *c)
{
	static const char *const names[CONF_KEYS] = {"rings", "host_rings", "slots", "tx_rings", "rx_rings",
						     "host_tx_rings", "host_rx_rings", "tx_slots", "rx_slots"};
	struct nmreq_register *r = &((struct nmport_d *)c->token)->reg;
	uint64_t n[CONF_KEYS];

	for (int i = 0; i < CONF_KEYS; i++) {
		bool slots = i == SLOTS || i == TX_SLOTS || i == RX_SLOTS;
		if (c->keys[i] && nmport_number(c->ctx, names[i], c->keys[i], slots ? UINT32_MAX : UINT16_MAX, &n[i]) < 0)
			return -1;
	}
/* A general key, and the specific one, which wins. */
#define WISH(field, type, general, special)           \
	do {                                          \
		if (c->keys[special])                 \
			r->field = (type)n[special];  \
		else if (c->keys[general])            \
			r->field = (type)n[general];  \
	} while (0)
	WISH(nr_tx_rings, uint16_t, RINGS, TX_RINGS);
	WISH(nr_rx_rings, uint16_t, RINGS, RX_RINGS);
	WISH(nr_host_tx_rings, uint16_t, HOST_RINGS, HOST_TX_RINGS);
	WISH(nr_host_rx_rings, uint16_t, HOST_RINGS, HOST_RX_RINGS);
	WISH(nr_tx_slots, uint32_t, SLOTS, TX_SLOTS);
	WISH(nr_rx_slots, uint32_t, SLOTS, RX_SLOTS);
#undef WISH
	return 0;
}

static int parse_extmem(struct nmreq_parse_ctx *c)
{
	static const char *const names[] = {"if_num", "if_size", "ring_num", "ring_size", "buf_num", "buf_size"};
	enum { NUMBERS = sizeof names / sizeof names[0] };
	struct nmport_d *d = c->token;
	struct nmreq_pools_info *pi;
	uint64_t n[NUMBERS] = {0};

	for (int i = 0; i < NUMBERS; i++)
		if (c->keys[i + 1] && nmport_number(c->ctx, names[i], c->keys[i + 1], UINT32_MAX, &n[i]) < 0)
			return -1;
	if (nmport_extmem_from_file(d, c->keys[0]) < 0)
		return -1;
	pi = nmport_extmem_getinfo(d);
	pi->nr_if_pool_objtotal = (uint32_t)n[0];
	pi->nr_if_pool_objsize = (uint32_t)n[1];
	pi->nr_ring_pool_objtotal = (uint32_t)n[2];
	pi->nr_ring_pool_objsize = (uint32_t)n[3];
	pi->nr_buf_pool_objtotal = (uint32_t)n[4];
	pi->nr_buf_pool_objsize = (uint32_t)n[5];
	return 0;
}

static int parse_offset(struct nmreq_parse_ctx *c)
{
	uint64_t initial, bits = 0;

	if (nmport_number(c->ctx, "initial", c->keys[0], UINT64_MAX, &initial) < 0 ||
	    (c->keys[1] && nmport_number(c->ctx, "bits", c->keys[1], UINT32_MAX, &bits) < 0))
		return -1;
	return nmport_offset(c->token, initial, initial, bits, 0);
}

static struct nmreq_opt_parser offset = {"offset", parse_offset, 0, 2, NMREQ_OPTF_DISABLED, NULL,
					 {{"initial", 0, NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET}, {"bits", 1, 0}}};
static struct nmreq_opt_parser extmem = {"extmem", parse_extmem, 0, 7, 0, &offset,
					 {{"file", 0, NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET},
					  {"if_num", 1, 0}, {"if_size", 2, 0}, {"ring_num", 3, 0},
					  {"ring_size", 4, 0}, {"buf_num", 5, 0}, {"buf_size", 6, 0}}};
static struct nmreq_opt_parser conf = {"conf", parse_conf, -1, CONF_KEYS, 0, &extmem,
				       {{"rings", RINGS, 0}, {"host_rings", HOST_RINGS, 0}, {"slots", SLOTS, 0},
					{"tx_rings", TX_RINGS, 0}, {"rx_rings", RX_RINGS, 0},
					{"host_tx_rings", HOST_TX_RINGS, 0}, {"host_rx_rings", HOST_RX_RINGS, 0},
					{"tx_slots", TX_SLOTS, 0}, {"rx_slots", RX_SLOTS, 0}}};
static struct nmreq_opt_parser share = {"share", parse_share, 0, 1, 0, &conf,
					{{"port", 0, NMREQ_OPTK_DEFAULT | NMREQ_OPTK_MUSTSET}}};

int nmport_parse_options(struct nmport_d *d, const char *opts)
{
	return nmreq_options_decode(opts, &share, d, d->ctx);
}

EXPORT int nmport_enable_option(const char *option)
{
	struct nmreq_opt_parser *p = find_parser(&share, option);

	if (!p) {
		errno = EOPNOTSUPP;
		return -1;
	}
	p->flags &= ~NMREQ_OPTF_DISABLED;
	return 0;
}

EXPORT void nmport_disable_option(const char *option)
{
	struct nmreq_opt_parser *p = find_parser(&share, option);

	if (p)
		p->flags |= NMREQ_OPTF_DISABLED;
}
