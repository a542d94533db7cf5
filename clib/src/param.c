#include "param.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attach.h"
#include "fdtab.h"
#include "libc.h"
#include "process.h"

_Atomic int nmd_params;

enum { MAX_OPEN = 32, NAME = sizeof((struct nmd_param *)0)->name, LINK_SIZE = 64 };

/* The name of the memory file tells what it is, also after an exec. */
#define FILE_NAME "netmap."
static const char prefix[] = "/memfd:" FILE_NAME;

/*
 * An open parameter. The descriptor of our own is to the same file, not to the same
 * open file: it can read, and stays when the C library closes the program's unseen.
 */
struct param {
	enum { FREE, OPEN, CLOSING } state; /* under nmd_lock, as is fd */
	int fd;				    /* the program's */
	_Atomic int file;
	char name[NAME];
};

static struct param table[MAX_OPEN];

/* ask sends a request about q->name, and takes value and writable from the answer: 0 or an errno. */
static int ask(uint32_t op, struct nmd_param *q)
{
	char path[NMD_PATH_MAX];
	struct nmd_session *s;
	struct nmd_answer a;
	struct nmd_param got;

	if (nmd_socket_path(path) || nmd_session_get(path, &s))
		return ENOENT; /* no daemon, no module */
	q->token = s->token;
	q->op = op;
	const struct iovec part = {q, sizeof *q};
	int err = nmd_request(atomic_load(&s->conn), NMD_TYPE_PARAM, &part, 1, 0, &a);
	if (!err) {
		if (a.len == sizeof got) {
			memcpy(&got, a.body, sizeof got);
			memcpy(q->value, got.value, sizeof got.value);
			q->value[sizeof q->value - 1] = 0;
			q->writable = got.writable;
		} else {
			err = EIO;
		}
		nmd_answer_done(&a);
	}
	nmd_session_put(s);
	return err;
}

static int query(const char *path, struct nmd_param *q)
{
	const char *name = path + sizeof NMD_PARAM_DIR - 1;
	size_t n = strlen(name);

	memset(q, 0, sizeof *q);
	if (n == 0 || n >= sizeof q->name || strchr(name, '/'))
		return ENOENT;
	memcpy(q->name, name, n);
	return ask(NMD_PARAM_GET, q);
}

/* put_value makes the value, and a newline, the whole content. */
static int put_value(int file, const char *value)
{
	char line[sizeof((struct nmd_param *)0)->value + 1];
	int n = snprintf(line, sizeof line, "%s\n", value);

	return pwrite(file, line, (size_t)n, 0) == n && ftruncate(file, n) == 0 ? 0 : ENOSPC;
}

/* add takes over file, for a descriptor fd that may still come. NULL: too many. */
static struct param *add(int fd, int file, const char *name)
{
	struct param *p = NULL;

	pthread_mutex_lock(&nmd_lock);
	for (unsigned i = 0; i < MAX_OPEN && !p; i++)
		if (table[i].state == FREE)
			p = &table[i];
	if (p) {
		p->state = OPEN;
		p->fd = fd;
		strcpy(p->name, name);
		nmd_internal(file, &p->file);
		atomic_fetch_add(&nmd_params, 1);
	}
	pthread_mutex_unlock(&nmd_lock);
	if (!p)
		REAL(close)(file);
	return p;
}

static void drop(struct param *p)
{
	pthread_mutex_lock(&nmd_lock);
	nmd_internal_close(&p->file);
	p->state = FREE;
	atomic_fetch_sub(&nmd_params, 1);
	pthread_mutex_unlock(&nmd_lock);
}

static int reopen(int file, int flags)
{
	char link[LINK_SIZE];

	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	return REAL(open)(link, flags);
}

