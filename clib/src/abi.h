/*
 * abi.h: what the library shares with programs and with the daemon in memory
 * (NC A) and in netmap's control requests (NC B). The layouts are those of the
 * Go package netmap/abi; clib_test.go compares the two.
 */
#ifndef NMD_ABI_H
#define NMD_ABI_H

#include <stdatomic.h>
#include <stdint.h>

/* A slot, seen as the two words it is loaded by (NC A.2). */
struct nmd_slot {
	_Atomic uint64_t word; /* buf_idx, len << 32, flags << 48 */
	uint64_t ptr;
};

/* What a program says of its progress, and where it is told the core's. */
struct nmd_user {
	_Atomic uint32_t head;
	_Atomic uint32_t cur;
	_Atomic uint32_t tail;
};

/* netmap_ring (NC A.3). Programs write to all of it at any time. */
struct nmd_ring_hdr {
	int64_t buf_ofs;
	uint32_t num_slots;
	uint32_t buf_size;
	uint16_t ringid;
	uint16_t dir;
	union {
		struct {
			_Atomic uint32_t head;
			_Atomic uint32_t cur;
			_Atomic uint32_t tail;
		};
		struct nmd_user user;
	};
	_Atomic uint32_t flags;
	uint32_t hole;
	_Atomic int64_t ts_sec;
	_Atomic int64_t ts_usec;
	uint64_t offset_mask;
	uint64_t buf_align;
	uint8_t hole2[56];
	uint8_t sem[128];
	struct nmd_slot slot[];
};

/* netmap_if (NC A.4). */
struct nmd_if {
	char name[16];
	uint32_t version;
	uint32_t flags;
	uint32_t tx_rings;
	uint32_t rx_rings;
	uint32_t bufs_head;
	uint32_t host_tx_rings;
	uint32_t host_rx_rings;
	uint32_t spare[3];
	_Atomic int64_t ring_ofs[];
};

/*
 * The sync block: the system call's place is taken by one of these for each
 * ring, in memory shared with the daemon. Each line has one writer. Who stores
 * what in which order, and why: ring/model.
 */
struct nmd_sync_block {
	/* Line 0: the client publishes. */
	_Atomic uint64_t user; /* head, and in the upper half cur */
	_Atomic uint32_t appl_need_kick; /* set by a client about to block, cleared by the daemon */
	uint32_t sync_flags;
	uint8_t pad0[48];
	/* Line 1: the daemon publishes. */
	_Atomic uint64_t core; /* hwcur, and in the upper half hwtail */
	_Atomic uint32_t kern_need_kick; /* set by an lcore about to block */
	_Atomic uint32_t state;
	_Atomic uint32_t bad_rings;
	_Atomic uint32_t bad_head;
	_Atomic uint32_t bad_cur;
	_Atomic uint32_t lcore_cpu; /* CPU + 1 of the polling lcore, 0 unknown */
	uint8_t pad1[32];
	/* Line 2: what this library and its likes keep for all processes of the ring. */
	_Atomic uint32_t rhead;
	_Atomic uint32_t rcur;
	_Atomic uint32_t rtail;
	_Atomic uint32_t busy; /* session inside a sync, 0 for none */
	uint8_t pad2[48];
	/* Line 3: CSB mode (csb.h), in the block of the descriptor's first ring. */
	_Atomic uint32_t csb;
	_Atomic uint32_t loop; /* session that runs the sync loop, 0 for none */
	_Atomic uint32_t stop;
	uint32_t pad3;
	/* And where the other end of a pipe is. */
	_Atomic uint64_t peer_ring;  /* offset in the region of the ring there, 0 for none */
	_Atomic uint32_t peer_block; /* index of its sync block */
	_Atomic uint32_t peer_max;   /* of a TX ring: the offsets of the RX ring there (NC A.8) */
	_Atomic uint64_t peer_mask;  /* 0: it has none */
	uint8_t pad4[24];
};

