/*
 * wire.h: the attach protocol, as the Go package netmap/wire says it; see there
 * for what the messages mean. clib_test.go compares the two.
 */
#ifndef NMD_WIRE_H
#define NMD_WIRE_H

#include <stdint.h>

#define NMD_MAGIC 0x31444d4eu
enum { NMD_VERSION = 2, NMD_MAX_MESSAGE = 8192, NMD_MAX_FDS = 6 };

enum {
	NMD_TYPE_SESSION = 1,
	NMD_TYPE_CONTROL = 2,
	NMD_TYPE_JOIN = 3,
	NMD_TYPE_LEGACY = 5,
	NMD_TYPE_IFACE = 6,
	NMD_TYPE_PARAM = 7,
	NMD_TYPE_UNBIND = 8,
	NMD_ANSWER = 0x8000,
};

struct nmd_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t length; /* of the whole message */
	uint32_t err;	 /* answers: 0, or an errno, and then a text follows */
};

struct nmd_session_answer {
	uint64_t token;
	uint32_t id;
	uint32_t pad;
};

struct nmd_control {
	uint64_t token;
	uint16_t req_type;
	uint16_t version;
	uint16_t option_bytes;
	uint16_t err; /* answers */
	char name[64];
};

struct nmd_option {
	uint32_t type;
	uint32_t status;
	uint32_t size;
	uint32_t pad;
};

struct nmd_legacy {
	uint64_t token;
	uint32_t ioctl;
	uint32_t bound; /* answers */
};

struct nmd_iface {
	uint64_t token;
	char name[64];
	uint8_t mac[6];
	uint16_t up;
	uint32_t mtu;
	uint32_t index;
	uint16_t tx_rings;
	uint16_t rx_rings;
	uint32_t tx_slots;
	uint32_t rx_slots;
	uint32_t pad;
};

enum { NMD_PARAM_GET = 1, NMD_PARAM_SET = 2 };

struct nmd_param {
	uint64_t token;
	uint32_t op;
	uint32_t writable; /* answers */
	char name[32];
	char value[64];
};

struct nmd_join {
	uint64_t token;
};

struct nmd_bind {
	uint64_t port_id;
	uint64_t region_size;
	uint64_t if_offset;
	uint64_t buf_offset;
	uint32_t buf_count;
	uint32_t buf_size;
	uint16_t tx_rings;
	uint16_t rx_rings;
	uint16_t host_tx_rings;
	uint16_t host_rx_rings;
	uint32_t tx_slots;
	uint32_t rx_slots;
	uint16_t first_tx;
	uint16_t end_tx;
	uint16_t first_rx;
	uint16_t end_rx;
	uint16_t mem_id;
	uint16_t features;
	uint32_t mode;
	uint64_t flags;
	char name[64];
};

enum { NMD_FEATURE_INDIRECT = 1 << 0, NMD_FEATURE_SECOND_HALF = 1 << 1 };

enum { NMD_FD_REGION, NMD_FD_SYNC, NMD_FD_WAKE, NMD_FD_HANGUP, NMD_BIND_FDS };
enum { NMD_FD_PIPE_SLEEP = NMD_BIND_FDS, NMD_FD_PIPE_WAKE, NMD_PIPE_FDS };

/* What the events of NMD_FD_WAKE say of their reason. */
enum { NMD_WAKE_RINGS = 1, NMD_WAKE_HANGUP, NMD_WAKE_PIPE };

/* Whatever the compiler makes of it, the two sides must agree to the byte. */
_Static_assert(sizeof(struct nmd_header) == 16, "netmap/wire");
_Static_assert(sizeof(struct nmd_session_answer) == 16, "netmap/wire");
_Static_assert(sizeof(struct nmd_control) == 80, "netmap/wire");
_Static_assert(sizeof(struct nmd_option) == 16, "netmap/wire");
_Static_assert(sizeof(struct nmd_legacy) == 16, "netmap/wire");

#endif
