#include <string.h>

#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_ethdev.h>

#include "shim.h"

int netmapd_info_get(uint16_t port, struct netmapd_info *info)
{
	struct rte_eth_dev_info di;
	int rc = rte_eth_dev_info_get(port, &di);
	const struct rte_bus *bus;

	if (rc < 0)
		return rc;
	memset(info, 0, sizeof(*info));
	info->driver = di.driver_name;
	info->if_index = di.if_index;
	info->max_rx_queues = di.max_rx_queues;
	info->max_tx_queues = di.max_tx_queues;
	info->min_mtu = di.min_mtu;
	info->max_mtu = di.max_mtu;
	info->max_rx_pktlen = di.max_rx_pktlen;
	info->rx_offload_capa = di.rx_offload_capa;
	info->tx_offload_capa = di.tx_offload_capa;
	info->rss = di.flow_type_rss_offloads;
	info->max_segs = di.tx_desc_lim.nb_mtu_seg_max;
	info->min_rx_desc = di.rx_desc_lim.nb_min;
	info->max_rx_desc = di.rx_desc_lim.nb_max;
	info->min_tx_desc = di.tx_desc_lim.nb_min;
	info->max_tx_desc = di.tx_desc_lim.nb_max;
	info->rx_desc = di.default_rxportconf.ring_size;
	info->tx_desc = di.default_txportconf.ring_size;
	info->lsc = di.dev_flags != NULL && (*di.dev_flags & RTE_ETH_DEV_INTR_LSC) != 0;
	info->rmv = di.dev_flags != NULL && (*di.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	info->numa = rte_eth_dev_socket_id(port);
	if (di.device != NULL) {
		info->device = rte_dev_name(di.device);
		bus = rte_dev_bus(di.device);
		info->bus = bus != NULL ? rte_bus_name(bus) : NULL;
	}
	return 0;
}

int netmapd_link_get(uint16_t port, int wait, struct netmapd_link *link)
{
	struct rte_eth_link l = {0};
	int rc = wait ? rte_eth_link_get(port, &l) : rte_eth_link_get_nowait(port, &l);

	link->speed = l.link_speed;
	link->up = l.link_status == RTE_ETH_LINK_UP;
	link->full_duplex = l.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
	link->autoneg = l.link_autoneg == RTE_ETH_LINK_AUTONEG;
	return rc;
}

int netmapd_configure(uint16_t port, const struct netmapd_conf *c)
{
	struct rte_eth_conf conf = {0};

	conf.rxmode.offloads = c->rx_offloads; // none strips VLAN tags
	conf.rxmode.mtu = c->mtu;
	conf.txmode.offloads = c->tx_offloads;
	conf.intr_conf.lsc = c->lsc;
	conf.intr_conf.rmv = c->rmv;
	if (c->nrxq > 1 && c->rss != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = c->rss;
	}
	return rte_eth_dev_configure(port, c->nrxq, c->ntxq, &conf);
}

int netmapd_txq_setup(uint16_t port, uint16_t queue, uint16_t descs, uint16_t rs_thresh)
{
	struct rte_eth_dev_info di;
	int rc = rte_eth_dev_info_get(port, &di);

	if (rc < 0)
		return rc;
	if (rs_thresh != 0) {
		di.default_txconf.tx_rs_thresh = rs_thresh;
		di.default_txconf.tx_free_thresh = RTE_MIN(descs / 4, 32);
		di.default_txconf.tx_thresh.wthresh = 0;
	}
	// Chains are one of the port's offloads; fast free would ignore that we hold mbufs.
	di.default_txconf.offloads = 0;
	return rte_eth_tx_queue_setup(port, queue, descs, SOCKET_ID_ANY, &di.default_txconf);
}

void netmapd_ports(uint64_t *words)
{
	uint16_t port;

	memset(words, 0, (RTE_MAX_ETHPORTS + 63) / 64 * sizeof(*words));
	RTE_ETH_FOREACH_DEV(port)
		words[port / 64] |= UINT64_C(1) << (port % 64);
}

int netmapd_detach(uint16_t port)
{
	struct rte_eth_dev_info di;
	int rc = rte_eth_dev_info_get(port, &di);

	if (rc < 0)
		return rc;
	rc = rte_eth_dev_close(port);
	if (di.device != NULL && rte_dev_is_probed(di.device)) {
		int rm = rte_dev_remove(di.device);

		if (rc == 0)
			rc = rm;
	}
	return rc;
}

uint32_t netmapd_drain(uint16_t port, uint16_t queue, uint32_t limit)
{
	struct rte_mbuf *m[64];
	uint32_t total = 0;
	uint16_t n;

	while (total < limit && (n = rte_eth_rx_burst(port, queue, m, 64)) > 0) {
		rte_pktmbuf_free_bulk(m, n);
		total += n;
	}
	return total;
}
