//go:build ignore

/*
 * memory.c: the driver's commands about memory of the program's own.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>

#include "driver.h"

/* address MAP: where a mapping lies. */
void do_address(void) { printf("0 %lu\n", (unsigned long)mapped(number(), 0)); }
