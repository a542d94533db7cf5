/* locked: a program that locks all memory, as netmap's tlem does, does not bring all pages
 * of a region into being, which nobody has used yet. */
#include "port.h"

/* resident is how many of the pages at mem there are. */
static size_t resident(void *mem, size_t len)
{
	enum { PAGE = 4096 };
	size_t n = (len + PAGE - 1) / PAGE, there = 0;
	unsigned char *pages = malloc(n);

	CHECK(pages && mincore(mem, len, pages) == 0);
	for (size_t i = 0; i < n; i++)
		there += pages[i] & 1;
	free(pages);
	return there * PAGE;
}

int main(void)
{
	if (geteuid() != 0) {
		puts("only root may lock as much");
		return 0;
	}
	CHECK(mlockall(MCL_FUTURE) == 0);
	struct port p = open_port("vale0:locked", 0);
	CHECK(resident(p.mem, p.reg.nr_memsize) < p.reg.nr_memsize / 4);
	uint32_t seq = 0;
	CHECK(put(p.tx, 10, &seq) == 10 && ioctl(p.fd, NIOCTXSYNC, NULL) == 0 && space(p.tx) == p.tx->num_slots - 1);
	close_port(&p);
	return 0;
}
