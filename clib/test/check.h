/* check.h: a check that fails ends the program with status 1. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(cond, ...)                                                          \
	do {                                                                      \
		if (!(cond)) {                                                    \
			int err_ = errno;                                         \
			fprintf(stderr, "%s:%d: %s:", __FILE__, __LINE__, #cond); \
			fprintf(stderr, " " __VA_ARGS__);                         \
			fprintf(stderr, " (errno %d, %s)\n", err_, strerror(err_)); \
			exit(1);                                                  \
		}                                                                 \
	} while (0)

#endif
