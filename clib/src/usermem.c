#include "usermem.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * The kernel copies, as it would for a real ioctl, and says when it cannot. Where
 * a sandbox forbids that (the process reads itself, so only a sandbox does), a
 * plain copy has to do.
 */
static int moved(ssize_t n, size_t want)
{
	if (n == (ssize_t)want)
		return 0;
	return n < 0 && (errno == ENOSYS || errno == EPERM) ? -1 : EFAULT;
}

int nmd_copy_in(void *to, uint64_t from, size_t n)
{
	struct iovec l = {to, n}, r = {(void *)(uintptr_t)from, n};
	int saved = errno, err = n == 0 ? 0 : moved(process_vm_readv(getpid(), &l, 1, &r, 1, 0), n);

	if (err < 0) {
		memcpy(to, r.iov_base, n);
		err = 0;
	}
	errno = saved;
	return err;
}

int nmd_copy_out(uint64_t to, const void *from, size_t n)
{
	struct iovec l = {(void *)(uintptr_t)from, n}, r = {(void *)(uintptr_t)to, n};
	int saved = errno, err = n == 0 ? 0 : moved(process_vm_writev(getpid(), &l, 1, &r, 1, 0), n);

	if (err < 0) {
		memcpy(r.iov_base, from, n);
		err = 0;
	}
	errno = saved;
	return err;
}

/*
 * copied says how many of the n first copies moved bytes bring to their end; what
 * is left over belongs to one that broke off.
 */
static size_t copied(const struct nmd_copy *c, size_t n, size_t moved)
{
	size_t i = 0;

	for (; i < n && c[i].n <= moved; i++)
		moved -= c[i].n;
	return i;
}

void nmd_copy_many(struct nmd_copy *c, size_t n)
{
	struct iovec l[NMD_COPY_MAX], r[NMD_COPY_MAX];
	int saved = errno;

	for (size_t i = 0; i < n; i++) {
		l[i] = (struct iovec){c[i].to, c[i].n};
		r[i] = (struct iovec){(void *)(uintptr_t)c[i].from, c[i].n};
		c[i].fault = false;
	}
	for (size_t i = 0; i < n; i++) {
		ssize_t m = process_vm_readv(getpid(), l + i, n - i, r + i, n - i, 0);
		if (m < 0 && (errno == ENOSYS || errno == EPERM)) { /* see moved */
			for (; i < n; i++)
				memcpy(c[i].to, r[i].iov_base, c[i].n);
			break;
		}
		i += copied(c + i, n - i, m < 0 ? 0 : (size_t)m);
		if (i < n)
			c[i].fault = true; /* it stopped here; on with the next */
	}
	errno = saved;
}
