#include "control.h"

#include <errno.h>
#include <string.h>

#include "csb.h"
#include "extmem.h"
#include "options.h"
#include "txrx.h"
#include "usermem.h"

enum { BODY_MAX = 64 };

/* A request on its way. */
struct request {
	struct nmd_req_header h;
	char body[BODY_MAX];
	size_t body_len;
	struct nmd_options opts;
	struct nmd_extmem extmem;
};

/* read_request makes the generic checks, in the order of NC B.4. */
static int read_request(struct request *q)
{
	if (q->h.version < NMD_API_MIN || q->h.version > NMD_API_MAX || q->h.reserved)
		return EINVAL;
	q->body_len = nmd_body_size(q->h.reqtype);
	if (!q->h.body != !q->body_len)
		return EINVAL;
	int err = nmd_copy_in(q->body, q->h.body, q->body_len);
	if (!err)
		err = nmd_options_walk(&q->opts, q->h.options, q->body_len);
	return err;
}

/* take_options does what options of a registration ask of this process. */
static int take_options(struct nmd_desc *d, void *arg)
{
	struct request *q = arg;
	int err = nmd_csb_set(d, &q->opts);

	return err ? err : nmd_extmem_place(&q->extmem);
}

/*
 * take_answer is given what the daemon answered: header, for a registration the
 * bind, body, options. It stores what the program gets.
 */
static int take_answer(struct nmd_desc *d, struct request *q, struct nmd_answer *a)
{
	struct nmd_control c;
	struct nmd_bind b;
	char *p = a->body, *end = a->body + a->len;
	size_t bind = 0;
	int err = 0;

	if (a->len < sizeof c)
		return EIO;
	memcpy(&c, p, sizeof c);
	p += sizeof c;
	if (c.err > NMD_ERRNO_MAX)
		return EIO;
	if (!c.err && q->h.reqtype == NMD_REQ_REGISTER)
		bind = sizeof b;
	if ((size_t)(end - p) < bind + q->body_len + q->opts.wire_len)
		return EIO;
	memcpy(&b, p, bind);
	p += bind;
	err = nmd_options_answer(&q->opts, p + q->body_len, q->opts.wire_len);
	nmd_extmem_answer(&q->extmem, &q->opts);
	if (!err && bind)
		err = nmd_desc_adopt(d, &b, a, take_options, q);
	if (!err && !c.err) {
		memcpy(q->h.name, c.name, sizeof q->h.name);
		q->h.name[sizeof q->h.name - 1] = 0;
		memcpy(q->body, p, q->body_len);
	}
	return err ? err : c.err;
}

/* ask has the daemon carry the request out. */
static int ask(struct nmd_desc *d, int fd, struct request *q)
{
	struct nmd_answer a;
	bool bound = atomic_load(&d->bound), reg = q->h.reqtype == NMD_REQ_REGISTER;
	int err = nmd_desc_session(d);

	if (err)
		return err;
	q->extmem = (struct nmd_extmem){.fd = -1, .opt = -1};
	if (reg && !bound && (err = nmd_extmem_prepare(&q->extmem, &q->opts)))
		return err;
	struct nmd_control c = {
		.token = d->session->token,
		.req_type = q->h.reqtype,
		.version = q->h.version,
		.option_bytes = (uint16_t)q->opts.wire_len,
	};
	memcpy(c.name, q->h.name, sizeof c.name);
	const struct iovec parts[] = {{&c, sizeof c}, {q->body, q->body_len}, {q->opts.wire, q->opts.wire_len}};
	if (reg && bound)
		return EBUSY;
	err = nmd_request_with(fd, NMD_TYPE_CONTROL, parts, 3, q->extmem.fd, reg ? NMD_BIND_FDS : 0, &a);
	if (!err) {
		bool binds = a.nfds > 0;
		err = take_answer(d, q, &a);
		nmd_answer_done(&a);
		if (err && binds)
			nmd_desc_undo(d, fd); /* the daemon bound it, and we cannot use it */
	}
	nmd_extmem_done(&q->extmem);
	return err;
}

/* sync_loop carries out the requests of CSB mode, which are this library's. */
static int sync_loop(struct nmd_desc *d, int fd, struct request *q)
{
	uint32_t sleep_us;

	switch (q->h.reqtype) {
	case NMD_REQ_KLOOP_START:
		memcpy(&sleep_us, q->body, sizeof sleep_us);
		return nmd_kloop_start(d, fd, sleep_us, &q->opts);
	case NMD_REQ_KLOOP_STOP:
		return nmd_kloop_stop(d, fd);
	}
	return nmd_csb_enable(d, fd, &q->opts);
}

