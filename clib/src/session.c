#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attach.h"
#include "fdtab.h"
#include "libc.h"

pthread_mutex_t nmd_lock = PTHREAD_MUTEX_INITIALIZER;

static struct nmd_session *sessions; /* under nmd_lock */

/* One at a time makes a session. Not nmd_lock: a fork waits for that, and making one takes time. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* new_session opens a session: 0 or an errno. */
static int new_session(const char *path, struct nmd_session **out)
{
	struct nmd_answer a;
	struct nmd_session_answer sa;
	int conn = nmd_connect(path, true);

	if (conn < 0)
		return errno;
	int err = nmd_request(conn, NMD_TYPE_SESSION, NULL, 0, 1, &a);
	struct nmd_session *s = err ? NULL : calloc(1, sizeof *s);
	if (!err && (a.nfds != 1 || a.len != sizeof sa))
		err = EIO;
	if (!err && !s)
		err = ENOMEM;
	if (!err) {
		memcpy(&sa, a.body, sizeof sa);
		strcpy(s->path, path);
		s->token = sa.token;
		s->id = sa.id;
		nmd_internal(conn, &s->conn);
		nmd_internal(a.fds[0], &s->kick);
		a.fds[0] = conn = -1;
		*out = s;
	} else {
		free(s);
		REAL(close)(conn);
	}
	nmd_answer_done(&a);
	return err;
}

static struct nmd_session *find(const char *path)
{
	for (struct nmd_session *s = sessions; s; s = s->next)
		if (!atomic_load(&s->dead) && strcmp(s->path, path) == 0)
			return s;
	return NULL;
}

/* unlisted takes a session without users off the list when its daemon is gone, under nmd_lock; the caller frees it. */
static bool unlisted(struct nmd_session *s)
{
	if (s->refs != 0 || !atomic_load(&s->dead))
		return false;
	for (struct nmd_session **p = &sessions; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	return true;
}

static void dispose(struct nmd_session *s)
{
	nmd_internal_close(&s->conn);
	nmd_internal_close(&s->kick);
	free(s);
}

int nmd_session_get(const char *path, struct nmd_session **out)
{
	int err = 0;

	pthread_mutex_lock(&making);
	pthread_mutex_lock(&nmd_lock);
	struct nmd_session *s = find(path), *gone = NULL;
	if (s && !nmd_session_alive(s)) {
		gone = unlisted(s) ? s : NULL;
		s = NULL;
	}
	if (s)
		s->refs++;
	pthread_mutex_unlock(&nmd_lock);
	if (gone)
		dispose(gone);
	if (!s && !(err = new_session(path, &s))) {
		pthread_mutex_lock(&nmd_lock);
		s->refs = 1;
		s->next = sessions;
		sessions = s;
		pthread_mutex_unlock(&nmd_lock);
	}
	pthread_mutex_unlock(&making);
	*out = s;
	return err;
}

/* A live session stays, for the next descriptor; one whose daemon is gone goes with its last user. */
void nmd_session_put(struct nmd_session *s)
{
	pthread_mutex_lock(&nmd_lock);
	s->refs--;
	bool last = unlisted(s);
	pthread_mutex_unlock(&nmd_lock);
	if (last)
		dispose(s);
}

void nmd_session_kick(struct nmd_session *s)
{
	static const uint64_t one = 1;
	int err = errno;

	/* It cannot block: nobody reads the eventfd, and its counter holds 2^64 kicks. */
	if (write(atomic_load_explicit(&s->kick, memory_order_relaxed), &one, sizeof one) < 0)
		errno = err;
}

bool nmd_session_alive(struct nmd_session *s)
{
	char b;
	int err = errno;

	if (atomic_load(&s->dead))
		return false;
	ssize_t n = recv(atomic_load(&s->conn), &b, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		atomic_store(&s->dead, true);
	errno = err;
	return !atomic_load(&s->dead);
}

void nmd_session_forked(void)
{
	pthread_mutex_init(&making, NULL); /* who held it does not exist here */
	/* The parent's: its connection must not outlive it in here (nmd_internal_forget). */
	for (struct nmd_session *s = sessions; s; s = s->next)
		atomic_store(&s->dead, true);
}
