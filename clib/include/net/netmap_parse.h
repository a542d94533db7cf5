/*
 * net/netmap_parse.h: the names that nm_open takes (NC C.4). Included by net/netmap_open.h.
 */
#ifndef NETMAPD_NET_NETMAP_PARSE_H
#define NETMAPD_NET_NETMAP_PARSE_H

/* nm_refuse_ says in err what is wrong with character at of a name, and is -1. */
static inline int nm_refuse_(char *err, const char *name, const char *at, const char *why)
{
	if (at)
		snprintf(err, NM_ERRBUF_SIZE, "port name \"%s\", character %d: %s", name, (int)(at - name) + 1, why);
	else
		snprintf(err, NM_ERRBUF_SIZE, "port name \"%s\": %s", name, why);
	errno = EINVAL;
	return -1;
}

/* nm_number_ reads a decimal number of at most limit, -1 if there is none. */
static inline long nm_number_(const char **p, long limit)
{
	long n = 0;

	if (!isdigit((unsigned char)**p))
		return -1;
	for (; isdigit((unsigned char)**p); (*p)++) {
		n = n * 10 + (**p - '0');
		if (n > limit)
			return -1;
	}
	return n;
}

static inline int nm_is_identifier(const char *from, const char *end)
{
	for (; from != end; from++)
		if (!isalnum((unsigned char)*from) && *from != '_')
			return 0;
	return 1;
}

/* nm_ring_part_ reads which rings or which pipe, at *p. */
static inline int nm_ring_part_(const char *name, const char **p, struct nmreq *req, char *err)
{
	long n;

	switch (**p) {
	case '*':
		req->nr_flags = NR_REG_NIC_SW;
		(*p)++;
		return 0;
	case '^':
		req->nr_flags = NR_REG_SW;
		(*p)++;
		return 0;
	case '-':
		req->nr_flags = NR_REG_ONE_NIC;
		break;
	case '{':
		req->nr_flags = NR_REG_PIPE_MASTER;
		break;
	case '}':
		req->nr_flags = NR_REG_PIPE_SLAVE;
		break;
	default:
		req->nr_flags = NR_REG_ALL_NIC;
		return 0;
	}
	(*p)++;
	n = nm_number_(p, NETMAP_RING_MASK - 1);
	if (n < 0)
		return nm_refuse_(err, name, *p, "expected the number of a ring or pipe, 0 to 4094");
	req->nr_ringid = (uint16_t)n;
	return 0;
}

static inline int nm_flags_part_(const char *name, const char **p, struct nmreq *req, char *err)
{
	static const struct {
		char letter;
		uint32_t flag;
	} letters[] = {{'x', NR_EXCLUSIVE}, {'z', NR_ZCOPY_MON},     {'t', NR_MONITOR_TX},
		       {'r', NR_MONITOR_RX}, {'R', NR_RX_RINGS_ONLY}, {'T', NR_TX_RINGS_ONLY}};
	size_t i;

	if (!**p)
		return nm_refuse_(err, name, *p, "expected a flag after \"/\" (x, z, t, r, R or T), found the end");
	for (; **p && **p != '@'; (*p)++) {
		for (i = 0; i < sizeof letters / sizeof letters[0] && letters[i].letter != **p; i++)
			;
		if (i == sizeof letters / sizeof letters[0])
			return nm_refuse_(err, name, *p, "expected a flag (x, z, t, r, R or T), \"@\" or the end");
		req->nr_flags |= letters[i].flag;
	}
	return 0;
}

static inline int nm_memid_part_(const char *name, const char **p, struct nmreq *req, char *err)
{
	const char *start = *p;
	long n;

	if (req->nr_arg2)
		return nm_refuse_(err, name, start, "a second memory id; give one");
	n = nm_number_(p, 65535);
	if (n <= 0)
		return nm_refuse_(err, name, start, "expected a memory id, 1 to 65535");
	req->nr_arg2 = (uint16_t)n;
	return 0;
}

/*
 * nm_parse turns the name of a port into d->req: nr_name, nr_ringid, nr_flags and
 * nr_arg2. It returns 0, or -1 with a message in err, which has NM_ERRBUF_SIZE bytes,
 * and errno EINVAL; errno 0 if this is no name of netmap's at all.
 */
static inline int nm_parse(const char *ifname, struct nm_desc *d, char *err)
{
	struct nmreq *req = &d->req;
	int vale = strncmp(ifname, NM_BDG_NAME, sizeof NM_BDG_NAME - 1) == 0, r = 0;
	const char *colon = strchr(ifname, ':'), *start, *p;

	if (!vale && strncmp(ifname, "netmap:", 7) != 0) {
		nm_refuse_(err, ifname, ifname, "expected netmap: or vale; this names no port of netmap");
		errno = 0;
		return -1;
	}
	if (!colon)
		return nm_refuse_(err, ifname, ifname + strlen(ifname), "expected \":\", as in vale0:1");
	if (vale && !nm_is_identifier(ifname + 4, colon))
		return nm_refuse_(err, ifname, ifname + 4, "the name of a switch is \"vale\" and letters, digits and \"_\"");
	p = colon + 1 + strcspn(colon + 1, "-*^{}/@");
	if (vale && !nm_is_identifier(colon + 1, p))
		return nm_refuse_(err, ifname, colon + 1, "the name of a switch port holds letters, digits and \"_\" only");
	start = vale ? ifname : colon + 1;
	if ((size_t)(p - start) >= sizeof req->nr_name)
		return nm_refuse_(err, ifname, start + sizeof req->nr_name - 1, "a name has at most 15 bytes here");
	memset(req->nr_name, 0, sizeof req->nr_name);
	memcpy(req->nr_name, start, (size_t)(p - start));
	req->nr_ringid = 0;
	req->nr_arg2 = 0;
	r = nm_ring_part_(ifname, &p, req, err);
	while (r == 0 && *p) {
		switch (*p++) {
		case '/':
			r = nm_flags_part_(ifname, &p, req, err);
			break;
		case '@':
			r = nm_memid_part_(ifname, &p, req, err);
			break;
		default:
			r = nm_refuse_(err, ifname, p - 1, "expected \"/\" and flags, \"@\" and a memory id or the end");
		}
	}
	return r;
}

#endif /* NETMAPD_NET_NETMAP_PARSE_H */
