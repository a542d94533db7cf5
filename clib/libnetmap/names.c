/*
 * names.c: the names of ports (NC C.2), held to netmap/name by the vectors that both
 * replay.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

int nmport_fail(struct nmctx *ctx, int err, const char *format, ...)
{
	enum { MESSAGE_MAX = 1024 };
	char msg[MESSAGE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(msg, sizeof msg, format, ap);
	va_end(ap);
	nmctx_ferror(ctx, "%s", msg);
	errno = err;
	return -1;
}

/* A text that is being read, and where. */
struct scan {
	const char *text, *at;
	struct nmctx *ctx;
};

static int refuse(const struct scan *s, const char *at, const char *why)
{
	return nmport_fail(s->ctx, EINVAL, "port name \"%s\", character %zu: %s", s->text, (size_t)(at - s->text) + 1, why);
}

/* number reads one up to max; -1 if there is none. */
static long number(struct scan *s, long max, const char *why)
{
	const char *start = s->at;
	long n = 0;

	for (; isdigit((unsigned char)*s->at) && n <= max; s->at++)
		n = n * 10 + (*s->at - '0');
	return s->at == start || n > max ? refuse(s, start, why) : n;
}

/* not_identifier is the first character in [from, end) that an identifier has not; null if all are good. */
static const char *not_identifier(const char *from, const char *end)
{
	for (; from != end; from++)
		if (!isalnum((unsigned char)*from) && *from != '_')
			return from;
	return NULL;
}

/* prefix reads "netmap:" or "vale", an identifier and ":". */
static int prefix(struct scan *s, bool *vale)
{
	enum { NETMAP = 6, VALE = 4 };
	const char *colon, *id, *bad;

	*vale = strncmp(s->at, NM_BDG_NAME, VALE) == 0;
	if (!*vale && strncmp(s->at, "netmap", NETMAP) != 0)
		return refuse(s, s->at, "expected netmap: or vale; for an interface called NAME write netmap:NAME, for a switch port vale0:NAME");
	id = s->at + (*vale ? VALE : NETMAP);
	colon = strchr(id, ':');
	if (!colon)
		return refuse(s, s->at + strlen(s->at), "expected \":\"; write for example netmap:eth0 or vale0:1");
	if (!*vale && colon != id)
		return refuse(s, id, "expected \":\" right after netmap");
	bad = not_identifier(id, colon);
	if (bad)
		return refuse(s, bad, "the name of a switch is \"vale\" and letters, digits and \"_\" only");
	s->at = colon + 1;
	return 0;
}

EXPORT int nmreq_header_decode(const char **spec, struct nmreq_header *hdr, struct nmctx *ctx)
{
	struct scan s = {*spec, *spec, ctx};
	const char *base, *brace, *bad;
	bool vale;

	if (prefix(&s, &vale) < 0)
		return -1;
	base = s.at;
	s.at += strcspn(s.at, "-*^/@");
	if (s.at == base)
		return refuse(&s, base, "expected the name of a port; write for example netmap:eth0 or vale0:1");
	brace = base + strcspn(base, "{}");
	if (brace < s.at) {
		if (brace + 1 == s.at)
			return refuse(&s, s.at, "expected the identifier of a pipe");
		if ((bad = not_identifier(brace + 1, s.at)))
			return refuse(&s, bad, "a pipe identifier holds letters, digits and \"_\" only");
	}
	if (vale)
		base = s.text; /* the core wants the prefix too */
	if ((size_t)(s.at - base) >= sizeof hdr->nr_name)
		return refuse(&s, base + sizeof hdr->nr_name - 1, "a name has at most 63 bytes; use a shorter one");
	memset(hdr->nr_name, 0, sizeof hdr->nr_name);
	memcpy(hdr->nr_name, base, (size_t)(s.at - base));
	*spec = s.at;
	return 0;
}