enum { NMD_DIR_RX = 0, NMD_DIR_TX = 1 };

/* The session that the daemon is in busy words: for a short pause. */
#define NMD_BUSY_DAEMON UINT32_MAX

/* States of a ring. */
enum {
	NMD_STOPPED = 0,
	NMD_RUNNING = 1,
	NMD_FROZEN = 2,
	NMD_HOLDING = 3,
	NMD_REFUSED = 4,
	NMD_DIRECT = 5,
};

enum {
	NMD_MIN_BUF = 2, /* buffers 0 and 1 are never handed out */
	NMD_MIN_SLOTS = 2,
	NMD_MAX_SLOTS = 1 << 20,
};

/* ioctl numbers (NC B.1), compared modulo 2^32. */
#define NMD_NIOCGINFO 0xC03C6991u
#define NMD_NIOCREGIF 0xC03C6992u
#define NMD_NIOCTXSYNC 0x00006994u
#define NMD_NIOCRXSYNC 0x00006995u
#define NMD_NIOCCONFIG 0xC1106996u
#define NMD_NIOCCTRL 0xC0586997u

/* Versions of the netmap API that are accepted (NC B.10). */
enum { NMD_API_MIN = 14, NMD_API_MAX = 15 };

/* The header of a control request (NC B.4). */
struct nmd_req_header {
	uint16_t version;
	uint16_t reqtype;
	uint32_t reserved;
	char name[64];
	uint64_t options;
	uint64_t body;
};

/* The header of an option (NC B.8). */
struct nmd_req_option {
	uint64_t next;
	uint32_t type;
	uint32_t status;
	uint64_t size;
};

enum {
	NMD_REQ_REGISTER = 1,
	NMD_REQ_KLOOP_START = 13,
	NMD_REQ_KLOOP_STOP = 14,
	NMD_REQ_CSB_ENABLE = 15,
	NMD_REQ_TYPES = 16,
	NMD_OPT_EXTMEM = 1,
	NMD_OPT_KLOOP_EVENTFDS = 2,
	NMD_OPT_CSB = 3,
	NMD_OPT_KLOOP_MODE = 4,
	NMD_OPT_OFFSETS = 5,
	NMD_OPT_TYPES = 6, /* first unknown one */
	NMD_REGISTER_SIZE = 56,
	NMD_LEGACY_SIZE = 60,
	NMD_CONFIG_SIZE = 272,
	NMD_MAX_REQUEST = 4096,
};

/* nmd_body_size is the size of a request's body; an unknown type counts as having none (NC B.4). */
static inline uint32_t nmd_body_size(uint16_t type)
{
	static const uint8_t sizes[NMD_REQ_TYPES] = {0, 56, 32, 64, 8, 8, 8, 8, 16, 0, 16, 16, 64, 8, 0, 0};

	return type < NMD_REQ_TYPES ? sizes[type] : 0;
}

#define NMD_FLAG_EXCLUSIVE 0x800u
#define NMD_FLAG_NO_TX_POLL 0x20000u

#define NMD_NR_FORWARD 0x4u /* ring flag */

/* Slot flags. The last one is ours: what an indirect slot points to could not be read. */
#define NMD_NS_BUF_CHANGED 0x0001u
#define NMD_NS_FORWARD 0x0004u
#define NMD_NS_INDIRECT 0x0010u
#define NMD_NS_MOREFRAG 0x0020u
#define NMD_NS_INDIRECT_FAULT 0x8000u

_Static_assert(sizeof(struct nmd_slot) == 16, "NC A.2");
_Static_assert(sizeof(struct nmd_ring_hdr) == 256, "NC A.3");
_Static_assert(sizeof(struct nmd_if) == 56, "NC A.4");
_Static_assert(sizeof(struct nmd_sync_block) == 256, "netmap/abi");
_Static_assert(sizeof(struct nmd_req_header) == 88, "NC B.4");
_Static_assert(sizeof(struct nmd_req_option) == 24, "NC B.8");

#endif
