package main

import (
	"fmt"
	"time"
)

// The measurements of netmapd.

// settleTime passes before an interval begins: caches, tables and the clock of the core warm up.
const settleTime = 150 * time.Millisecond

// toAll is a destination for switchFlood.
const toAll = "broadcast"

// switchFlood has one process send through a switch and another one read everything: ports is the number of ports, one of
// them the sender's. A reckless sender does not wait for the receiver.
func switchFlood(size, ports int, dst string, reckless bool) func(*harness) (sample, error) {
	return flood{size: size, ports: ports, dst: dst, reckless: reckless}.measure
}

// flood is a measurement of the kind of switchFlood.
type flood struct {
	size, ports int
	dst         string
	reckless    bool
	slots       uint32
	stations    int
	inTurn      bool // the receivers are one thread that never sleeps

	daemon   daemonSpec
	switches []string // a sender and receivers for each; nil: one on vale0
	header   [2]int   // bytes of virtio-net header at the sender and at the receivers
	offset   uint64   // where the frames of all ports begin
	// with is called when everything runs, for what is to run beside it.
	with func(*harness, *daemon) error
}

func (f flood) measure(h *harness) (sample, error) {
	d, err := h.daemon(f.daemon)
	if err != nil {
		return nil, err
	}
	if f.switches == nil {
		f.switches = []string{"vale0"}
	}
	// All receivers first: a new port goes to the lcore with the fewest.
	send := make([]roleSpec, len(f.switches))
	for i := range f.switches {
		if send[i], err = f.receivers(h, d, i); err != nil {
			return nil, err
		}
	}
	for _, s := range send {
		if _, err := h.role(s, h.cpu.clients, ""); err != nil {
			return nil, err
		}
	}
	if f.with != nil {
		if err := f.with(h, d); err != nil {
			return nil, err
		}
	}
	return h.forwarding(d)
}

// receivers starts those of switch i and says what their sender is.
func (f flood) receivers(h *harness, d *daemon, i int) (send roleSpec, err error) {
	first := i * (f.ports - 1)
	var names, to []string
	for k := first; k < first+f.ports-1; k++ {
		names, to = append(names, fmt.Sprintf("%s:r%d", f.switches[i], k)), append(to, receiverMAC(k))
	}
	if f.dst == toAll {
		to = []string{broadcast}
	}
	ledger, err := h.ledger()
	if err != nil {
		return send, err
	}
	common := roleSpec{Dir: d.dir, Size: f.size, Ledger: ledger, Slots: f.slots, Stations: f.stations, Offset: f.offset, InTurn: f.inTurn}
	receive := common
	receive.Role, receive.Ports, receive.First, receive.Header = "receive", names, first, f.header[1]
	if _, err := h.role(receive, h.cpu.clients, ""); err != nil {
		return send, err
	}
	send = common
	send.Role, send.Ports, send.Dst, send.Src, send.Readers, send.Header = "send", []string{fmt.Sprintf("%s:s%d", f.switches[i], i)}, to, senderMAC(i), f.ports-1, f.header[0]
	if f.reckless {
		send.Ledger = ""
	}
	return send, nil
}

// forwarding measures what a daemon moves, once it runs.
func (h *harness) forwarding(d *daemon) (sample, error) {
	if err := h.wait(settleTime); err != nil {
		return nil, err
	}
	i, err := h.over(d, h.o.dur)
	if err != nil {
		return nil, err
	}
	return i.forwarding()
}

// oneThread runs the probe with both ends in one thread.
func oneThread(size int, dst string) func(*harness) (sample, error) {
	return oneThreadOn(daemonSpec{poll: true}, size, dst)
}

func oneThreadOn(spec daemonSpec, size int, dst string) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		d, err := h.daemon(spec)
		if err != nil {
			return nil, err
		}
		to := receiverMAC(0)
		if dst == toAll {
			to = broadcast
		}
		return h.timed(roleSpec{
			Role: "cycle", Dir: d.dir, Ports: []string{"vale0:s", "vale0:r"}, Size: size,
			Dst: []string{to}, Src: senderMAC(0), Batch: batches,
		}, h.cpu.clients)
	}
}

// timed runs a role that measures by itself, for the length of a measurement.
func (h *harness) timed(s roleSpec, cpus []int) (sample, error) {
	p, err := h.role(s, cpus, "")
	if err != nil {
		return nil, err
	}
	if err := h.wait(h.o.dur); err != nil {
		return nil, err
	}
	return p.result(h.ctx)
}

// emptySync times syncs where nothing is new, beside an lcore that is awake.
func emptySync(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{poll: true})
	if err != nil {
		return nil, err
	}
	return h.timed(roleSpec{Role: "sync", Dir: d.dir, Ports: []string{"vale0:s"}}, h.cpu.clients)
}

// roundTrip sends one frame to and fro: by one thread that never sleeps, or by two processes that sleep in poll.
func roundTrip(block bool) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		d, err := h.daemon(daemonSpec{poll: !block})
		if err != nil {
			return nil, err
		}
		s := roleSpec{Role: "pingself", Dir: d.dir, Ports: []string{"vale0:a", "vale0:b"}, Size: 60}
		if block {
			if _, err := h.role(roleSpec{Role: "pong", Dir: d.dir, Ports: []string{"vale0:b"}, Size: 60}, h.cpu.clients, ""); err != nil {
				return nil, err
			}
			s.Role = "ping"
		}
		return h.timed(s, h.cpu.clients)
	}
}

