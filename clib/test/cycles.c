/* cycles N: a port opened and closed N times, twice; nothing may be left behind the second time (CLS-06). */
#include "port.h"

#include <dirent.h>
#include <sys/epoll.h>

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* mapped is the number of mappings and of resident pages. */
static void mapped(unsigned *maps, unsigned long *pages)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	for (*maps = 0; fgets(line, sizeof line, f); ++*maps)
		;
	fclose(f);
	f = fopen("/proc/self/statm", "r");
	CHECK(f && fscanf(f, "%*u %lu", pages) == 1);
	fclose(f);
}

static void cycle(int n)
{
	struct epoll_event ev = {.events = EPOLLIN};
	uint32_t seq = 0;

	for (int i = 0; i < n; i++) {
		struct port p = open_port("vale0:cycle", i % 2 ? NR_EXCLUSIVE : 0);
		int ep = epoll_create1(0);
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p.fd, &ev) == 0 && epoll_wait(ep, &ev, 1, 0) == 0);
		put(p.tx, 3, &seq);
		CHECK(poll_one(p.fd, POLLOUT, 0) == POLLOUT);
		CHECK(close(ep) == 0);
		close_port(&p);
	}
}

int main(int argc, char **argv)
{
	unsigned maps[2], fds[2];
	unsigned long pages[2];
	int n = argc > 1 ? atoi(argv[1]) : 1000;

	for (int i = 0; i < 2; i++) {
		cycle(n / 2);
		fds[i] = open_fds();
		mapped(&maps[i], &pages[i]);
	}
	CHECK(fds[0] == fds[1], "%u descriptors, then %u", fds[0], fds[1]);
	CHECK(maps[0] == maps[1], "%u mappings, then %u", maps[0], maps[1]);
	CHECK(pages[1] < pages[0] + 32, "%lu pages, then %lu", pages[0], pages[1]);
	return 0;
}