int nmd_control(struct nmd_desc *d, int fd, uint64_t arg)
{
	struct request q;

	if (!arg)
		return EINVAL;
	int err = nmd_copy_in(&q.h, arg, sizeof q.h);
	if (err)
		return err;
	q.h.name[sizeof q.h.name - 1] = 0;
	nmd_options_init(&q.opts);
	err = read_request(&q);
	if (!err && q.h.reqtype >= NMD_REQ_KLOOP_START && q.h.reqtype <= NMD_REQ_CSB_ENABLE) {
		err = sync_loop(d, fd, &q);
	} else if (!err) {
		pthread_mutex_lock(&d->binding);
		err = ask(d, fd, &q);
		pthread_mutex_unlock(&d->binding);
	}
	/* The body goes back only with success, statuses always (NC B.4, B.8). */
	int fault = err ? 0 : nmd_copy_out(q.h.body, q.body, q.body_len);
	int fault2 = nmd_options_write_back(&q.opts, !err);
	int fault3 = nmd_copy_out(arg, &q.h, sizeof q.h);
	if (err)
		return err;
	return fault ? fault : fault2 ? fault2 : fault3;
}

/* legacy_answer takes what came back for a request of the old interface. */
static int legacy_answer(struct nmd_desc *d, struct nmd_answer *a, char *body, size_t len)
{
	struct nmd_legacy l;
	struct nmd_bind b;
	char *p = a->body, *end = a->body + a->len;
	int err = 0;

	if (a->len < sizeof l)
		return EIO;
	memcpy(&l, p, sizeof l);
	p += sizeof l;
	if (l.bound) {
		if ((size_t)(end - p) < sizeof b + NMD_REGISTER_SIZE)
			return EIO;
		memcpy(&b, p, sizeof b);
		p += sizeof b + NMD_REGISTER_SIZE;
		err = nmd_desc_adopt(d, &b, a, NULL, NULL);
	}
	if (!err && (size_t)(end - p) < len)
		err = EIO;
	if (!err)
		memcpy(body, p, len);
	return err;
}

static int legacy_ask(struct nmd_desc *d, int fd, uint32_t req, char *body, size_t len)
{
	struct nmd_answer a;
	int err = nmd_desc_session(d);

	if (err)
		return err;
	struct nmd_legacy l = {.token = d->session->token, .ioctl = req};
	const struct iovec parts[] = {{&l, sizeof l}, {body, len}};
	err = nmd_request(fd, NMD_TYPE_LEGACY, parts, 2, req == NMD_NIOCREGIF ? NMD_BIND_FDS : 0, &a);
	if (!err) {
		err = legacy_answer(d, &a, body, len);
		nmd_answer_done(&a);
	}
	return err;
}

/* legacy is NIOCREGIF, NIOCGINFO and NIOCCONFIG (NC B.2, B.3). */
static int legacy(struct nmd_desc *d, int fd, uint32_t req, uint64_t arg)
{
	char body[NMD_CONFIG_SIZE], reply[NMD_CONFIG_SIZE];
	size_t len = req == NMD_NIOCCONFIG ? NMD_CONFIG_SIZE : NMD_LEGACY_SIZE;

	if (!arg)
		return EINVAL;
	int err = nmd_copy_in(body, arg, len);
	if (err)
		return err;
	enum { NAME_END = 15 };
	body[NAME_END] = 0;
	memcpy(reply, body, len);
	pthread_mutex_lock(&d->binding);
	err = legacy_ask(d, fd, req, reply, len);
	pthread_mutex_unlock(&d->binding);
	/* The argument is copied back even after a failure, as it was but for the
	 * terminator (NC B.1). */
	int fault = nmd_copy_out(arg, err ? body : reply, len);
	return err ? err : fault;
}

int nmd_ioctl(struct nmd_desc *d, int fd, uint32_t req, uint64_t arg)
{
	int err;

	switch (req) {
	case NMD_NIOCTXSYNC:
		err = nmd_desc_bound(d, fd);
		return err ? err : nmd_txsync(d);
	case NMD_NIOCRXSYNC:
		err = nmd_desc_bound(d, fd);
		return err ? err : nmd_rxsync(d);
	case NMD_NIOCCTRL:
		return nmd_control(d, fd, arg);
	case NMD_NIOCREGIF:
	case NMD_NIOCGINFO:
	case NMD_NIOCCONFIG:
		return legacy(d, fd, req, arg);
	}
	return EOPNOTSUPP;
}
