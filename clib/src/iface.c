#include "iface.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "attach.h"
#include "usermem.h"

/* Where to ask; empty in programs that never opened netmap. Written before the first use. */
static char daemon_path[NMD_PATH_MAX];
static atomic_bool on;

void nmd_iface_on(const char *path)
{
	pthread_mutex_lock(&nmd_lock);
	if (!atomic_load(&on)) {
		strcpy(daemon_path, path);
		atomic_store(&on, true);
	}
	pthread_mutex_unlock(&nmd_lock);
}

bool nmd_is_iface_ioctl(unsigned long req)
{
	if (!atomic_load_explicit(&on, memory_order_acquire))
		return false;
	switch (req) {
	case SIOCGIFFLAGS:
	case SIOCSIFFLAGS:
	case SIOCGIFHWADDR:
	case SIOCGIFMTU:
	case SIOCGIFINDEX:
	case SIOCETHTOOL:
		return true;
	}
	return false;
}

/* ask has the daemon describe the port of a name: 0, ENODEV, or another errno. */
static int ask(const char *name, struct nmd_iface *info)
{
	struct nmd_session *s;
	struct nmd_answer a;
	int err = nmd_session_get(daemon_path, &s);

	if (err)
		return ENODEV;
	memset(info, 0, sizeof *info);
	info->token = s->token;
	memcpy(info->name, name, strnlen(name, IFNAMSIZ));
	const struct iovec part = {info, sizeof *info};
	err = nmd_request(atomic_load(&s->conn), NMD_TYPE_IFACE, &part, 1, 0, &a);
	if (!err && a.len != sizeof *info)
		err = ENODEV;
	if (!err) {
		memcpy(info, a.body, sizeof *info);
		nmd_answer_done(&a);
	}
	nmd_session_put(s);
	return err;
}

/* answer sends the program what it asked ethtool for. */
static int answer(uint64_t data, const void *v, size_t n) { return nmd_copy_out(data, v, n); }

static int ethtool(const struct nmd_iface *info, uint64_t data)
{
	uint32_t cmd;
	int err = nmd_copy_in(&cmd, data, sizeof cmd);

	if (err)
		return err;
	struct ethtool_value v = {.cmd = cmd, .data = info->up};
	struct ethtool_ringparam r = {
		.cmd = cmd,
		.rx_max_pending = info->rx_slots,
		.tx_max_pending = info->tx_slots,
		.rx_pending = info->rx_slots,
		.tx_pending = info->tx_slots,
	};
	uint32_t rings = info->tx_rings > info->rx_rings ? info->tx_rings : info->rx_rings;
	struct ethtool_channels c = {.cmd = cmd, .max_combined = rings, .combined_count = rings};
	switch (cmd) {
	case ETHTOOL_GLINK:
		return answer(data, &v, sizeof v);
	case ETHTOOL_GRINGPARAM:
		return answer(data, &r, sizeof r);
	case ETHTOOL_GCHANNELS:
		return answer(data, &c, sizeof c);
	case ETHTOOL_GRXCSUM: /* features: a port has none, and taking one away succeeds */
	case ETHTOOL_GTXCSUM:
	case ETHTOOL_GSG:
	case ETHTOOL_GTSO:
	case ETHTOOL_GUFO:
	case ETHTOOL_GGSO:
	case ETHTOOL_GGRO:
	case ETHTOOL_GFLAGS:
		v.data = 0;
		return answer(data, &v, sizeof v);
	case ETHTOOL_SRXCSUM:
	case ETHTOOL_STXCSUM:
	case ETHTOOL_SSG:
	case ETHTOOL_STSO:
	case ETHTOOL_SUFO:
	case ETHTOOL_SGSO:
	case ETHTOOL_SGRO:
	case ETHTOOL_SFLAGS:
		err = nmd_copy_in(&v, data, sizeof v);
		return err ? err : v.data ? EOPNOTSUPP : 0;
	}
	return EOPNOTSUPP;
}

int nmd_iface(unsigned long req, void *arg)
{
	struct ifreq q;
	struct nmd_iface info;
	int err = nmd_copy_in(&q, (uint64_t)(uintptr_t)arg, sizeof q);

	if (!err)
		err = ask(q.ifr_name, &info);
	if (err)
		return err;
	switch (req) {
	case SIOCGIFFLAGS:
		q.ifr_flags = IFF_UP | IFF_BROADCAST | IFF_MULTICAST | IFF_PROMISC;
		if (info.up)
			q.ifr_flags |= IFF_RUNNING;
		break;
	case SIOCSIFFLAGS:
		return 0; /* up and promiscuous it always is */
	case SIOCGIFHWADDR:
		memset(&q.ifr_hwaddr, 0, sizeof q.ifr_hwaddr);
		q.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		memcpy(q.ifr_hwaddr.sa_data, info.mac, sizeof info.mac);
		break;
	case SIOCGIFMTU:
		/* A VALE port has no MTU of its own, but frames of the usual size. */
		q.ifr_mtu = info.mtu ? (int)info.mtu : ETH_DATA_LEN;
		break;
	case SIOCGIFINDEX:
		q.ifr_ifindex = (int)info.index;
		break;
	case SIOCETHTOOL:
		return ethtool(&info, (uint64_t)(uintptr_t)q.ifr_data);
	}
	return nmd_copy_out((uint64_t)(uintptr_t)arg, &q, sizeof q);
}
