/*
 * bare processes|threads NANOSECONDS SENDER READER RELAY: woken and waker without netmapd. One leaves the time in a word of memory now
 * and then, one on the lcore's CPU sees it and writes an eventfd, and one that sleeps in read says how old it is: three processes, as a
 * client, the daemon and another client are, or three threads of one, which a CPU changes between faster. The last three numbers
 * are their CPUs. It says "ready", and ends with its standard input, as woken does.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "probe.h"

static volatile uint64_t *word; /* all three have it */
static bool processes;
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
	for (;; *word = __rdtsc())
		nanosleep(&pause, NULL);
	return arg;
}

static void *relay(void *arg)
{
	const uint64_t one = 1;
	uint64_t seen = 0;

	pin(cpus[2]);
	for (;;) {
		uint64_t now = *word;
		if (now != seen && write(fd, &one, sizeof one) < 0)
			fail("write");
		seen = now;
	}
	return arg;
}

/* start has f run beside us, until we end. */
static void start(void *(*f)(void *))
{
	pthread_t thread;

	if (!processes) {
		if (pthread_create(&thread, NULL, f, NULL))
			fail("pthread_create");
		return;
	}
	pid_t pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid > 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail("prctl");
	f(NULL);
}

int main(int argc, char **argv)
{
	uint64_t count;

	if (argc != 6)
		return 2;
	processes = strcmp(argv[1], "processes") == 0;
	gap = atol(argv[2]);
	for (int i = 0; i < 3; i++)
		cpus[i] = atoi(argv[3 + i]);
	fd = eventfd(0, 0);
	word = mmap(NULL, sizeof *word, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || word == MAP_FAILED)
		fail("start");
	start(sender);
	start(relay);
	pin(cpus[1]);
	puts("ready");
	fflush(stdout);
	while (!ended()) {
		if (read(fd, &count, sizeof count) < 0)
			fail("read");
		note(__rdtsc() - *word);
	}
	return report();
}
