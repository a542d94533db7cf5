package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Ports to virtual machines, which testpmd plays on the clients' CPU: it sends some frames first and then back whatever
// comes, while a switch, or another testpmd, has the lcore's CPU.

// backend is a kind of such ports.
type backend struct {
	name    string
	device  func(i int, path string) string             // of the switch
	machine func(i int, path string, mac string) string // of the machine
}

var (
	vhost = backend{
		"vhost",
		func(i int, path string) string { return fmt.Sprintf("net_vhost%d,iface=%s,client=1", i, path) },
		func(i int, path, mac string) string {
			return fmt.Sprintf("net_virtio_user%d,path=%s,server=1,mac=%s,queue_size=1024", i, path, mac)
		},
	}
	memif = backend{
		"memif",
		func(i int, path string) string { return memifArgs(i, "server", path, "") },
		func(i int, path, mac string) string { return memifArgs(i, "client", path, ",mac="+mac) },
	}
)

func memifArgs(i int, role, path, more string) string {
	return fmt.Sprintf("net_memif%d,role=%s,socket=%s,socket-abstract=no,rsize=10%s", i, role, path, more)
}

// inQueue is how many frames are under way for each direction; the queues hold more, so that none gets lost.
const inQueue = 256

// socketName is that of port i.
func socketName(i int) string { return fmt.Sprintf("vh%d", i) }

// startGenerator starts the two machines, with sockets in dir.
func (h *harness) startGenerator(k backend, dir string, size int) (*proc, error) {
	macs, devs := [2]string{receiverMAC(0), receiverMAC(1)}, [2]string{}
	for i, mac := range macs {
		devs[i] = k.machine(i, filepath.Join(dir, socketName(i)), mac)
	}
	cores := [2]string{"--lcores", fmt.Sprintf("0@%d,1@%d", h.cpu.clients[0], h.cpu.last()[0])}
	argv, err := testpmdArgs(cores, "nmbench", "io", devs,
		"--burst="+strconv.Itoa(inQueue), "--txpkts="+strconv.Itoa(size), "--eth-peer=0,"+macs[1], "--eth-peer=1,"+macs[0])
	if err != nil {
		return nil, err
	}
	return h.start(procSpec{name: "generator", argv: argv, cpus: h.cpu.clients})
}

// between starts the machines, lets them fill the queues, and measures.
func (h *harness) between(k backend, dir string, size int, measure func() (sample, error)) (sample, error) {
	gen, err := h.startGenerator(k, dir, size)
	if err != nil {
		return nil, err
	}
	if err := gen.prompt(h); err != nil {
		return nil, err
	}
	if err := gen.linked(h); err != nil {
		return nil, err
	}
	if err := gen.say("start tx_first"); err != nil {
		return nil, err
	}
	if err := h.wait(2 * settleTime); err != nil {
		return nil, err
	}
	return measure()
}

var portSummary = regexp.MustCompile(`^\d+ .* (up|down) `)

// linked waits until both ports have somebody at the other end.
func (p *proc) linked(h *harness) error {
	for limit := time.Now().Add(startLimit); ; {
		if err := p.say("show port summary all"); err != nil {
			return err
		}
		up := 0
		for range 2 {
			l, err := p.until(h.ctx, "state of a link", startLimit, portSummary.MatchString)
			if err != nil {
				return err
			}
			if portSummary.FindStringSubmatch(l)[1] == "up" {
				up++
			}
		}
		if up == 2 {
			return nil
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s: %d of 2 links are up after %v:\n%s", p.name, up, startLimit, p.tail())
		}
		if err := h.wait(50 * time.Millisecond); err != nil {
			return err
		}
	}
}

// testpmdSwitch is testpmd in the place of a switch: it knows where frames go without looking.
func testpmdSwitch(k backend, size int) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		dir, err := os.MkdirTemp(h.dir, "t")
		if err != nil {
			return nil, err
		}
		p, err := h.startTestpmd("mac", [2]string{k.device(0, filepath.Join(dir, socketName(0))), k.device(1, filepath.Join(dir, socketName(1)))})
		if err != nil {
			return nil, err
		}
		if err := p.say("start"); err != nil {
			return nil, err
		}
		return h.between(k, dir, size, func() (sample, error) {
			if err := p.say("clear fwd stats all"); err != nil {
				return nil, err
			}
			start := time.Now()
			if err := h.wait(h.o.dur); err != nil {
				return nil, err
			}
			if err := p.say("show fwd stats all"); err != nil {
				return nil, err
			}
			return p.forwarded(h, time.Since(start).Seconds())
		})
	}
}

// backendSwitch is a switch of ours with two such ports.
func backendSwitch(k backend, size int) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		dir, err := os.MkdirTemp(h.dir, "b")
		if err != nil {
			return nil, err
		}
		config := "ports:\n"
		for i := range 2 {
			config += fmt.Sprintf("  - {name: vm%d, kind: device, devargs: '%s'}\n", i, k.device(i, filepath.Join(dir, socketName(i))))
		}
		d, err := h.daemon(daemonSpec{config: config + "switches:\n  - {name: vale1, ports: [vm0, vm1]}\n"})
		if err != nil {
			return nil, err
		}
		return h.between(k, dir, size, func() (sample, error) { return h.forwarding(d) })
	}
}
