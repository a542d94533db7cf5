#include "extmem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "abi.h"
#include "bind.h"
#include "libc.h"
#include "usermem.h"

enum { PAGE = 4096, CHUNK = 64 * PAGE, LINE = 512 };

/* The option's body: an address, and a POOLS_INFO that begins with the size. */
struct body {
	uint64_t usrptr;
	uint64_t memsize;
};

/* A line of /proc/self/maps. */
struct mapping {
	uint64_t from, to, offset;
	bool ours_to_use; /* readable and writable */
	dev_t dev;
	ino_t ino;
};

static bool parse(const char *line, struct mapping *m)
{
	char perms[5];
	unsigned major, minor;
	uint64_t ino;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &m->from, &m->to, perms, &m->offset,
		   &major, &minor, &ino) != 7)
		return false;
	m->ours_to_use = perms[0] == 'r' && perms[1] == 'w';
	m->dev = makedev(major, minor);
	m->ino = ino;
	return true;
}

/*
 * judge looks at one mapping that the memory touches. *at is how far the memory is known
 * to be there, all of it one after the other.
 */
static int judge(struct nmd_extmem *x, const struct mapping *m, uint64_t *at)
{
	if (m->from > *at || !m->ours_to_use)
		return EFAULT;
	*at = m->to;
	int fd = nmd_region_of(m->dev, m->ino, x->size);
	if (fd == -1)
		return 0;
	/* A region it is: the same memory, or some of another's. */
	if (fd < 0 || m->from + x->size < x->at || m->offset + (x->at - m->from) != 0 || m->to < x->at + x->size) {
		if (fd >= 0)
			REAL(close)(fd);
		return EBUSY;
	}
	x->fd = fd;
	x->there = true;
	return 0;
}

/* examine finds out what is mapped where the memory is said to be. */
static int examine(struct nmd_extmem *x)
{
	char line[LINE];
	size_t have = 0;
	ssize_t n;
	uint64_t at = x->at, end = x->at + x->size;
	int err = 0, fd = REAL(open)("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return EFAULT; /* what cannot be examined is not moved */
	while (!err && at < end && (n = read(fd, line + have, sizeof line - 1 - have)) > 0) {
		have += (size_t)n;
		line[have] = 0;
		char *nl, *from = line;
		struct mapping m;
		while (!err && at < end && (nl = strchr(from, '\n'))) {
			*nl = 0;
			if (parse(from, &m) && m.to > x->at && m.from < end)
				err = judge(x, &m, &at);
			from = nl + 1;
		}
		have = (size_t)(line + have - from);
		memmove(line, from, have);
		if (have == sizeof line - 1)
			have = LINE / 2; /* a long file name: its end is of no interest */
	}
	REAL(close)(fd);
	return err ? err : at < end ? EFAULT : 0;
}

/* copy_pages writes the pages that are not all zeros: those that are cost nothing then. */
static int copy_pages(int fd, const char *buf, size_t n, off_t to)
{
	static const char zeros[PAGE];

	for (size_t i = 0; i < n; i += PAGE)
		if (memcmp(buf + i, zeros, PAGE) != 0 && pwrite(fd, buf + i, PAGE, to + (off_t)i) != PAGE)
			return ENOMEM;
	return 0;
}

static int fill(const struct nmd_extmem *x)
{
	char *buf = malloc(CHUNK);
	int err = buf ? 0 : ENOMEM;

	for (uint64_t i = 0; i < x->size && !err; i += CHUNK) {
		size_t n = x->size - i < CHUNK ? (size_t)(x->size - i) : CHUNK;
		err = nmd_copy_in(buf, x->at + i, n);
		if (!err)
			err = copy_pages(x->fd, buf, n, (off_t)i);
	}
	free(buf);
	return err;
}

static int make(struct nmd_extmem *x)
{
	x->fd = memfd_create("netmap:extmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (x->fd < 0)
		return ENOMEM;
	int err = ftruncate(x->fd, (off_t)x->size) < 0 ? ENOMEM : fill(x);
	if (!err && REAL(fcntl)(x->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		err = errno;
	return err;
}

int nmd_extmem_prepare(struct nmd_extmem *x, struct nmd_options *o)
{
	struct body b;
	int saved = errno;

	*x = (struct nmd_extmem){.fd = -1, .opt = nmd_options_find(o, NMD_OPT_EXTMEM)};
	if (x->opt < 0)
		return 0;
	memcpy(&b, o->wire + o->opt[x->opt].body, sizeof b);
	x->said = b.memsize;
	x->at = b.usrptr;
	x->size = b.memsize & ~(uint64_t)(PAGE - 1); /* what shares a page with others is not moved */
	uint64_t end = x->at + x->size, here = (uintptr_t)&b;
	int err = 0;
	if (x->size == 0 || x->at % PAGE)
		err = EINVAL;
	else if (end < x->at || end > INT64_MAX || (here >= x->at && here < end)) /* nor is the stack */
		err = EFAULT;
	if (!err)
		err = examine(x);
	if (!err && !x->there)
		err = make(x);
	b.memsize = x->size;
	memcpy(o->wire + o->opt[x->opt].body, &b, sizeof b);
	if (err) {
		nmd_extmem_done(x);
		o->opt[x->opt].status = (uint32_t)err;
	}
	errno = saved;
	return err;
}

void nmd_extmem_answer(const struct nmd_extmem *x, struct nmd_options *o)
{
	struct body b = {x->at, x->said};

	if (x->opt >= 0)
		memcpy(o->wire + o->opt[x->opt].body, &b, sizeof b);
}

int nmd_extmem_place(const struct nmd_extmem *x)
{
	if (x->fd < 0 || x->there)
		return 0;
	void *m = REAL(mmap)((void *)(uintptr_t)x->at, x->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, x->fd, 0);
	return m == MAP_FAILED ? errno : 0;
}

void nmd_extmem_done(struct nmd_extmem *x)
{
	if (x->fd >= 0)
		REAL(close)(x->fd);
	x->fd = -1;
}
