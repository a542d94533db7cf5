#include "process.h"

#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "bind.h"
#include "epoll.h"
#include "libc.h"
#include "param.h"

static pid_t owner;

bool nmd_borrowed(void) { return getpid() != owner; }

static void before_fork(void) { pthread_mutex_lock(&nmd_lock); }
static void after_fork(void)
{
	nmd_desc_lent();
	pthread_mutex_unlock(&nmd_lock);
}

/*
 * A child is a process of its own to the daemon: it opens its own session and
 * joins the descriptors it inherited, when it first uses one. What it must not
 * keep is the parent's session, whose end tells the daemon that the parent is gone.
 */
static void in_child(void)
{
	pthread_mutex_init(&nmd_lock, NULL);
	owner = getpid();
	nmd_epoll_forked();
	nmd_internal_forget();
	nmd_session_forked();
	nmd_desc_forked();
	nmd_param_forked();
}

/* inherited finds netmap descriptors and module parameters that came through exec: one look at each descriptor. */
static void inherited(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (e->d_type != DT_LNK && e->d_type != DT_UNKNOWN)
			continue;
		int fd = atoi(e->d_name);
		nmd_param_recognise(fd);
		struct nmd_desc *d = fd > STDERR_FILENO && fd != dirfd(dir) ? nmd_desc_recognise(fd) : NULL;
		if (d)
			nmd_desc_put(d);
	}
	closedir(dir);
}

__attribute__((constructor(101))) static void load(void)
{
	nmd_libc_init();
	owner = getpid();
	pthread_atfork(before_fork, after_fork, in_child);
	inherited();
}
