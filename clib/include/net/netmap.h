/*
 * net/netmap.h: the interface between netmap programs and whoever plays the
 * kernel's part for them, here netmapd through its library.
 *
 * This is netmap's own application interface, API version 14, with its names
 * and layouts, so that programs written for netmap compile and run unchanged.
 * The text is netmapd's, written from NC, the project's description of the
 * contract. Package netmap/abi says the same in Go: the constants are generated
 * from it, and libnetmap does not compile if a structure differs.
 *
 * Everything here is frozen: sizes, offsets and values are compiled into
 * programs.
 */
#ifndef NETMAPD_NET_NETMAP_H
#define NETMAPD_NET_NETMAP_H

/* What programs test for, and our own guard besides. */
#ifndef _NET_NETMAP_H_
#define _NET_NETMAP_H_
#endif

#include <net/if.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/types.h>

/* Constants have their meaning where they are defined. */
#include <net/netmap_values.h>

/*
 * Memory (NC A.2 to A.7)
 *
 * A port has rings of slots; a slot names a buffer. Slots [head, tail) are the
 * program's, all others the kernel's. The program moves head and cur, and the
 * kernel moves tail, within a system call.
 */

struct netmap_slot {
	uint32_t buf_idx; /* index of the buffer in the region */
	uint16_t len;     /* bytes in this slot */
	uint16_t flags;   /* NS_* */
	uint64_t ptr;     /* address of the data (NS_INDIRECT), or their offset */
};

/* netmap_slot.flags: the bits above NS_PORT_SHIFT. */
#define NS_PORT_MASK (0xff << NS_PORT_SHIFT)
#define NS_RFRAGS(_slot) (((_slot)->flags >> NS_PORT_SHIFT) & 0xff)

struct netmap_ring {
	/* Written once, by the kernel. */
	const int64_t buf_ofs;      /* from this ring to buffer 0 of the region */
	const uint32_t num_slots;   /* not necessarily a power of two */
	const uint32_t nr_buf_size; /* bytes of a buffer */
	const uint16_t ringid;      /* number in its direction, host rings last */
	const uint16_t dir;         /* 0 RX, 1 TX: what netmap stores, whatever it says */

	uint32_t head;  /* program: its first slot */
	uint32_t cur;   /* program: where it wants to be woken */
	uint32_t tail;  /* kernel: its first slot */
	uint32_t flags; /* program: NR_* */

	struct timeval ts; /* kernel: end of the last RX sync */

	const uint64_t offset_mask; /* the bits of slot.ptr that are an offset */
	const uint64_t buf_align;   /* TX: alignment wanted of offsets, 0 for none */

	uint8_t sem[128] __attribute__((__aligned__(NM_CACHE_ALIGN))); /* the program's scratch */

	struct netmap_slot slot[]; /* num_slots of them */
};

/* Does the program own no slot? */
static inline int nm_ring_empty(struct netmap_ring *ring) { return ring->head == ring->tail; }

/*
 * One for each descriptor. Ring offsets count from the structure itself: HW TX,
 * host TX, HW RX, host RX. 0 stands for a ring that the descriptor does not
 * bind; there is room for at least one host ring each way (NC A.4).
 */
struct netmap_if {
	char ni_name[16]; /* IFNAMSIZ, which strict C has not */
	const uint32_t ni_version; /* 0 */
	const uint32_t ni_flags;   /* NI_PRIV_MEM */

	const uint32_t ni_tx_rings; /* HW rings */
	const uint32_t ni_rx_rings;

	uint32_t ni_bufs_head; /* first extra buffer; each one's first word names the next */

	const uint32_t ni_host_tx_rings;
	const uint32_t ni_host_rx_rings;

	uint32_t ni_spare1[3];
	const ssize_t ring_ofs[];
};

/*
 * Control (NC B)
 *
 * ioctl(fd, NIOCCTRL, &header), where the header points to the body of the
 * request and to a list of options. Requests are known by nr_reqtype.
 */

struct nmreq_header {
	uint16_t nr_version; /* NETMAP_API */
	uint16_t nr_reqtype; /* NETMAP_REQ_* */
	uint32_t nr_reserved;
	char nr_name[NETMAP_REQ_IFNAMSIZ];
	uint64_t nr_options; /* address of the first nmreq_option, or 0 */
	uint64_t nr_body;    /* address of the body, or 0 where there is none */
};

/* Options (NC B.8). An option is one of these with its own fields behind it. */
struct nmreq_option {
	uint64_t nro_next;    /* address of the next one, or 0 */
	uint32_t nro_reqtype; /* NETMAP_REQ_OPT_* */
	uint32_t nro_status;  /* out: 0 or an errno */
	uint64_t nro_size;    /* of the whole option, where that varies */
};

/* Binds the descriptor to a port: wishes in, truth out (NC B.5). */
struct nmreq_register {
	uint64_t nr_offset;  /* out: of the netmap_if in the region */
	uint64_t nr_memsize; /* out: of the region */
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings; /* HW rings */
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t nr_ringid; /* for NR_REG_ONE_* */
	uint32_t nr_mode;   /* NR_REG_* */
	uint32_t nr_extra_bufs;
	uint64_t nr_flags; /* the flags below */
};

struct nmreq_port_info_get {
	uint64_t nr_memsize;
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_host_tx_rings;
	uint16_t nr_host_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad[3];
};

