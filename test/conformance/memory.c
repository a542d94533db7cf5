//go:build ignore

/*
 * memory.c: the driver's commands about memory of the program's own.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"

/* address MAP: where a mapping lies. */
void do_address(void) { printf("0 %lu\n", (unsigned long)mapped(number(), 0)); }

/* alloc SIZE: memory of the program's own. */
void do_alloc(void)
{
	size_t len = (size_t)number();
	answer_map(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), len);
}

void do_eventfd(void) { printf("0 %d\n", eventfd(0, 0)); }

void do_signal(void) { printf("%d\n", eventfd_write((int)number(), 1) < 0 ? errno : 0); }

/* signalled FD LIMIT: how often, waiting at most so many milliseconds for the first time. */
void do_signalled(void)
{
	struct pollfd p = {(int)number(), POLLIN, 0};
	eventfd_t n = 0;
	if (poll(&p, 1, (int)number()) == 1)
		eventfd_read(p.fd, &n);
	printf("0 %lu\n", (unsigned long)n);
}

/* begin REQUEST: makes it in a thread. finish N LIMIT: its answer, or ETIME after so many milliseconds. */
static struct {
	pthread_t thread;
	struct built *b;
} jobs[64];
static int njobs;

static void *job(void *b)
{
	carry_out(b);
	return NULL;
}

void do_begin(void)
{
	int n = njobs++;
	jobs[n].b = build();
	pthread_create(&jobs[n].thread, NULL, job, jobs[n].b);
	printf("0 %d\n", n);
}

void do_finish(void)
{
	long n = number(), limit = number();
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit / 1000;
	until.tv_nsec += limit % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	if (pthread_timedjoin_np(jobs[n].thread, NULL, &until) != 0)
		printf("%d\n", ETIME);
	else
		show(jobs[n].b);
}
