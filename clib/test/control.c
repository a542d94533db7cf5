/* control: the control interface's errors, where the library decides them (NC G.2, G.4, G.5). */
#include "port.h"

static void *const wild = (void *)16;

#define FAILS(call, want)                                                                       \
	do {                                                                                    \
		errno = 0;                                                                      \
		CHECK((call) == -1 && errno == (want), "want errno %d, %s", want, strerror(want)); \
	} while (0)

static int header(int fd, struct nmreq_header h)
{
	struct nmreq_header was = h;
	int r = ioctl(fd, NIOCCTRL, &h), err = errno;

	CHECK(h.nr_version == was.nr_version && h.nr_body == was.nr_body && h.nr_options == was.nr_options, "CTL-11");
	errno = err;
	return r;
}

static void generic(int fd)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC}, before = reg;
	struct nmreq_header h = {.nr_version = 14, .nr_reqtype = NETMAP_REQ_REGISTER, .nr_name = "vale9:x", .nr_body = (uintptr_t)&reg};
	struct nmreq_header q;

	for (int v = 13; v <= 16; v += 3) {
		q = h;
		q.nr_version = (uint16_t)v;
		FAILS(header(fd, q), EINVAL); /* CTL-01 */
	}
	q = h, q.nr_reserved = 1;
	FAILS(header(fd, q), EINVAL); /* CTL-03 */
	q = h, q.nr_body = 0;
	FAILS(header(fd, q), EINVAL); /* CTL-04 */
	for (unsigned i = 0; i < 3; i++) {
		q = h, q.nr_reqtype = (uint16_t[]){9, 14, 15}[i];
		FAILS(header(fd, q), EINVAL); /* CTL-05 */
	}
	for (unsigned type = 0; type <= 16; type += 16) {
		q = h, q.nr_reqtype = (uint16_t)type, q.nr_body = 0;
		FAILS(header(fd, q), EINVAL); /* CTL-06 */
	}
	q = h, q.nr_body = (uintptr_t)wild;
	FAILS(header(fd, q), EFAULT); /* CTL-07 */
	FAILS(ioctl(fd, NIOCCTRL, NULL), EINVAL); /* CTL-08 */
	FAILS(ioctl(fd, NIOCCTRL, wild), EFAULT);
	FAILS(ioctl(fd, _IO('i', 199), NULL), EOPNOTSUPP); /* CTL-09 */
	FAILS(ioctl(fd, TIOCGWINSZ, wild), EOPNOTSUPP);
	q = h;
	strcpy(q.nr_name, "no-such-port0");
	FAILS(header(fd, q), ENXIO);
	CHECK(memcmp(&reg, &before, sizeof reg) == 0, "CTL-10");
	FAILS(ioctl(fd, NIOCTXSYNC, NULL), ENXIO); /* CTL-12 */
	FAILS(ioctl(fd, NIOCRXSYNC, NULL), ENXIO);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL, "ABI-23");
	CHECK(poll_one(fd, POLLIN, 1000) == POLLERR, "POL-01");

	/* CTL-14: also as a program passes it that keeps the number in an int. */
	q = h, q.nr_version = 15;
	int number = (int)NIOCCTRL;
	CHECK(ioctl(fd, (unsigned long)number, &q) == 0, "CTL-02");
	CHECK(reg.nr_memsize > 0);
	FAILS(header(fd, h), EBUSY); /* REG-01 */
	CHECK(mmap(NULL, reg.nr_memsize + 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL, "ABI-24");
	CHECK(mmap(NULL, reg.nr_memsize, PROT_READ, MAP_SHARED, fd, 4096) == MAP_FAILED && errno == EINVAL, "ABI-24");
	void *m = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 4096);
	CHECK(m != MAP_FAILED, "ABI-24");
	CHECK(munmap(m, 8192) == 0);
	CHECK(ioctl(fd, NIOCTXSYNC, NULL) == 0);
	CHECK(ioctl(fd, NIOCRXSYNC, NULL) == 0);
	/* An argument that can be read, but not written, is too late to refuse the request. */
	struct nmreq_header *ro = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct nmreq_port_info_get info = {0};
	*ro = (struct nmreq_header){.nr_version = 14, .nr_reqtype = NETMAP_REQ_PORT_INFO_GET, .nr_body = (uintptr_t)&info};
	CHECK(mprotect(ro, 4096, PROT_READ) == 0);
	FAILS(ioctl(fd, NIOCCTRL, ro), EFAULT);
}

static int with_options(int type, void *body, void *opts)
{
	int fd = open("/dev/netmap", O_RDWR);
	struct nmreq_header h = {.nr_version = 14, .nr_reqtype = (uint16_t)type, .nr_name = "vale9:o",
				 .nr_body = (uintptr_t)body, .nr_options = (uintptr_t)opts};

	CHECK(fd >= 0);
	int r = header(fd, h), err = errno;
	if (r < 0)
		CHECK(poll_one(fd, POLLIN, 0) == POLLERR, "a failed request left the descriptor bound");
	close(fd);
	errno = err;
	return r;
}

