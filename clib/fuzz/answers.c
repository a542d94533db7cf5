/*
 * answers: what the daemon may say to every kind of request. An input is
 *
 *	byte 0	     the request: session, register, port info, NIOCREGIF, NIOCGINFO, NIOCCONFIG, join, interface
 *	byte 1	     bits 0-2 descriptors that come with the answer, 3 a whole message, 4 memory that is not sealed,
 *		     5 a second request on the same descriptor, 6 options in the request, 7 the sync ioctls afterwards
 *	bytes 2, 3   the interface request
 *	bytes 4-35   the four ring offsets of the netmap_if at the region's start
 *	the rest     the answer
 */
#include "fuzz.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/control.h"
#include "../src/desc.h"
#include "../src/iface.h"
#include "../src/libc.h"

enum request { SESSION, REGISTER, INFO, REGIF, GINFO, CONFIG, JOIN, IFACE, REQUESTS };

static const char path[] = "/fuzz/netmap.sock";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where in the arena things lie. */
enum { AT_REQUEST = 0, AT_BODY = 512, AT_OPTIONS = 1024, AT_DATA = 2048 };

static void put(size_t at, const void *v, size_t n) { memcpy(arena + at, v, n); }

static int control(struct nmd_desc *d, int fd, uint16_t type, bool options)
{
	enum { UNKNOWN = 77 };
	struct nmd_req_option second = {.type = NMD_OPT_OFFSETS}, first = {.next = ARENA_AT + AT_OPTIONS + 128, .type = UNKNOWN};
	struct nmd_req_header h = {
		.version = NMD_API_MIN,
		.reqtype = type,
		.name = "vale0:1",
		.options = options ? ARENA_AT + AT_OPTIONS : 0,
		.body = ARENA_AT + AT_BODY,
	};

	put(AT_OPTIONS, &first, sizeof first);
	put(AT_OPTIONS + 128, &second, sizeof second);
	put(AT_REQUEST, &h, sizeof h);
	return nmd_ioctl(d, fd, NMD_NIOCCTRL, ARENA_AT + AT_REQUEST);
}

static int iface(uint8_t which, uint8_t cmd)
{
	static const unsigned long reqs[] = {SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCGIFHWADDR, SIOCGIFMTU, SIOCGIFINDEX, SIOCETHTOOL};
	static const uint32_t cmds[] = {ETHTOOL_GLINK, ETHTOOL_GRINGPARAM, ETHTOOL_GCHANNELS, ETHTOOL_GRXCSUM, ETHTOOL_STSO};
	struct ifreq q = {.ifr_name = "vale0:1"};
	unsigned long req = reqs[which % (sizeof reqs / sizeof *reqs)];
	uint32_t c = cmds[cmd % (sizeof cmds / sizeof *cmds)];

	if (req == SIOCETHTOOL)
		q.ifr_data = (void *)(uintptr_t)(ARENA_AT + AT_DATA);
	put(AT_DATA, &c, sizeof c);
	put(AT_REQUEST, &q, sizeof q);
	must(nmd_is_iface_ioctl(req));
	return nmd_iface(req, (void *)(uintptr_t)(ARENA_AT + AT_REQUEST));
}

static int make_request(struct nmd_desc *d, int fd, const uint8_t *data)
{
	bool options = data[1] & 0x40;

	switch (data[0] % REQUESTS) {
	case SESSION:
		return nmd_desc_session(d);
	case REGISTER:
		return control(d, fd, NMD_REQ_REGISTER, options);
	case INFO:
		return control(d, fd, 2, options);
	case REGIF:
		return nmd_ioctl(d, fd, NMD_NIOCREGIF, ARENA_AT + AT_REQUEST);
	case GINFO:
		return nmd_ioctl(d, fd, NMD_NIOCGINFO, ARENA_AT + AT_REQUEST);
	case CONFIG:
		return nmd_ioctl(d, fd, NMD_NIOCCONFIG, ARENA_AT + AT_REQUEST);
	case JOIN:
		return nmd_desc_bound(d, fd);
	default:
		return iface(data[2], data[3]);
	}
}

/* A bound descriptor's rings lie where it says that there is memory. */
static void check_ring(const struct nmd_desc *d, const struct nmd_ring *r)
{
	const char *base = d->region->base, *ring = (const char *)r->hdr;
	uint64_t need = sizeof(struct nmd_ring_hdr) + (uint64_t)r->slots * sizeof(struct nmd_slot);

	must(d->region->size <= REGION_SIZE && ring >= base);
	must((uint64_t)(ring - base) + need <= d->region->size);
	must((const char *)(r->blk + 1) <= (const char *)d->syncs + d->syncs_size);
	must((uint64_t)r->buf_count * r->buf_size <= d->region->size);
}

static void check(struct nmd_desc *d)
{
	must(atomic_load(&d->bound) == (d->region != NULL) && d->session);
	for (uint32_t i = 0; i < d->ntx; i++)
		check_ring(d, &d->tx[i]);
	for (uint32_t i = 0; i < d->nrx; i++)
		check_ring(d, &d->rx[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[REQUESTS] = {
		[SESSION] = NMD_TYPE_SESSION, [REGISTER] = NMD_TYPE_CONTROL, [INFO] = NMD_TYPE_CONTROL,
		[REGIF] = NMD_TYPE_LEGACY,    [GINFO] = NMD_TYPE_LEGACY,     [CONFIG] = NMD_TYPE_LEGACY,
		[JOIN] = NMD_TYPE_JOIN,	      [IFACE] = NMD_TYPE_IFACE,
	};
	struct lie l = {0};
	const size_t fixed = 4 + sizeof l.ring_ofs;

	if (size < fixed || size - fixed > NMD_MAX_MESSAGE)
		return -1;
	l.to = types[data[0] % REQUESTS];
	l.nfds = data[1] % 8 > NMD_MAX_FDS + 2 ? 0 : data[1] % 8;
	l.whole = data[1] & 0x08;
	l.unsealed = data[1] & 0x10;
	memcpy(l.ring_ofs, data + 4, sizeof l.ring_ofs);
	l.msg = (const char *)data + fixed;
	l.len = size - fixed;
	world_set(&l);
	memset(arena, 0, ARENA_SIZE);
	int fd = world_connection();
	struct nmd_desc *d = nmd_desc_new(fd, path);
	must(d);
	for (int i = 0; i <= (data[1] >> 5 & 1); i++) {
		int err = make_request(d, fd, data);
		must(err >= 0 && err <= 4095);
		if (d->session)
			check(d);
	}
	if (data[1] & 0x80 && atomic_load(&d->bound))
		nmd_ioctl(d, fd, NMD_NIOCRXSYNC, 0);
	struct nmd_session *s = NULL;
	bool session = nmd_session_get(path, &s) == 0; /* to see it off, whoever made it */
	world_kill();
	struct nmd_desc *entered = nmd_desc_drop(fd);
	close(fd);
	nmd_desc_put(d);
	nmd_desc_closed(entered);
	if (session) {
		must(!nmd_session_alive(s));
		nmd_session_put(s);
	}
	world_end();
	return 0;
}