int nmd_param_open(const char *path, int flags)
{
	struct nmd_param q;
	int err = nmd_borrowed() ? ENOENT : query(path, &q), mode = flags & O_ACCMODE, fd = -1;

	if (!err && (flags & O_DIRECTORY))
		err = ENOTDIR;
	if (!err && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		err = EEXIST;
	if (!err && mode != O_RDONLY && !q.writable)
		err = EACCES;
	if (!err) {
		char name[NAME + sizeof prefix];
		snprintf(name, sizeof name, FILE_NAME "%s", q.name);
		int file = memfd_create(name, MFD_CLOEXEC);
		/* Moved up first: the program gets the lowest number there is. */
		struct param *p = file < 0 ? NULL : add(-1, file, q.name);
		err = p ? put_value(atomic_load(&p->file), q.value) : EMFILE;
		if (!err) {
			/* Appending keeps what is written apart from what was there, wherever it is written. */
			int append = mode == O_RDONLY ? 0 : O_APPEND;
			fd = reopen(atomic_load(&p->file), mode | append | (flags & O_CLOEXEC));
			err = fd < 0 ? errno : 0;
		}
		if (p && (fd < 0 || mode == O_RDONLY))
			drop(p);
		else if (p)
			p->fd = fd; /* nobody else knows it yet */
	}
	if (err)
		errno = err;
	return fd;
}

void nmd_param_recognise(int fd)
{
	char link[LINK_SIZE], target[LINK_SIZE + NAME];
	int err = errno;

	if (nmd_fd_kind(nmd_fd_get(fd)) == NMD_FD_INTERNAL)
		return;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, target, sizeof target - 1);
	if (n > (ssize_t)sizeof prefix - 1 && memcmp(target, prefix, sizeof prefix - 1) == 0 &&
	    (REAL(fcntl)(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) {
		target[n] = 0;
		char *name = target + sizeof prefix - 1;
		name[strcspn(name, " ")] = 0;
		int file = strlen(name) < NAME ? reopen(fd, O_RDWR | O_CLOEXEC) : -1;
		if (file >= 0)
			add(fd, file, name);
	}
	errno = err;
}

void nmd_param_duplicated(int to)
{
	nmd_param_closing((unsigned)to, (unsigned)to);
	nmd_param_recognise(to);
}

/*
 * send_written sends the last line that follows the first one, the value as it was, and
 * takes it out of the file: whoever else has the file open must not send it again.
 */
static int send_written(const struct param *p)
{
	char text[1024];
	struct nmd_param q = {0};
	int file = atomic_load(&p->file), err = 0;
	ssize_t n = file < 0 ? -1 : pread(file, text, sizeof text, 0);
	char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

	if (!end || end + 1 == text + n)
		return 0;
	*end = 0;
	char *line = end + 1, *stop = text + n;
	if (stop[-1] == '\n')
		stop--;
	char *before = memrchr(line, '\n', (size_t)(stop - line));
	if (before)
		line = before + 1;
	if (n == sizeof text || (size_t)(stop - line) >= sizeof q.value)
		err = EINVAL;
	text[sizeof q.value - 1] = 0;
	put_value(file, text);
	if (!err) {
		memcpy(q.value, line, (size_t)(stop - line));
		strcpy(q.name, p->name);
		err = ask(NMD_PARAM_SET, &q);
	}
	if (!err)
		put_value(file, q.value);
	return err;
}

int nmd_param_closing(unsigned first, unsigned last)
{
	int saved = errno, err = 0;

	for (unsigned i = 0; i < MAX_OPEN; i++) {
		struct param *p = &table[i];
		pthread_mutex_lock(&nmd_lock);
		bool mine = p->state == OPEN && p->fd >= 0 && (unsigned)p->fd >= first && (unsigned)p->fd <= last;
		if (mine)
			p->state = CLOSING;
		pthread_mutex_unlock(&nmd_lock);
		if (mine) {
			int e = send_written(p);
			err = err ? err : e;
			drop(p);
		}
	}
	errno = saved;
	return err;
}

/* In a child our own descriptors are closed; the program's it has as the parent does. */
void nmd_param_forked(void)
{
	struct param old[MAX_OPEN];

	if (!nmd_param_any())
		return;
	memcpy(old, table, sizeof old);
	memset(table, 0, sizeof table);
	atomic_store(&nmd_params, 0);
	for (unsigned i = 0; i < MAX_OPEN; i++)
		if (old[i].state == OPEN && old[i].fd >= 0)
			nmd_param_recognise(old[i].fd);
}

/* A program that leaves without closing: what its streams hold goes first. */
__attribute__((destructor)) static void leave(void)
{
	if (!nmd_param_any() || nmd_borrowed())
		return;
	fflush(NULL);
	nmd_param_closing(0, ~0u);
}

/* Shells leave so when they have run a part of a script for its output. */
static _Noreturn void leave_now(int status)
{
	if (nmd_param_any() && !nmd_borrowed())
		nmd_param_closing(0, ~0u);
	REAL(_exit)(status);
	__builtin_unreachable();
}

EXPORT void _exit(int status) { leave_now(status); }
EXPORT void _Exit(int status) { leave_now(status); }

EXPORT int access(const char *path, int mode)
{
	struct nmd_param q;

	if (!nmd_param_path(path))
		return REAL(access)(path, mode);
	int err = query(path, &q);
	if (!err && ((mode & X_OK) || ((mode & W_OK) && !q.writable)))
		err = EACCES;
	if (err)
		errno = err;
	return err ? -1 : 0;
}

/* --- streams: the C library opens and closes their files unseen --- */

#ifndef NMD_ARCHIVE /* whoever links the C library statically gets its streams with it */

static FILE *open_stream(const char *path, const char *mode)
{
	int flags = strchr(mode, '+') ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	if (*mode != 'r')
		flags |= O_CREAT | (strchr(mode, 'x') ? O_EXCL : 0);
	int fd = nmd_param_open(path, flags | (strchr(mode, 'e') ? O_CLOEXEC : 0));
	FILE *f = fd < 0 ? NULL : fdopen(fd, mode);
	if (!f && fd >= 0)
		close(fd);
	return f;
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	return nmd_param_path(path) ? open_stream(path, mode) : REAL(fopen)(path, mode);
}

EXPORT FILE *fopen64(const char *path, const char *mode)
{
	return nmd_param_path(path) ? open_stream(path, mode) : REAL(fopen64)(path, mode);
}

EXPORT int fclose(FILE *f)
{
	if (!nmd_param_any() || nmd_borrowed())
		return REAL(fclose)(f);
	int fd = fileno(f), err = 0;
	if (fd >= 0) {
		fflush(f); /* an error shows again when it is closed */
		err = nmd_param_closing((unsigned)fd, (unsigned)fd);
	}
	int r = REAL(fclose)(f);
	if (r == 0 && err) {
		errno = err;
		return EOF;
	}
	return r;
}

#endif
