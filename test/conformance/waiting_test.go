package conformance

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Sections that wait as a whole, or nearly so.

var monChecks = []check{
	waits("MON-01", "monitor of a port that is not open: EINVAL", monitors),
	waits("MON-02", "copy monitor of RX sees a frame that the program has not read, and the program gets it", monitors),
	waits("MON-03", "copy monitor of TX sees a frame, with TXMON, and the destination gets it", monitors),
	waits("MON-04", "zero-copy monitor of RX sees a frame after the program released it", monitors),
	waits("MON-05", "zero-copy monitor of TX, on VALE after the sync, on a pipe after the receiver", monitors),
	waits("MON-06", "MON-02 to MON-05 on ephemeral and persistent ports and pipes", monitors),
	waits("MON-07", "a slow monitor costs the port nothing and keeps the newest of each batch", monitors),
	waits("MON-08", "three copy monitors all see everything", monitors),
	waits("MON-09", "of two zero-copy monitors the second sees a frame after the first released it", monitors),
	waits("MON-10", "the monitored port closes: POLLERR; both can be opened again", monitors),
	waits("MON-11", "monitor of an exclusive port: success", monitors),
	waits("MON-12", "the reply to a zero-copy request has both direction flags", monitors),
	waits("MON-13", "after a zero-copy capture the port's slots say BUF_CHANGED and are valid", monitors),
}

var csbChecks = []check{
	waits("CSB-01", "CSB without EXCLUSIVE: EINVAL", csb),
	waits("CSB-02", "CSB at addresses misaligned or wild: an error, and the descriptor is as before", csb),
	waits("CSB-03", "CSB: entries are initialised, sync ioctls give EBUSY", csb),
	waits("CSB-04", "CSB_ENABLE after register: success; without the option: EINVAL", csb),
	tests("CSB-05", "loop without CSB: EINVAL; unregistered: ENXIO; sleep above a second: EINVAL", both, csb05),
	waits("CSB-06", "loop in a thread, stopped: it returns 0", csb),
	waits("CSB-07", "stop before start: the start returns at once, the next one runs", csb),
	waits("CSB-08", "two starts: one EBUSY; a stop ends the other", csb),
	waits("CSB-09", "eventfds for all rings: status 0; with TX rings only, only those count", csb),
	waits("CSB-10", "wrong number of eventfds: EINVAL, also as status", csb),
	waits("CSB-11", "direct TX, direct RX, both, with eventfds: success", csb),
	waits("CSB-12", "an unknown mode bit, or direct without an ioeventfd: EINVAL", csb),
	waits("CSB-13", "published and kicked: hwcur reaches head; irqfd only if appl_need_kick", csb),
	waits("CSB-14", "published while the core goes to sleep: never lost", csb),
	waits("CSB-15", "CSB_ENABLE while the loop runs: EBUSY", csb),
}

var tlChecks = []check{
	waits("TL-01", "pkt-gen tx and rx between VALE ports, pipes and NICs", byHand),
	waits("TL-02", "pkt-gen with as many threads as rings", byHand),
	waits("TL-03", "bridge between two ports and on one", byHand),
	waits("TL-04", "vale-ctl without switches: no output, status 1", byHand),
	waits("TL-05", "lb with 4 pipes and extra buffers, one consumer stalled", pipes),
	waits("TL-06", "lb groups, one behind the other", pipes),
	waits("TL-07", "dedup between two pipes", pipes),
	waits("TL-08", "libpcap with netmap support", byHand),
}

func csb05(e *env) {
	p := e.program()
	start := func(want unix.Errno, fd int, sleep uint32) {
		e.Helper()
		q := newRequest(abi.ReqSyncKloopStart, "", nil)
		q.body = binary.LittleEndian.AppendUint64(nil, uint64(sleep))
		e.expect(want, p, fd, q)
	}
	fd, bound := p.open(), e.openPort(p, e.vale()+":a").fd
	start(unix.ENXIO, fd, 100)
	start(unix.EINVAL, fd, 1000001)
	start(unix.EINVAL, bound, 1000001)
	start(unix.EINVAL, bound, 1000000)
	e.expect(unix.ENXIO, p, fd, newRequest(abi.ReqSyncKloopStop, "", nil))
	e.expect(unix.EINVAL, p, bound, newRequest(abi.ReqCsbEnable, "", nil))
}
