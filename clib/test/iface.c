/* iface: what programs ask the kernel about an interface, for a port it does not know. */
#include "port.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <sys/socket.h>

static int sock;

static struct ifreq ask(unsigned long what, const char *name, int want)
{
	struct ifreq r = {0};

	strcpy(r.ifr_name, name);
	errno = 0;
	CHECK(ioctl(sock, what, &r) == (want ? -1 : 0) && errno == want, "ioctl %#lx on %s", what, name);
	return r;
}

int main(void)
{
	char name[] = "vale0:if";

	sock = socket(AF_INET, SOCK_DGRAM, 0);
	ask(SIOCGIFMTU, name, ENODEV); /* netmap is not in use yet */
	struct port p = open_port(name, 0);
	CHECK(p.tx != NULL);
	CHECK(ask(SIOCGIFMTU, name, 0).ifr_mtu >= 1500);
	CHECK(ask(SIOCGIFFLAGS, name, 0).ifr_flags & IFF_UP);
	ask(SIOCSIFFLAGS, name, 0);
	CHECK(ask(SIOCGIFHWADDR, name, 0).ifr_hwaddr.sa_family == ARPHRD_ETHER);
	CHECK(ask(SIOCGIFINDEX, name, 0).ifr_ifindex > 0);
	CHECK(ask(SIOCGIFMTU, "lo", 0).ifr_mtu > 0);
	ask(SIOCGIFMTU, "vale0:nobody", ENODEV);
	ask(SIOCGIFADDR, name, ENODEV); /* not on the list */

	struct ethtool_value v = {.cmd = ETHTOOL_GLINK};
	struct ethtool_ringparam rp = {.cmd = ETHTOOL_GRINGPARAM};
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ethtool_value tso = {.cmd = ETHTOOL_STSO, .data = 0}, odd = {.cmd = ETHTOOL_GWOL};
	struct {
		void *data;
		int want;
	} calls[] = {{&v, 0}, {&rp, 0}, {&ch, 0}, {&tso, 0}, {&odd, EOPNOTSUPP}, {(void *)16, EFAULT}};
	for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
		struct ifreq r = {.ifr_data = calls[i].data};
		strcpy(r.ifr_name, name);
		errno = 0;
		CHECK(ioctl(sock, SIOCETHTOOL, &r) == (calls[i].want ? -1 : 0), "call %u", i);
		CHECK(errno == calls[i].want || calls[i].want == EFAULT, "call %u", i);
	}
	CHECK(v.data == 1 && rp.rx_pending == p.rx->num_slots && ch.combined_count == 1);
	return 0;
}
