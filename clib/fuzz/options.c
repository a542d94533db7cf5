/*
 * options: the walk over a program's option list, and the daemon's answer to it. An input is
 *
 *	bytes 0-7   address of the first option
 *	bytes 8, 9  size of the request's body; 10, 11 how many of the bytes at the end change the answer
 *	the rest    the program's memory from ARENA_AT on; then the changes: (place, value) pairs
 */
#include "fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../src/abi.h"
#include "../src/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each option lies in wire, behind the one before. */
static void check(const struct nmd_options *o)
{
	size_t at = 0;

	must(o->n >= 0 && o->n <= NMD_OPTS_MAX && o->wire_len <= sizeof o->wire && o->wire_len % 8 == 0);
	for (int i = 0; i < o->n; i++) {
		at += sizeof(struct nmd_option);
		must(o->opt[i].body == at);
		at += (o->opt[i].size + 7) & ~7u;
	}
	must(at == o->wire_len);
}

/* answered gives the library a daemon's answer, in memory of just its size. */
static void answered(struct nmd_options *o, const uint8_t *changes, size_t n)
{
	size_t len = n % 2 && o->wire_len ? o->wire_len - 1 : o->wire_len;
	char *wire = malloc(len ? len : 1);

	memcpy(wire, o->wire, len);
	for (size_t i = 0; i + 3 <= n && len; i += 3)
		wire[(changes[i] | (size_t)changes[i + 1] << 8) % len] ^= (char)changes[i + 2];
	int err = nmd_options_answer(o, wire, len);
	must(err == 0 || err == EIO);
	free(wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { FIXED = 12 };
	static struct nmd_options o;
	struct lie none = {0};
	uint64_t first;
	uint16_t body, changes;

	if (size < FIXED)
		return -1;
	memcpy(&first, data, sizeof first);
	memcpy(&body, data + 8, sizeof body);
	memcpy(&changes, data + 10, sizeof changes);
	size_t n = size - FIXED;
	changes = changes > n ? 0 : changes;
	n -= changes;
	if (n > ARENA_SIZE)
		return -1;
	world_set(&none);
	memset(arena, 0, ARENA_SIZE);
	memcpy(arena, data + FIXED, n);
	memset(&o, 0xa5, sizeof o);
	nmd_options_init(&o);
	int err = nmd_options_walk(&o, first, body % 65); /* the largest body has 64 bytes */
	must(err == 0 || err == EFAULT || err == EINVAL || err == EMSGSIZE);
	if (err == 0) {
		check(&o);
		answered(&o, data + FIXED + n, changes);
	}
	err = nmd_options_write_back(&o, err == 0);
	must(err == 0 || err == EFAULT);
	world_end();
	return 0;
}
