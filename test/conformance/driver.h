/*
 * driver.h: what the parts of the driver share (driver.c).
 */
#ifndef CONFORMANCE_DRIVER_H
#define CONFORMANCE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include <net/netmap.h>

/* The next word of the command, and as a number. */
char *word(void);
long number(void);

/* unhex turns text into at most max bytes and returns how many. */
size_t unhex(const char *text, unsigned char *to, size_t max);

/* mapped is an address in a mapping, by the number that mmap answered. */
void *mapped(long map, long offset);

/* Commands of traffic.c. */
void do_threads(void);
void do_feed(void);
void do_drain(void);
void do_relay(void);
void do_mix(void);
void do_echo(void);
void do_cycles(void);

/* Commands of memory.c. */
void do_address(void);
void do_alloc(void);
void do_eventfd(void);
void do_signal(void);
void do_signalled(void);
void do_begin(void);
void do_finish(void);

/* A request: built from the words of the command, carried out, and its answer shown, which frees it. */
struct built;
struct built *build(void);
void carry_out(struct built *b);
void show(struct built *b);

/* answer_map enters a mapping into the table and answers with its number. */
void answer_map(void *p, size_t len);

/* Commands of oldlib.c. */
void do_nmopen(void);
void do_nminject(void);
void do_nmdispatch(void);

/* Commands of library.c, where the driver is linked with libnetmap. */
void do_decode(void);
void do_refuse(void);
void do_old(void);
void do_option(void);
void do_lib(void);
void do_clones(void);

#endif
