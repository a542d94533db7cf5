/* rings: a thread for each ring of a port, each with a descriptor of its own, as multi-queue programs have. */
#include "port.h"

#include <pthread.h>

enum { RINGS = 2, FRAMES = 20000, ROOM = 500 };

static struct port open_ring(const char *name, unsigned ring)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ONE_NIC, .nr_ringid = (uint16_t)ring, .nr_tx_rings = RINGS, .nr_rx_rings = RINGS};
	int fd = open("/dev/netmap", O_RDWR);

	CHECK(request(fd, NETMAP_REQ_REGISTER, name, &reg) == 0 && reg.nr_tx_rings == RINGS);
	struct port p = map_port(fd, reg);
	unsigned rx0 = p.nifp->ni_tx_rings + p.nifp->ni_host_tx_rings;
	CHECK(p.nifp->ring_ofs[1 - ring] == 0, "the other ring is not ours");
	p.tx = (struct netmap_ring *)((char *)p.nifp + p.nifp->ring_ofs[ring]);
	p.rx = (struct netmap_ring *)((char *)p.nifp + p.nifp->ring_ofs[rx0 + ring]);
	CHECK(p.tx->ringid == ring && p.rx->ringid == ring);
	return p;
}

static _Atomic int sent, received, ready;
static _Atomic bool done;

static void *sender(void *arg)
{
	struct port p = open_ring("vale0:mt", (unsigned)(uintptr_t)arg);

	ready++;
	while (ready < 2 * RINGS)
		usleep(1000);
	for (uint32_t seq = 0; seq < FRAMES;) {
		while (sent - received > ROOM) /* so that none is dropped */
			usleep(100);
		CHECK(poll_one(p.fd, POLLOUT, 10000) == POLLOUT);
		sent += (int)put(p.tx, FRAMES - seq < 100 ? FRAMES - seq : 100, &seq);
		CHECK(ioctl(p.fd, NIOCTXSYNC, NULL) == 0);
	}
	while (space(p.tx) != p.tx->num_slots - 1)
		CHECK(ioctl(p.fd, NIOCTXSYNC, NULL) == 0);
	close_port(&p);
	return NULL;
}

static void *receiver(void *arg)
{
	struct port p = open_ring("vale0:mr", (unsigned)(uintptr_t)arg);

	ready++;
	while (!done) {
		if (poll_one(p.fd, POLLIN, 20) == 0)
			continue;
		received += (int)space(p.rx);
		p.rx->head = p.rx->cur = p.rx->tail;
	}
	close_port(&p);
	return NULL;
}

int main(void)
{
	pthread_t tx[RINGS], rx[RINGS];

	for (uintptr_t i = 0; i < RINGS; i++) {
		CHECK(pthread_create(&rx[i], NULL, receiver, (void *)i) == 0);
		CHECK(pthread_create(&tx[i], NULL, sender, (void *)i) == 0);
	}
	for (int i = 0; i < RINGS; i++)
		pthread_join(tx[i], NULL);
	for (int64_t end = now_ms() + 30000; received < RINGS * FRAMES && now_ms() < end;)
		usleep(1000);
	done = true;
	for (int i = 0; i < RINGS; i++)
		pthread_join(rx[i], NULL);
	CHECK(received == RINGS * FRAMES, "%d of %d frames", received, RINGS * FRAMES);
	return 0;
}
