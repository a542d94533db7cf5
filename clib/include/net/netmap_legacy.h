/*
 * net/netmap_legacy.h: netmap's old control interface (NC B.2, B.3), which most
 * programs still use through nm_open. Included by net/netmap.h.
 */
#ifndef NETMAPD_NET_NETMAP_LEGACY_H
#define NETMAPD_NET_NETMAP_LEGACY_H

#include <net/if.h>
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

/* nmreq.nr_ringid. */
#define NETMAP_RING_MASK 0x0fff
#define NETMAP_NO_TX_POLL 0x1000
#define NETMAP_SW_RING 0x2000
#define NETMAP_HW_RING 0x4000
#define NETMAP_DO_RX_POLL 0x8000

/* nmreq.nr_flags: the mode, 0 to take it from nr_ringid. */
#define NR_REG_MASK 0xf

/* nmreq.nr_cmd. */
#define NETMAP_BDG_ATTACH 1
#define NETMAP_BDG_DETACH 2
#define NETMAP_BDG_REGOPS 3
#define NETMAP_BDG_LIST 4
#define NETMAP_BDG_VNET_HDR 5
#define NETMAP_BDG_NEWIF 6
#define NETMAP_BDG_DELIF 7
#define NETMAP_PT_HOST_CREATE 8
#define NETMAP_PT_HOST_DELETE 9
#define NETMAP_BDG_POLLING_ON 10
#define NETMAP_BDG_POLLING_OFF 11
#define NETMAP_VNET_HDR_GET 12

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
