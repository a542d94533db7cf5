// Events of devices, as flags that the control path looks at and one descriptor that becomes readable. DPDK calls back on
// a thread of its own, which must not enter Go.
#ifndef NETMAPD_ETHDEV_EVENTS_H
#define NETMAPD_ETHDEV_EVENTS_H

#include <stdint.h>

// Bits of what happened to a port.
enum { NETMAPD_EVENT_LINK = 1, NETMAPD_EVENT_REMOVED = 2, NETMAPD_EVENT_RESET = 4 };

// Starts listening; returns a descriptor that becomes readable at every event, or a negative errno. It can be called once.
int netmapd_events_start(int hotplug);

// Takes the bits of a port and clears them.
uint32_t netmapd_events_take(uint16_t port);

#endif