// bareRoundTrip is the same without netmapd.
func bareRoundTrip(block bool) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		return h.timed(roleSpec{Role: "relay", Block: block, CPUs: []int{h.cpu.clients[0], h.cpu.lcore}}, h.cpu.all())
	}
}

// idleCPU has two clients that say nothing.
func idleCPU(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	if _, err := h.role(roleSpec{Role: "idle", Dir: d.dir, Ports: []string{"vale0:a", "vale0:b"}}, h.cpu.clients, ""); err != nil {
		return nil, err
	}
	if err := h.wait(settleTime); err != nil {
		return nil, err
	}
	start := time.Now()
	before, err := cpuTime(d.pid())
	if err != nil {
		return nil, err
	}
	// Long enough for the two snapshots not to count.
	i, err := h.over(d, max(3*h.o.dur, 3*time.Second))
	if err != nil {
		return nil, err
	}
	after, err := cpuTime(d.pid())
	if err != nil {
		return nil, err
	}
	// The snapshots wake the lcore once each.
	return sample{"cpu": 100 * (after - before).Seconds() / time.Since(start).Seconds(), "wakeups": max(0, i.wakeups-1) / i.seconds}, nil
}

// attachTime opens and closes a port of a switch.
func attachTime(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	return h.timed(roleSpec{Role: "attach", Dir: d.dir, Ports: []string{"vale0:a"}}, h.cpu.clients)
}

// portMemory opens ports and looks at the daemon's memory before and after.
func portMemory(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	const ports = 32
	opened := func(n int, format string) error {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf(format, i))
		}
		_, err := h.role(roleSpec{Role: "idle", Dir: d.dir, Ports: names}, h.cpu.clients, "")
		return err
	}
	if err := opened(1, "vale0:first%d"); err != nil { // what the first of all costs is not a port's
		return nil, err
	}
	if err := h.wait(settleTime); err != nil {
		return nil, err
	}
	before, err := memoryOf(d.pid())
	if err != nil {
		return nil, err
	}
	if err := opened(ports, "vale0:p%d"); err != nil {
		return nil, err
	}
	if err := h.wait(settleTime); err != nil {
		return nil, err
	}
	after, err := memoryOf(d.pid())
	if err != nil {
		return nil, err
	}
	return sample{"rss": (after.rss - before.rss) / ports, "mapped": (after.mapped - before.mapped) / ports}, nil
}

// nullToClient reads frames that net_null makes out of nothing.
func nullToClient(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{config: "ports:\n  - {name: null0, kind: device, devargs: 'net_null0,size=60'}\n"})
	if err != nil {
		return nil, err
	}
	if _, err := h.role(roleSpec{Role: "receive", Dir: d.dir, Ports: []string{"netmap:null0"}}, h.cpu.clients, ""); err != nil {
		return nil, err
	}
	return h.forwarding(d)
}

// nullSwitch joins two devices that receive the same frame again and again, without any cost, by a switch.
func nullSwitch(h *harness) (sample, error) {
	config := "ports:\n"
	for i := range 2 {
		frame, err := newFrame(receiverMAC(1-i), receiverMAC(i), 60)
		if err != nil {
			return nil, err
		}
		config += fmt.Sprintf("  - {name: nic%d, kind: device, devargs: 'net_null%d,size=60', fill: %x}\n", i, i, frame)
	}
	d, err := h.daemon(daemonSpec{config: config + "switches:\n  - {name: vale1, ports: [nic0, nic1]}\n"})
	if err != nil {
		return nil, err
	}
	return h.forwarding(d)
}

// pcapSwitch joins two devices that receive the same frames again and again by a switch.
func pcapSwitch(h *harness) (sample, error) {
	files, err := h.pcapFiles(60)
	if err != nil {
		return nil, err
	}
	config := "ports:\n"
	for i, f := range files {
		config += fmt.Sprintf("  - {name: nic%d, kind: device, devargs: '%s'}\n", i, pcapArgs(i, f))
	}
	d, err := h.daemon(daemonSpec{config: config + "switches:\n  - {name: vale1, ports: [nic0, nic1]}\n"})
	if err != nil {
		return nil, err
	}
	return h.forwarding(d)
}

// vethToClient has the kernel's packet sockets flood one end of a veth pair, and a client read the other end through
// netmapd.
func vethToClient(driver string, size int) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		ns, err := h.namespace([2]string{"nmb0", "nmb1"})
		if err != nil {
			return nil, err
		}
		d, err := h.daemon(daemonSpec{ns: ns, config: "ports:\n  - {name: nmb1, kind: interface, driver: " + driver + "}\n"})
		if err != nil {
			return nil, err
		}
		if _, err := h.role(roleSpec{Role: "receive", Dir: d.dir, Ports: []string{"netmap:nmb1"}}, h.cpu.clients, ""); err != nil {
			return nil, err
		}
		if _, err := h.role(roleSpec{Role: "packets", Ports: []string{"nmb0"}, Size: size, Dst: []string{broadcast}, Src: senderMAC(0)}, h.cpu.clients, ns); err != nil {
			return nil, err
		}
		return h.forwarding(d)
	}
}
