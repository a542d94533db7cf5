/*
 * fuzz.h: what the fuzz targets share. The library is linked whole but for the
 * wrapped functions (preload.c, waits.c) and usermem.c: world.c plays the daemon
 * at the other end of real sockets, and the program whose memory requests name.
 */
#ifndef NMD_FUZZ_H
#define NMD_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../src/attach.h"

/* The program's memory lies at a fixed address, so that inputs can hold pointers into it. */
#define ARENA_AT 0x10000000ull
enum { ARENA_SIZE = 16384 };
extern char *arena;

enum { REGION_SIZE = 1 << 20 };

/* What the daemon does with the next requests. */
struct lie {
	uint16_t to;	   /* the type of request it lies to; it tells the truth to others */
	bool whole;	   /* msg is all of the message; else a right header is put before it */
	bool unsealed;	   /* the memory it sends can be taken away again */
	int nfds;	   /* how many descriptors come with it */
	int64_t ring_ofs[4];
	const char *msg;
	size_t len;
};

/* world_set begins an input, world_end ends it: the daemon goes. */
void world_set(const struct lie *lie);
void world_end(void);

/* world_connection is a new connection to the daemon, as open("/dev/netmap") has one. */
int world_connection(void);

/* world_kill ends all connections that were made. */
void world_kill(void);

/* must stops with a report, which is what the fuzzer looks for. */
#define must(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			__builtin_trap(); \
		} \
	} while (0)

#endif
