// DPDK logs from any thread, also from those that must never wait. So a message goes into a pipe that does not block,
// as a record of 4 bytes (level, 0, length of the text in host order) and the text; when the pipe is full it is counted and
// dropped. Errors are also kept per thread, to become part of the Go error of the call that is failing.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <rte_log.h>

#include "log.h"

enum { record_text = 1020 }; // with its head it stays below PIPE_BUF, so records are atomic

static int log_fd = -1;
static FILE *log_file;
static uint64_t log_dropped;
static __thread char failure[512];

static void keep_failure(const char *text, size_t len)
{
	size_t have = strlen(failure);

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	if (len == 0)
		return;
	if (have > 0 && have + 2 < sizeof(failure)) {
		memcpy(failure + have, "; ", 3);
		have += 2;
	}
	if (len > sizeof(failure) - 1 - have)
		len = sizeof(failure) - 1 - have;
	memcpy(failure + have, text, len);
	failure[have + len] = '\0';
}

static void put_record(int level, const char *text, size_t len)
{
	struct {
		uint8_t level, zero;
		uint16_t len;
		char text[record_text];
	} r = {.level = (uint8_t)level, .len = (uint16_t)len};

	memcpy(r.text, text, len);
	if (write(log_fd, &r, 4 + len) < 0)
		__atomic_fetch_add(&log_dropped, 1, __ATOMIC_RELAXED);
}

// rte_vlog flushes the stream after each message, so the level asked for here is that of the text.
static ssize_t log_write(void *cookie, const char *buf, size_t size)
{
	int level = rte_log_cur_msg_loglevel();
	int saved = errno;

	(void)cookie;
	if (level > 0 && level <= (int)RTE_LOG_ERR)
		keep_failure(buf, size);
	for (size_t off = 0; off < size; off += record_text) {
		size_t n = size - off < record_text ? size - off : record_text;

		put_record(level, buf + off, n);
	}
	errno = saved;
	return (ssize_t)size;
}

int netmapd_log_open(int fd)
{
	cookie_io_functions_t io = {.write = log_write};

	log_fd = fd;
	if (log_file == NULL)
		log_file = fopencookie(NULL, "w", io);
	if (log_file == NULL)
		return -errno;
	return rte_openlog_stream(log_file);
}

void netmapd_log_close(void)
{
	// The FILE stays: a DPDK thread may be about to use it. Its writes fail silently from here on.
	rte_openlog_stream(NULL);
	log_fd = -1;
}

uint64_t netmapd_log_dropped(void)
{
	return __atomic_load_n(&log_dropped, __ATOMIC_RELAXED);
}

void netmapd_failure_clear(void)
{
	failure[0] = '\0';
}

const char *netmapd_failure(void)
{
	return failure;
}
