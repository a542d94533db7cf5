package hostif

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A direction of frames on an interface, as the kernel sees it.
type direction int

const (
	ingress direction = iota
	egress
)

func (d direction) String() string { return [...]string{"ingress", "egress"}[d] }

// hooks are our programs on an interface, at most one each way.
type hooks struct {
	ifindex int
	undo    [2]func() error
	qdisc   *netlink.Clsact // ours, where the kernel has no BPF links for this
	old     bool            // do without those links: for tests
}

// Place of our clsact filters among others on the interface.
const (
	filterPriority = 0x6e6d // "nm"
	filterHandle   = 1
)

// set replaces the program of one direction; nil takes it away.
func (h *hooks) set(d direction, code asm.Instructions) error {
	if u := h.undo[d]; u != nil {
		h.undo[d] = nil
		if err := u(); err != nil {
			return fmt.Errorf("take our program off the %v of interface %d: %w", d, h.ifindex, err)
		}
	}
	if code == nil {
		return nil
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "netmapd_" + d.String(), Type: ebpf.SchedCLS, License: "Dual BSD/GPL", Instructions: code,
	})
	if err != nil {
		return fmt.Errorf("load a program for the %v of interface %d: %w", d, h.ifindex, err)
	}
	defer prog.Close() // whoever it is attached to holds it
	if h.undo[d], err = h.attach(d, prog); err != nil {
		return fmt.Errorf("hang a program on the %v of interface %d: %w", d, h.ifindex, err)
	}
	return nil
}

// close takes both programs away.
func (h *hooks) close() error {
	err := errors.Join(h.set(ingress, nil), h.set(egress, nil))
	if h.qdisc != nil {
		err = errors.Join(err, netlink.QdiscDel(h.qdisc))
		h.qdisc = nil
	}
	return err
}

func (h *hooks) attach(d direction, prog *ebpf.Program) (undo func() error, err error) {
	at := [...]ebpf.AttachType{ebpf.AttachTCXIngress, ebpf.AttachTCXEgress}[d]
	err = link.ErrNotSupported
	if !h.old {
		var l link.Link
		l, err = link.AttachTCX(link.TCXOptions{Interface: h.ifindex, Program: prog, Attach: at})
		if err == nil {
			return l.Close, nil
		}
	}
	undo, oldErr := h.filter(d, prog.FD())
	if oldErr != nil {
		return nil, errors.Join(err, oldErr)
	}
	return undo, nil
}

func (h *hooks) filter(d direction, prog int) (undo func() error, err error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: h.ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	switch err := netlink.QdiscAdd(qdisc); {
	case err == nil:
		h.qdisc = qdisc
	case !errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("add a clsact qdisc: %w", err)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: h.ifindex, Parent: [...]uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS}[d],
			Handle: filterHandle, Priority: filterPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: prog, Name: "netmapd", DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return nil, fmt.Errorf("add a filter to the clsact qdisc: %w", err)
	}
	return func() error { return netlink.FilterDel(filter) }, nil
}
