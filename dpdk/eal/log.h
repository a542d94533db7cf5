// The log stream of EAL: see log.c.
#ifndef NETMAPD_EAL_LOG_H
#define NETMAPD_EAL_LOG_H

#include <stdint.h>

// netmapd_log_open makes DPDK log into the pipe fd, which must not block. Returns 0 or -errno.
int netmapd_log_open(int fd);
// netmapd_log_close gives logging back to stderr. The pipe stays the caller's.
void netmapd_log_close(void);
// netmapd_log_dropped counts the messages that did not fit in the pipe.
uint64_t netmapd_log_dropped(void);

// netmapd_failure_clear forgets, and netmapd_failure returns, what this thread logged as errors.
void netmapd_failure_clear(void);
const char *netmapd_failure(void);

#endif
