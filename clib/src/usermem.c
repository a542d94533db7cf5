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
