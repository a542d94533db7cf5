/*
 * bare NANOSECONDS SENDER READER RELAY: woken and waker without netmapd. A thread leaves the time in a word of memory now and then,
 * one on the lcore's CPU sees it and writes an eventfd, and one that sleeps in read says how old it is. The last three numbers are
 * their CPUs. It says "ready", and ends with its standard input, as woken does.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>

#include "probe.h"

static _Alignas(256) volatile uint64_t word;
static long gap;
static int fd, cpus[3];

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set) < 0)
		fail("sched_setaffinity");
}

static void *sender(void *arg)
{
	const struct timespec pause = {.tv_nsec = gap};

	pin(cpus[0]);
	for (;; word = __rdtsc())
		nanosleep(&pause, NULL);
	return arg;
}

static void *relay(void *arg)
{
	const uint64_t one = 1;
	uint64_t seen = 0;

	pin(cpus[2]);
	for (;;) {
		uint64_t now = word;
		if (now != seen && write(fd, &one, sizeof one) < 0)
			fail("write");
		seen = now;
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	uint64_t count;

	if (argc != 5)
		return 2;
	gap = atol(argv[1]);
	for (int i = 0; i < 3; i++)
		cpus[i] = atoi(argv[2 + i]);
	fd = eventfd(0, 0);
	if (fd < 0 || pthread_create(&threads[0], NULL, sender, NULL) || pthread_create(&threads[1], NULL, relay, NULL))
		fail("start");
	pin(cpus[1]);
	puts("ready");
	fflush(stdout);
	while (!ended()) {
		if (read(fd, &count, sizeof count) < 0)
			fail("read");
		note(__rdtsc() - word);
	}
	return report();
}
