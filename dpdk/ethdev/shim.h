// Shims for the control path: macros, unions and sequences that are easier in C.
#ifndef NETMAPD_ETHDEV_SHIM_H
#define NETMAPD_ETHDEV_SHIM_H

#include <stdint.h>

#include <rte_ethdev.h>

// The parts of rte_eth_dev_info that we use, plus the generic device.
struct netmapd_info {
	const char *driver, *bus, *device;
	uint32_t if_index;
	int numa;
	uint16_t max_rx_queues, max_tx_queues;
	uint16_t min_mtu, max_mtu;
	uint32_t max_rx_pktlen;
	uint64_t rx_offload_capa, tx_offload_capa, rss;
	uint64_t max_segs;
	uint16_t min_rx_desc, max_rx_desc, min_tx_desc, max_tx_desc;
	uint16_t rx_desc, tx_desc; // recommended, 0: nothing is
	uint8_t lsc, rmv; // tells of its link, of its removal, by interrupt
};

// How a device is configured.
struct netmapd_conf {
	uint16_t nrxq, ntxq;
	uint32_t mtu; // 0: as it is
	uint64_t rx_offloads, tx_offloads, rss;
	uint8_t lsc, rmv;
};

struct netmapd_link {
	uint32_t speed;
	uint8_t up, full_duplex, autoneg;
};

int netmapd_info_get(uint16_t port, struct netmapd_info *info);
int netmapd_link_get(uint16_t port, int wait, struct netmapd_link *link);
int netmapd_configure(uint16_t port, const struct netmapd_conf *c);

// tx_rs_thresh is the number of descriptors between two that the device reports as done; 0 is the driver's choice.
int netmapd_txq_setup(uint16_t port, uint16_t queue, uint16_t descs, uint16_t rs_thresh);

// Ports as a bit per id: word i has ids 64i to 64i+63. There are (RTE_MAX_ETHPORTS + 63) / 64 words.
void netmapd_ports(uint64_t *words);

// Removes the device of a port, closed or not. The device is found before the port is closed.
int netmapd_detach(uint16_t port);

// Throws away what waits in a receive queue; returns the number of frames.
uint32_t netmapd_drain(uint16_t port, uint16_t queue, uint32_t limit);

#endif