#define NM_BDG_NAME "vale" /* how the names of switches begin */

struct nmreq_vale_attach {
	struct nmreq_register reg;
	uint32_t port_index; /* out */
	uint32_t pad1;
};

struct nmreq_vale_detach {
	uint32_t port_index; /* out */
	uint32_t pad1;
};

struct nmreq_vale_list {
	uint16_t nr_bridge_idx;
	uint16_t pad1;
	uint32_t nr_port_idx;
};

struct nmreq_port_hdr {
	uint32_t nr_hdr_len; /* of the virtio-net header: 0, 10 or 12 */
	uint32_t pad1;
};

struct nmreq_vale_newif {
	uint32_t nr_tx_slots;
	uint32_t nr_rx_slots;
	uint16_t nr_tx_rings;
	uint16_t nr_rx_rings;
	uint16_t nr_mem_id;
	uint16_t pad1;
};

struct nmreq_vale_polling {
	uint32_t nr_mode; /* NETMAP_POLLING_MODE_* */
	uint32_t nr_first_cpu_id;
	uint32_t nr_num_polling_cpus;
	uint32_t pad1;
};

/* The three pools of a region (NC A.10, B.6). */
struct nmreq_pools_info {
	uint64_t nr_memsize;
	uint16_t nr_mem_id; /* in and out */
	uint16_t pad1[3];
	uint64_t nr_if_pool_offset;
	uint32_t nr_if_pool_objtotal;
	uint32_t nr_if_pool_objsize;
	uint64_t nr_ring_pool_offset;
	uint32_t nr_ring_pool_objtotal;
	uint32_t nr_ring_pool_objsize;
	uint64_t nr_buf_pool_offset;
	uint32_t nr_buf_pool_objtotal;
	uint32_t nr_buf_pool_objsize;
};

struct nmreq_sync_kloop_start {
	uint32_t sleep_us; /* between two rounds, where no eventfds wake the loop */
	uint32_t pad1;
};

/* The options themselves (NC B.9). */

struct nmreq_opt_extmem {
	struct nmreq_option nro_opt;
	uint64_t nro_usrptr; /* the program's memory */
	struct nmreq_pools_info nro_info;
};

struct nmreq_opt_sync_kloop_eventfds {
	struct nmreq_option nro_opt;
	struct {
		int32_t ioeventfd; /* program to kernel */
		int32_t irqfd;     /* kernel to program */
	} eventfds[];          /* TX rings first */
};

struct nmreq_opt_csb {
	struct nmreq_option nro_opt;
	uint64_t csb_atok; /* addresses of arrays, an entry for each bound ring, TX first */
	uint64_t csb_ktoa;
};

struct nmreq_opt_sync_kloop_mode {
	struct nmreq_option nro_opt;
	uint32_t mode;
};

struct nmreq_opt_offsets {
	struct nmreq_option nro_opt;
	uint64_t nro_max_offset;
	uint64_t nro_initial_offset;
	uint32_t nro_offset_bits; /* of slot.ptr; 0 for all */
	uint32_t nro_tx_align;
	uint64_t nro_min_gap;
};

/*
 * Control and status blocks (NC E.10): indices outside the rings, for a loop in
 * the kernel instead of system calls. One pair for each ring, each with one
 * writer.
 */

struct nm_csb_atok { /* program to kernel: cur is written before head */
	uint32_t head;
	uint32_t cur;
	uint32_t appl_need_kick;
	uint32_t sync_flags;
	uint32_t pad[12];
};

struct nm_csb_ktoa { /* kernel to program: hwcur is written before hwtail */
	uint32_t hwcur;
	uint32_t hwtail;
	uint32_t kern_need_kick;
	uint32_t pad[13];
};

/* The barriers of the two functions below: stores, and loads, stay in the order they are written. */
static inline void nm_stst_barrier(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void nm_ldld_barrier(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }

/*
 * A program publishes its indices. The loop reads head, then cur, and may see any
 * mixture of two calls, so cur goes first: a head is never ahead of its cur.
 */
static inline void
nm_sync_kloop_appl_write(struct nm_csb_atok *atok, uint32_t cur, uint32_t head)
{
	nm_stst_barrier(); /* the slots before the indices that give them away */
	__atomic_store_n(&atok->cur, cur, __ATOMIC_RELAXED);
	nm_stst_barrier();
	__atomic_store_n(&atok->head, head, __ATOMIC_RELAXED);
}

/* A program reads the loop's indices, for the same reason in the opposite order of their writing. */
static inline void
nm_sync_kloop_appl_read(struct nm_csb_ktoa *ktoa, uint32_t *hwtail, uint32_t *hwcur)
{
	*hwtail = __atomic_load_n(&ktoa->hwtail, __ATOMIC_RELAXED);
	nm_ldld_barrier();
	*hwcur = __atomic_load_n(&ktoa->hwcur, __ATOMIC_RELAXED);
	nm_ldld_barrier(); /* the indices before the slots that they hand over */
}

/* Calls (NC B.1). Those of the old interface are in netmap_legacy.h. */
#define NIOCCTRL _IOWR('i', 151, struct nmreq_header)
#define NIOCTXSYNC _IO('i', 148)
#define NIOCRXSYNC _IO('i', 149)

#include <net/netmap_legacy.h>

#endif /* NETMAPD_NET_NETMAP_H */
