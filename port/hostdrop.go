package port

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hostDrop keeps the host stack from also receiving what arrives on a kernel
// interface that is driven through packet sockets: those see a copy, while
// netmap takes frames away from the host (NC E.3). A one-instruction program on
// the interface's ingress drops every frame after the sockets have seen it.
//
// On kernels from 6.6 on it hangs on a BPF link, which the kernel removes should
// the daemon die. Older kernels have clsact filters only, which would stay:
// they are replaced at the next use of the interface, and CAVEATS.md says how
// to remove one by hand.
type hostDrop struct {
	undo func() error
}

// Place of our clsact filter among others on the interface.
const (
	dropPriority = 0x6e6d // "nm"
	dropHandle   = 1
)

func newHostDrop(ifindex int) (*hostDrop, error) {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "netmapd_drop", Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}, // TC_ACT_SHOT
	})
	if err != nil {
		return nil, fmt.Errorf("load the program that keeps frames from the host stack: %w", err)
	}
	defer prog.Close() // whoever it is attached to holds it
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		return &hostDrop{l.Close}, nil
	}
	d, oldErr := clsactDrop(ifindex, prog.FD())
	if oldErr != nil {
		return nil, fmt.Errorf("keep frames from the host stack: %w", errors.Join(err, oldErr))
	}
	return d, nil
}

func clsactDrop(ifindex, prog int) (*hostDrop, error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
	added := netlink.QdiscAdd(qdisc)
	if added != nil && !errors.Is(added, unix.EEXIST) {
		return nil, fmt.Errorf("add a clsact qdisc: %w", added)
	}
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS,
			Handle: dropHandle, Priority: dropPriority, Protocol: unix.ETH_P_ALL,
		},
		Fd: prog, Name: "netmapd_drop", DirectAction: true,
	}
	if err := netlink.FilterReplace(filter); err != nil {
		return nil, fmt.Errorf("add a filter to the clsact qdisc: %w", err)
	}
	return &hostDrop{func() error {
		err := netlink.FilterDel(filter)
		if added == nil { // the qdisc is ours too
			err = errors.Join(err, netlink.QdiscDel(qdisc))
		}
		return err
	}}, nil
}

// close lets the host stack have the frames again.
func (d *hostDrop) close() error { return d.undo() }
