/* threadsafe.c: the default context's mutex. A part by itself, so that the static library has no need of threads
 * for programs that define LIBNETMAP_NOTHREADSAFE. */
#include <pthread.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

EXPORT int nmctx_threadsafe;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void lock(struct nmctx *ctx, int on)
{
	(void)ctx;
	if (on)
		pthread_mutex_lock(&mutex);
	else
		pthread_mutex_unlock(&mutex);
}

EXPORT void nmctx_set_threadsafe(void) { nmctx_get()->lock = lock; }

__attribute__((constructor)) static void load(void) { nmctx_set_threadsafe(); }
