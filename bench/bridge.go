package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

// The Linux bridge, in a network namespace of its own.

// namespace makes a network namespace with these pairs of interfaces, all up.
func (h *harness) namespace(pairs ...[2]string) (string, error) {
	if os.Geteuid() != 0 {
		return "", missing("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "", missing("no ip command; install the package iproute2")
	}
	ns := fmt.Sprintf("nmbench%d", os.Getpid())
	if err := h.ip("netns", "add", ns); err != nil {
		return "", err
	}
	h.later(func() { _, _ = command(h.ctx, stopLimit, "ip", "netns", "delete", ns) })
	for _, p := range pairs {
		if err := h.ip("-n", ns, "link", "add", p[0], "type", "veth", "peer", "name", p[1]); err != nil {
			return "", err
		}
		for _, name := range p {
			if err := h.ip("-n", ns, "link", "set", name, "up", "addrgenmode", "none"); err != nil {
				return "", err
			}
		}
	}
	return ns, nil
}

func (h *harness) ip(args ...string) error {
	_, err := command(h.ctx, 10*time.Second, "ip", args...)
	return err
}

// linuxBridge floods one of two ports of a bridge through a veth pair and counts what leaves the other one. Nobody reads the
// frames there, which is in the bridge's favour; the sending thread does all the work, so it is packets per CPU.
func linuxBridge(size int) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		ns, err := h.namespace([2]string{"a0", "a1"}, [2]string{"b0", "b1"})
		if err != nil {
			return nil, err
		}
		if err := h.ip("-n", ns, "link", "add", "bridge0", "type", "bridge"); err != nil {
			return nil, missing("%v", err)
		}
		for _, name := range []string{"a1", "b1"} {
			if err := h.ip("-n", ns, "link", "set", name, "master", "bridge0"); err != nil {
				return nil, err
			}
		}
		if err := h.ip("-n", ns, "link", "set", "bridge0", "up"); err != nil {
			return nil, err
		}
		// Frames through a bridge pay for iptables only where the module is loaded and this is on.
		_, _ = command(h.ctx, stopLimit, "ip", "netns", "exec", ns, "sysctl", "-q", "net.bridge.bridge-nf-call-iptables=0")
		if err := h.wait(settleTime); err != nil { // ports of a bridge begin to forward a moment later
			return nil, err
		}
		p, err := h.role(roleSpec{Role: "packets", Ports: []string{"a0"}, Count: "b0", Size: size, Dst: []string{receiverMAC(0)}, Src: senderMAC(0)}, []int{h.cpu.lcore}, ns)
		if err != nil {
			return nil, err
		}
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		s, err := p.result(h.ctx)
		if err != nil {
			return nil, err
		}
		if s["mpps"] < s["sent"]/2 {
			err = fmt.Errorf("the bridge passed %.3f of %.3f Mpps on", s["mpps"], s["sent"])
		}
		s["core"] = s["mpps"] // its CPU did nothing else
		return s, err
	}
}
