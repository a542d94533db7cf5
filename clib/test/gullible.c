/*
 * gullible: makes every request there is and believes nothing.
 * Whatever the daemon answers, it ends well; it says how many requests succeeded.
 */
#include "port.h"

#include <sys/epoll.h>

static void use(int fd, const struct nmreq_register *reg)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT};
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	int ep = epoll_create1(0);

	ioctl(fd, NIOCTXSYNC, NULL);
	ioctl(fd, NIOCRXSYNC, NULL);
	poll(&p, 1, 0);
	epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	epoll_wait(ep, &ev, 1, 0);
	void *m = mmap(NULL, reg->nr_memsize % (1 << 20) + 1, PROT_READ, MAP_SHARED, fd, 0);
	if (m != MAP_FAILED)
		munmap(m, reg->nr_memsize % (1 << 20) + 1);
	close(ep);
}

int main(void)
{
	struct nmreq_option opt = {.nro_reqtype = 77};
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_header h = {.nr_version = NETMAP_API, .nr_reqtype = NETMAP_REQ_REGISTER, .nr_name = "vale0:g", .nr_body = (uintptr_t)&reg};

	int bound = 0;
	for (int i = 0; i < 3; i++) {
		int fd = open("/dev/netmap", O_RDWR);
		struct nmreq old = {.nr_name = "vale0:g", .nr_version = NETMAP_API};
		if (fd < 0)
			continue;
		h.nr_options = i == 1 ? (uintptr_t)&opt : 0;
		if (i < 2)
			bound += ioctl(fd, NIOCCTRL, &h) == 0;
		else
			bound += ioctl(fd, NIOCREGIF, &old) == 0;
		use(fd, &reg);
		close(fd);
	}
	FILE *f = fopen("/sys/module/netmap/parameters/verbose", "r+");
	if (f) {
		char text[200];
		if (!fgets(text, sizeof text, f))
			text[0] = 0;
		rewind(f);
		fputs("1\n", f);
		fclose(f);
	}
	printf("%d of 3\n", bound);
	return 0;
}