static void options(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_port_info_get info = {0};
	struct nmreq_option o = {.nro_reqtype = 1234};

	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &o), EOPNOTSUPP); /* OPT-01 */
	CHECK(o.nro_status == EOPNOTSUPP, "OPT-01: status %u", o.nro_status);
	o.nro_status = 0;
	CHECK(with_options(NETMAP_REQ_PORT_INFO_GET, &info, &o) == 0, "OPT-07");
	CHECK(o.nro_status == EOPNOTSUPP && info.nr_memsize > 0, "OPT-07: status %u", o.nro_status);
	o.nro_next = (uintptr_t)&o;
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &o), EMSGSIZE); /* OPT-02 */
	struct nmreq_opt_csb known = {.nro_opt = {.nro_reqtype = NETMAP_REQ_OPT_CSB}};
	known.nro_opt.nro_next = (uintptr_t)&known;
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &known), EINVAL); /* OPT-03 */
	CHECK(known.nro_opt.nro_status == EINVAL && known.nro_opt.nro_next == (uintptr_t)&known, "OPT-03");

	static struct nmreq_option many[128];
	struct {
		struct nmreq_option o;
		char body[1000];
	} large = {{.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, .nro_size = 1000}, ""};
	for (int i = 0; i < 128; i++)
		many[i] = (struct nmreq_option){.nro_reqtype = 99, .nro_next = i < 127 ? (uintptr_t)&many[i + 1] : 0};
	many[98].nro_next = (uintptr_t)&large;
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, many), EMSGSIZE); /* OPT-04 */
	many[98].nro_next = (uintptr_t)&many[99];
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, many), EMSGSIZE); /* 128 do not fit (NC B.8) */
	CHECK(many[0].nro_status == 0, "nothing is written back");
	many[126].nro_next = 0;
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, many), EOPNOTSUPP); /* 127 do */
	CHECK(many[0].nro_status == EOPNOTSUPP && many[126].nro_status == EOPNOTSUPP);

	struct nmreq_opt_extmem x2 = {.nro_opt = {.nro_reqtype = NETMAP_REQ_OPT_EXTMEM}};
	struct nmreq_opt_extmem x1 = {.nro_opt = {.nro_reqtype = NETMAP_REQ_OPT_EXTMEM, .nro_next = (uintptr_t)&x2}};
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &x1), EINVAL); /* OPT-05 */
	CHECK(x1.nro_opt.nro_status == EINVAL && x2.nro_opt.nro_status == EINVAL, "OPT-05");
	CHECK(x1.nro_opt.nro_next == (uintptr_t)&x2 && x2.nro_opt.nro_next == 0, "OPT-05");
	struct nmreq_option zero = {0};
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &zero), EINVAL); /* OPT-06 */
	CHECK(zero.nro_status == EINVAL, "OPT-06");
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, wild), EFAULT);
	struct nmreq_option to_wild = {.nro_reqtype = 99, .nro_next = 16, .nro_status = 7};
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &to_wild), EFAULT);
	CHECK(to_wild.nro_status == 0, "read, and copied back with no status");
	struct nmreq_opt_sync_kloop_mode mode = {.nro_opt = {.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_MODE}};
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, &mode), EOPNOTSUPP); /* OPT-16 */
	/* The body of an option at the very end of memory. */
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(munmap(m + 4096, 4096) == 0);
	struct nmreq_option *cut = (struct nmreq_option *)(m + 4096 - sizeof *cut);
	*cut = (struct nmreq_option){.nro_reqtype = NETMAP_REQ_OPT_CSB};
	FAILS(with_options(NETMAP_REQ_REGISTER, &reg, cut), EFAULT);
}

static int legacy(unsigned long call, struct nmreq *r)
{
	int fd = open("/dev/netmap", O_RDWR);
	int n = ioctl(fd, call, r), err = errno;

	close(fd);
	errno = err;
	return n;
}

static void old(void)
{
	struct nmreq r;
#define NMREQ(...) (r = (struct nmreq){.nr_name = "vale9:l", .nr_version = 14, __VA_ARGS__}, &r)
	FAILS(legacy(NIOCREGIF, NMREQ(.nr_version = 13)), EINVAL); /* LEG-01 */
	for (int v = 14; v <= 16; v++)
		CHECK(legacy(NIOCREGIF, NMREQ(.nr_version = (uint32_t)v)) == 0, "LEG-01 version %d", v);
	CHECK(r.nr_memsize > 0 && r.nr_tx_rings == 1 && r.nr_arg2 > 1, "LEG-02");
	CHECK(legacy(NIOCREGIF, NMREQ(.nr_ringid = 0x4000)) == 0 && r.nr_ringid == 0x4000, "LEG-03");
	CHECK(legacy(NIOCREGIF, NMREQ(.nr_arg3 = 20)) == 0 && r.nr_arg3 == 20, "LEG-05");
	FAILS(legacy(NIOCREGIF, NMREQ(.nr_cmd = 99)), EINVAL); /* LEG-08 */
	FAILS(legacy(NIOCREGIF, NMREQ(.nr_cmd = 8)), ENOMEM);
	CHECK(legacy(NIOCGINFO, NMREQ(.nr_arg2 = 0)) == 0 && r.nr_memsize > 0, "LEG-09");
	(void)NMREQ(.nr_cmd = 99);
	memset(r.nr_name, 'x', sizeof r.nr_name);
	FAILS(legacy(NIOCREGIF, &r), EINVAL);
	CHECK(r.nr_name[sizeof r.nr_name - 1] == 0 && r.nr_name[0] == 'x', "the terminator is forced");
	FAILS(legacy(NIOCREGIF, NULL), EINVAL);
	FAILS(legacy(NIOCREGIF, wild), EFAULT);
}

int main(void)
{
	int fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	generic(fd);
	close(fd);
	options();
	old();
	fd = openat(AT_FDCWD, "/dev/netmap", O_RDWR);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0);
	return 0;
}