/* rings reads which of them. */
static int rings(struct scan *s, struct nmreq_register *r)
{
	long ring = 0;

	r->nr_mode = NR_REG_ALL_NIC;
	switch (*s->at) {
	case '*':
		s->at++;
		r->nr_mode = NR_REG_NIC_SW;
		break;
	case '^':
		s->at++;
		r->nr_mode = NR_REG_SW;
		if (isdigit((unsigned char)*s->at)) {
			r->nr_mode = NR_REG_ONE_SW;
			ring = number(s, NETMAP_RING_MASK - 1, "expected the number of a host ring, 0 to 4094");
		}
		break;
	case '-':
		s->at++;
		r->nr_mode = NR_REG_ONE_NIC;
		ring = number(s, NETMAP_RING_MASK - 1, "expected the number of a ring, 0 to 4094");
		break;
	}
	r->nr_ringid = (uint16_t)ring;
	return ring < 0 ? -1 : 0;
}

/* flags reads letters up to "@" or the end. */
static int flags(struct scan *s, struct nmreq_register *r)
{
	static const struct {
		char letter;
		uint64_t flag;
	} letters[] = {{'x', NR_EXCLUSIVE}, {'z', NR_ZCOPY_MON}, {'t', NR_MONITOR_TX}, {'r', NR_MONITOR_RX},
		       {'R', NR_RX_RINGS_ONLY}, {'T', NR_TX_RINGS_ONLY}};
	enum { LETTERS = sizeof letters / sizeof letters[0] };

	if (!*s->at)
		return refuse(s, s->at, "expected a flag after \"/\" (x, z, t, r, R or T), found the end");
	for (; *s->at && *s->at != '@'; s->at++) {
		int i = 0;
		while (i < LETTERS && letters[i].letter != *s->at)
			i++;
		if (i == LETTERS)
			return refuse(s, s->at, "expected a flag (x, z, t, r, R or T), \"@\" or the end; all flags stand behind one \"/\"");
		r->nr_flags |= letters[i].flag;
	}
	return 0;
}

static int memory_id(struct scan *s, struct nmreq_register *r)
{
	const char *start = s->at;
	long n = number(s, UINT16_MAX, "expected a memory id, 1 to 65535, or an option after \"@\"");

	if (n < 0)
		return -1;
	if (n == 0)
		return refuse(s, start, "a memory id is above 0; leave @0 out to let netmapd choose");
	if (r->nr_mem_id && r->nr_mem_id != n)
		return refuse(s, start, "a second memory id; a port lives in one region, give one id");
	r->nr_mem_id = (uint16_t)n;
	return 0;
}

EXPORT int nmreq_register_decode(const char **spec, struct nmreq_register *reg, struct nmctx *ctx)
{
	struct scan s = {*spec, *spec, ctx};
	struct nmreq_register r = *reg;
	int err;

	r.nr_flags = 0;
	err = rings(&s, &r);
	while (!err && *s.at) {
		if (*s.at == '/') {
			s.at++;
			err = flags(&s, &r);
		} else if (*s.at != '@') {
			err = refuse(&s, s.at, "expected \"/\" and flags, \"@\" or the end");
		} else if (s.at[1] && !isdigit((unsigned char)s.at[1])) {
			break; /* options from here on */
		} else {
			s.at++;
			err = memory_id(&s, &r);
		}
	}
	if (err)
		return -1;
	*reg = r;
	*spec = s.at;
	return 0;
}

EXPORT int32_t nmreq_get_mem_id(const char **spec, struct nmctx *ctx)
{
	struct nmreq_header hdr;
	struct nmreq_port_info_get info;
	const char *at = *spec;
	int fd, r, err;

	nmreq_header_init(&hdr, NETMAP_REQ_PORT_INFO_GET, &info);
	memset(&info, 0, sizeof info);
	if (nmreq_header_decode(&at, &hdr, ctx) < 0)
		return -1;
	fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (fd < 0)
		return nmport_fail(ctx, errno, "cannot open " NETMAP_DEVICE_NAME ": %s; is netmapd running?", strerror(errno));
	r = ioctl(fd, NIOCCTRL, &hdr);
	err = errno;
	close(fd);
	if (r < 0)
		return nmport_fail(ctx, err, "cannot find the memory of %s: %s", *spec, strerror(err));
	*spec = at;
	return info.nr_mem_id;
}
