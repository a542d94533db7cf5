#include "select.h"

#include <errno.h>
#include <stdlib.h>

#include "desc.h"

/* Sets can be larger than fd_set says, so FD_ISSET, which may check that, is not used. */
typedef unsigned long word;
enum { BITS = 8 * sizeof(word), FEW = 64 };

static bool has(const fd_set *s, int fd)
{
	return s && ((const word *)s)[fd / BITS] >> fd % BITS & 1;
}

static void put(fd_set *s, int fd, bool on)
{
	word *w = (word *)s + fd / BITS, bit = (word)1 << fd % BITS;

	if (on)
		*w |= bit;
	else
		*w &= ~bit;
}

bool nmd_select_any(int n, const fd_set *in, const fd_set *out, const fd_set *ex)
{
	if (atomic_load_explicit(&nmd_descs, memory_order_relaxed) == 0)
		return false;
	for (int fd = 0; fd < n; fd++) {
		enum nmd_kind k = nmd_fd_kind(nmd_fd_get(fd));
		if ((k == NMD_FD_DESC || k == NMD_FD_EPOLL) && (has(in, fd) || has(out, fd) || has(ex, fd)))
			return true;
	}
	return false;
}

/* to_poll writes the sets as an array; with p NULL it counts. */
static nfds_t to_poll(int n, const fd_set *in, const fd_set *out, const fd_set *ex, struct pollfd *p)
{
	nfds_t k = 0;

	for (int fd = 0; fd < n; fd++) {
		short ev = (short)((has(in, fd) ? POLLIN : 0) | (has(out, fd) ? POLLOUT : 0) |
				   (has(ex, fd) ? POLLPRI : 0));
		if (!ev)
			continue;
		if (p)
			p[k] = (struct pollfd){.fd = fd, .events = ev};
		k++;
	}
	return k;
}

/* from_poll writes the result back: an error is both readable and writable (NC D.6). */
static int from_poll(fd_set *in, fd_set *out, fd_set *ex, const struct pollfd *p, nfds_t k)
{
	int ready = 0;

	for (nfds_t i = 0; i < k; i++) {
		bool r = p[i].events & POLLIN && p[i].revents & (POLLIN | POLLHUP | POLLERR);
		bool w = p[i].events & POLLOUT && p[i].revents & (POLLOUT | POLLERR);
		bool x = p[i].events & POLLPRI && p[i].revents & POLLPRI;
		if (in)
			put(in, p[i].fd, r);
		if (out)
			put(out, p[i].fd, w);
		if (ex)
			put(ex, p[i].fd, x);
		ready += r + w + x;
	}
	return ready;
}

int nmd_select(int n, fd_set *in, fd_set *out, fd_set *ex, struct nmd_deadline until, const sigset_t *mask)
{
	struct pollfd few[FEW], *p = few;
	nfds_t k = to_poll(n, in, out, ex, NULL);
	int r;

	if (k > FEW && !(p = malloc(k * sizeof *p))) {
		errno = ENOMEM;
		return -1;
	}
	to_poll(n, in, out, ex, p);
	do {
		r = nmd_ppoll(p, k, until, mask);
		for (nfds_t i = 0; r > 0 && i < k; i++) {
			if (p[i].revents & POLLNVAL) {
				errno = EBADF;
				r = -1;
			}
		}
		if (r >= 0)
			r = from_poll(in, out, ex, p, k);
		/* Hangup of a descriptor that is only watched for writing is not news to select. */
	} while (r == 0 && !nmd_deadline_passed(&until));
	int err = errno;
	if (p != few)
		free(p);
	errno = err;
	return r;
}
