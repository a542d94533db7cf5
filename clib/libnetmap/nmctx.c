/* nmctx.c: contexts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LIBNETMAP_NOTHREADSAFE
#include "lib.h"

static void print_error(struct nmctx *ctx, const char *msg)
{
	(void)ctx;
	fprintf(stderr, "%s\n", msg);
}

static void *plain_malloc(struct nmctx *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void plain_free(struct nmctx *ctx, void *p)
{
	(void)ctx;
	free(p);
}

static struct nmctx plain = {.verbose = 1, .error = print_error, .malloc = plain_malloc, .free = plain_free};
static struct nmctx *current = &plain;

EXPORT struct nmctx *nmctx_get(void) { return current; }

EXPORT struct nmctx *nmctx_set_default(struct nmctx *ctx)
{
	struct nmctx *old = current;

	current = ctx;
	return old;
}

EXPORT void nmctx_ferror(struct nmctx *ctx, const char *format, ...)
{
	enum { MESSAGE_MAX = 1024 };
	char msg[MESSAGE_MAX];
	va_list ap;

	if (!ctx->verbose)
		return;
	va_start(ap, format);
	vsnprintf(msg, sizeof msg, format, ap);
	va_end(ap);
	ctx->error(ctx, msg);
}

EXPORT void *nmctx_malloc(struct nmctx *ctx, size_t size) { return ctx->malloc(ctx, size); }

EXPORT void nmctx_free(struct nmctx *ctx, void *p) { ctx->free(ctx, p); }

EXPORT void nmctx_lock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 1);
}

EXPORT void nmctx_unlock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 0);
}
