/*
 * libnetmap.h: netmap's library. A program opens ports by name, maps their memory and
 * finds their rings (NC C.2, C.3, C.7).
 *
 *	struct nmport_d *d = nmport_open("vale0:a");
 *
 *	for (uint16_t i = d->first_rx_ring; i <= d->last_rx_ring; i++)
 *		... NETMAP_RXRING(d->nifp, i) ...
 *	poll on d->fd, or ioctl(d->fd, NIOCTXSYNC)
 *	nmport_close(d);
 *
 * Linked with -lnetmap, a program reaches netmapd without the interposer: the library
 * brings the functions along that programs call on d->fd (poll, ioctl, mmap and the
 * like), so it has to come before the C library when linking, which is the default.
 *
 * Functions return 0, or -1 with errno, unless they say otherwise; those that return
 * a pointer return a null one with errno. What went wrong is also told in words to
 * the error function of the context.
 *
 * Structures here are compiled into programs and do not change.
 */
#ifndef NETMAPD_LIBNETMAP_H
#define NETMAPD_LIBNETMAP_H

#ifndef LIBNETMAP_H_
#define LIBNETMAP_H_
#endif

#include <net/netmap_user.h>

#ifdef __cplusplus
extern "C" {
#endif

struct nmport_d;
struct nmport_cleanup_d;
struct nmem_d;
struct nmctx;

/* --- ports --- */

struct nmport_d {
	struct nmreq_header hdr;   /* the request that registers the port; its body is reg */
	struct nmreq_register reg; /* wishes, and after nmport_register what became of them */

	/* Read only. */
	struct nmem_d *mem; /* the region: two ports may swap buffers if this is equal */
	struct nmctx *ctx;
	int register_done;
	int mmap_done;
	struct nmreq_opt_extmem *extmem; /* if the region is the program's own memory */

	/* For the program. */
	int fd;                 /* for poll and ioctl */
	struct netmap_if *nifp; /* after nmport_mmap */
	/* Bound rings, for NETMAP_TXRING and NETMAP_RXRING. Where none is bound, last is first - 1. */
	uint16_t first_tx_ring;
	uint16_t last_tx_ring;
	uint16_t first_rx_ring;
	uint16_t last_rx_ring;
	uint16_t cur_tx_ring; /* for the program's own use, and nmport_inject's */
	uint16_t cur_rx_ring;

	struct nmport_cleanup_d *clist; /* the library's */
};

/*
 * nmport_open opens the port called portspec:
 *
 *	netmap:NAME or vale0:NAME    an interface, a switch port; NAME{ID and NAME}ID are the
 *	                             two ends of a pipe
 *	^ ^N * -N                    the host rings, one of them, all rings, one ring
 *	/x /z /r /t /R /T            exclusive; zero-copy, RX, TX monitor; RX or TX rings only
 *	@N                           memory id
 *	@share=PORT                  in the region of that port
 *	@conf:rings=2,tx-slots=512   numbers of rings and slots: rings, host-rings, slots, and
 *	                             each with tx- or rx- in front
 *	@extmem=FILE                 in the memory that FILE holds; @extmem:file=FILE,buf-num=...
 *	@offset=N                    packets begin at this offset; nmport_enable_option first
 */
struct nmport_d *nmport_open(const char *portspec);

/* nmport_close closes and frees it. */
void nmport_close(struct nmport_d *d);

/*
 * nmport_inject copies a packet into a TX ring with room, over several slots if it is
 * larger than a buffer. It returns the size, or 0 if there was no room. The next sync
 * sends it.
 */
int nmport_inject(struct nmport_d *d, const void *buf, size_t size);

/* What nmport_open does, step by step; each step is undone by its own undo, and all by nmport_close. */

/* nmport_new makes a descriptor of nothing, nmport_delete frees it. */
struct nmport_d *nmport_new(void);
void nmport_delete(struct nmport_d *d);

/* nmport_parse fills in hdr and reg. */
int nmport_parse(struct nmport_d *d, const char *portspec);
void nmport_undo_parse(struct nmport_d *d);

/* nmport_register opens the device and binds the port. */
int nmport_register(struct nmport_d *d);
void nmport_undo_register(struct nmport_d *d);

/* nmport_mmap maps the region, once for all ports of it in a context, and finds the rings. */
int nmport_mmap(struct nmport_d *d);
void nmport_undo_mmap(struct nmport_d *d);

/* nmport_prepare is new and parse; nmport_open_desc is register and mmap. */
struct nmport_d *nmport_prepare(const char *portspec);
void nmport_undo_prepare(struct nmport_d *d);
int nmport_open_desc(struct nmport_d *d);
void nmport_undo_open_desc(struct nmport_d *d);

/* nmport_clone makes a descriptor for the same port, not registered: with the same wishes, or once d is
 * registered with what became of them, and without options. */
struct nmport_d *nmport_clone(struct nmport_d *d);

/*
 * nmport_extmem makes the size bytes at base the region of the port, before it is
 * registered. How it is divided may be set in what nmport_extmem_getinfo returns
 * (null without extmem), and is there after registering.
 */
int nmport_extmem(struct nmport_d *d, void *base, size_t size);
int nmport_extmem_from_file(struct nmport_d *d, const char *file);
struct nmreq_pools_info *nmport_extmem_getinfo(struct nmport_d *d);

/*
 * nmport_offset asks for offsets (NC A.8), before the port is registered: packets
 * begin at initial in their buffers, and never beyond maxoff; bits of slot.ptr are
 * the offset, 0 for all; mingap bytes at least are left to a packet.
 */
int nmport_offset(struct nmport_d *d, uint64_t initial, uint64_t maxoff, uint64_t bits, uint64_t mingap);

/* nmport_enable_option lets nmport_parse take an option, nmport_disable_option makes it refuse it. All are
 * enabled but offset. Enabling an unknown one fails with EOPNOTSUPP. */
int nmport_enable_option(const char *option);
void nmport_disable_option(const char *option);

/* --- requests --- */

/* nmreq_header_init fills in a header for a request of that type with that body. */
void nmreq_header_init(struct nmreq_header *hdr, uint16_t reqtype, void *body);

/*
 * nmreq_header_decode reads the name at *spec into hdr, nmreq_register_decode the rings,
 * flags and memory id that follow into reg. They move *spec behind what they read. If
 * they fail, with EINVAL, nothing has changed.
 */
int nmreq_header_decode(const char **spec, struct nmreq_header *hdr, struct nmctx *ctx);
int nmreq_register_decode(const char **spec, struct nmreq_register *reg, struct nmctx *ctx);

/* nmreq_get_mem_id asks for the memory id of the port that *spec names, and moves it on. -1 if it fails. */
int32_t nmreq_get_mem_id(const char **spec, struct nmctx *ctx);

/* nmreq_push_option puts an option in front of the list, nmreq_remove_option takes it out,
 * nmreq_find_option finds one by its NETMAP_REQ_OPT_*, or null; nmreq_free_options frees them all. */
void nmreq_push_option(struct nmreq_header *hdr, struct nmreq_option *opt);
void nmreq_remove_option(struct nmreq_header *hdr, struct nmreq_option *opt);
struct nmreq_option *nmreq_find_option(struct nmreq_header *hdr, uint32_t type);
void nmreq_free_options(struct nmreq_header *hdr);
const char *nmreq_option_name(uint32_t type);

#define nmreq_foreach_option(hdr, opt)                                                  \
	for ((opt) = (struct nmreq_option *)(uintptr_t)(hdr)->nr_options; (opt) != NULL; \
	     (opt) = (struct nmreq_option *)(uintptr_t)(opt)->nro_next)

/* --- options in names, for programs with options of their own --- */

#define NMREQ_OPT_MAXKEYS 16

/* A key of an option. */
struct nmreq_opt_key {
	const char *key;
	int id; /* its place in nmreq_parse_ctx.keys */
	unsigned int flags;
};

#define NMREQ_OPTK_ALLOWEMPTY (1U << 0) /* "=value" may be missing; the value is then empty */
#define NMREQ_OPTK_MUSTSET (1U << 1)
#define NMREQ_OPTK_DEFAULT (1U << 2) /* what "option=value" sets */

struct nmreq_parse_ctx {
	struct nmctx *ctx;
	void *token;
	const char *keys[NMREQ_OPT_MAXKEYS]; /* values, null for keys not given */
};

/* Called for an option that was read; 0, or -1 with errno. */
typedef int (*nmreq_opt_parser_cb)(struct nmreq_parse_ctx *);

struct nmreq_opt_parser {
	const char *prefix; /* the option's name */
	nmreq_opt_parser_cb parse;
	int default_key; /* id of the key that "option=value" sets, -1 for none */
	int nr_keys;
	unsigned int flags;
	struct nmreq_opt_parser *next;
	struct nmreq_opt_key keys[NMREQ_OPT_MAXKEYS];
} __attribute__((aligned(16)));

#define NMREQ_OPTF_DISABLED (1U << 0)
#define NMREQ_OPTF_ALLOWEMPTY (1U << 1) /* the option may stand alone */

/* nmreq_options_decode reads "@option:key=value,key=value@option..." and calls the parsers in the list. */
int nmreq_options_decode(const char *opts, struct nmreq_opt_parser *parsers, void *token, struct nmctx *ctx);

/* --- contexts --- */

typedef void (*nmctx_error_cb)(struct nmctx *, const char *);
typedef void *(*nmctx_malloc_cb)(struct nmctx *, size_t);
typedef void (*nmctx_free_cb)(struct nmctx *, void *);
typedef void (*nmctx_lock_cb)(struct nmctx *, int); /* 1 locks, 0 unlocks */

/* How a program reports errors, allocates memory and locks. */
struct nmctx {
	int verbose; /* 0: no error messages */
	nmctx_error_cb error;
	nmctx_malloc_cb malloc;
	nmctx_free_cb free;
	nmctx_lock_cb lock; /* null: one thread only */
	struct nmem_d *mem_descs;
};

/* A region that is mapped. */
struct nmem_d {
	uint16_t mem_id;
	int refcount;
	void *mem;
	size_t size;
	int is_extmem; /* the program's own memory */
	struct nmem_d *next;
	struct nmem_d *prev;
};

/* nmctx_get returns the default context, which new ports get; nmctx_set_default changes it and returns the old one. */
struct nmctx *nmctx_get(void);
struct nmctx *nmctx_set_default(struct nmctx *ctx);

/* nmctx_set_threadsafe gives the default context a mutex. Done before main, unless LIBNETMAP_NOTHREADSAFE. */
void nmctx_set_threadsafe(void);

/* What the functions above use. */
void nmctx_ferror(struct nmctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *nmctx_malloc(struct nmctx *ctx, size_t size);
void nmctx_free(struct nmctx *ctx, void *p);
void nmctx_lock(struct nmctx *ctx);
void nmctx_unlock(struct nmctx *ctx);

#ifndef LIBNETMAP_NOTHREADSAFE
/* Takes in, from the static library, the part with the mutex. */
extern int nmctx_threadsafe;
static __attribute__((used)) void libnetmap_init(void) { nmctx_threadsafe = 1; }
#endif

#ifdef __cplusplus
}
#endif

#endif /* NETMAPD_LIBNETMAP_H */
