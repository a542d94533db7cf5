#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_ethdev.h>

#include "events.h"

static _Atomic uint32_t events[RTE_MAX_ETHPORTS];
static int wake = -1;

static void note(uint16_t port, uint32_t bits)
{
	const uint64_t one = 1;

	if (port >= RTE_MAX_ETHPORTS)
		return;
	atomic_fetch_or(&events[port], bits);
	(void)!write(wake, &one, sizeof(one)); // not blocking; when it is full somebody will look anyway
}

static int on_eth_event(uint16_t port, enum rte_eth_event_type type, void *arg, void *ret)
{
	(void)arg;
	(void)ret;
	switch (type) {
	case RTE_ETH_EVENT_INTR_LSC:
		note(port, NETMAPD_EVENT_LINK);
		break;
	case RTE_ETH_EVENT_INTR_RMV:
		note(port, NETMAPD_EVENT_REMOVED);
		break;
	case RTE_ETH_EVENT_INTR_RESET:
		note(port, NETMAPD_EVENT_RESET);
		break;
	default:
		break;
	}
	return 0;
}

// The kernel wants a device back (VFIO asks the process), or says that it is gone (uevent).
static void on_dev_event(const char *name, enum rte_dev_event_type type, void *arg)
{
	uint16_t port;

	(void)arg;
	if (type == RTE_DEV_EVENT_REMOVE && rte_eth_dev_get_port_by_name(name, &port) == 0)
		note(port, NETMAPD_EVENT_REMOVED);
	else if (type == RTE_DEV_EVENT_ADD)
		note(0, 0); // somebody may be waiting for it
}

int netmapd_events_start(int hotplug)
{
	static const enum rte_eth_event_type types[] = {
		RTE_ETH_EVENT_INTR_LSC, RTE_ETH_EVENT_INTR_RMV, RTE_ETH_EVENT_INTR_RESET,
	};
	int rc;

	wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wake < 0)
		return -errno;
	for (unsigned int i = 0; i < RTE_DIM(types); i++) {
		rc = rte_eth_dev_callback_register(RTE_ETH_ALL, types[i], on_eth_event, NULL);
		if (rc < 0)
			return rc;
	}
	if (!hotplug)
		return wake;
	rc = rte_dev_event_callback_register(NULL, on_dev_event, NULL);
	if (rc < 0)
		return rc;
	rc = rte_dev_event_monitor_start();
	return rc < 0 ? rc : wake;
}

uint32_t netmapd_events_take(uint16_t port)
{
	return port < RTE_MAX_ETHPORTS ? atomic_exchange(&events[port], 0) : 0;
}
