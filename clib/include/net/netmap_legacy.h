/*
 * net/netmap_legacy.h: netmap's old control interface (NC B.2, B.3), which most
 * programs still use through nm_open. Included by net/netmap.h.
 */
#ifndef NETMAPD_NET_NETMAP_LEGACY_H
#define NETMAPD_NET_NETMAP_LEGACY_H

#include <net/if.h>
#include <net/netmap_values.h>
#include <stdint.h>
#include <sys/ioctl.h>

struct nmreq {
	char nr_name[16]; /* IFNAMSIZ */
	uint32_t nr_version; /* NETMAP_API */
	uint32_t nr_offset;  /* out: of the netmap_if in the region */
	uint32_t nr_memsize; /* out: of the region */
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;

	uint16_t nr_ringid; /* a ring and the bits below */
	uint16_t nr_cmd;    /* NETMAP_BDG_*, 0 to register */
	uint16_t nr_arg1;
	uint16_t nr_arg2;  /* memory id */
	uint32_t nr_arg3;  /* extra buffers */
	uint32_t nr_flags; /* NR_REG_* in the low bits, and flags of nmreq_register */
	uint32_t spare2[1];
};

/* nmreq.nr_cmd. */

/* nmreq.nr_arg1 of NETMAP_BDG_ATTACH: the host rings too. */
#define NETMAP_BDG_HOST 1

/* The argument of NIOCCONFIG, for the extension of a switch. */
#define NM_IFRDATA_LEN 256

struct nm_ifreq {
	char nifr_name[16];
	char data[NM_IFRDATA_LEN];
};

#define NIOCGINFO _IOWR('i', 145, struct nmreq)
#define NIOCREGIF _IOWR('i', 146, struct nmreq)
#define NIOCCONFIG _IOWR('i', 150, struct nm_ifreq)

#endif /* NETMAPD_NET_NETMAP_LEGACY_H */
