package conformance

import (
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/test/netns"
)

var perChecks = []check{
	tests("PER-01", "a persistent port is made, attached, detached, deleted", both, per01),
	tests("PER-02", "made twice: EEXIST", both, per02),
	tests("PER-03", "deleted while attached: EBUSY", both, per03),
	tests("PER-04", "attached twice to a switch: EBUSY; to another one: success", both, per04),
	tests("PER-05", "the first of two attachments is detached: EBUSY", both, per05),
	tests("PER-06", "made with a switch's name, a long name, an unknown memory id: EINVAL", both, per06),
	tests("PER-07", "a NIC deleted: EINVAL; nothing: ENXIO; an implicit parent: EINVAL", both, per07),
	tests("PER-08", "an unknown interface attached: EINVAL; one that is open: EBUSY", both, per08),
	tests("PER-09", "a NIC attached: one port; with its host rings: two", both, per09),
	tests("PER-10", "attached with host rings only or with ring 1: EINVAL", both, per10),
	tests("PER-11", "vale0:nic opened while attached: EBUSY; while not: EINVAL", both, per11),
	tests("PER-12", "detached what is not there: ENXIO; an ephemeral port: EBUSY", both, per12),
	tests("PER-13", "three attached persistent ports switch as VALE ports do", both, per13),
	tests("PER-14", "a persistent port opened exclusively by its switch's name: a second open fails", both, per14),
	tests("PER-15", "the region of a persistent port outlives its last close", both, per15),
	tests("PER-16", "polling of an attached NIC switched on and off", both, per16),
	tests("PER-17", "polling of a VALE port: EOPNOTSUPP; with no CPU: EINVAL", both, per17),
}

var nicChecks = []check{
	tests("NIC-01", "one ring of four bound: the other queues' traffic still reaches the host", both, nic01),
	tests("NIC-02", "REPORT on the last slot, then TX syncs: the ring is no longer pending", both, nic02),
	tests("NIC-03", "an MTU above the buffer size: EINVAL", both, nic03),
}

func per08(e *env) {
	p, sw := e.program(), e.vale()
	e.attach(unix.EINVAL, p, sw+":nosuch")
	e.find(unix.ENOENT, p, sw+":nosuch") // and no switch is left behind
	e.attach(unix.EINVAL, p, "eth0")
	e.attach(unix.ENOMEM, p, "vale.0:eth0")
	ifname, _ := e.veth()
	e.attach(unix.EINVAL, p, sw+":"+ifname, memID(60000))
	d := e.openPort(p, ifname)
	e.attach(unix.EBUSY, p, sw+":"+ifname)
	d.close()
	e.isGone(ifname)
	e.attach(0, p, sw+":"+ifname)
	e.attach(unix.EBUSY, p, sw+":"+ifname)
	e.attach(unix.EBUSY, p, e.vale()+":"+ifname)
	e.attach(unix.EBUSY, p, sw+":"+ifname, mode(abi.ModeSW, 1)) // the mode is looked at later
	e.attach(unix.EINVAL, p, sw+":"+ifname, memID(60000))       // the memory id earlier
	e.openPort(p, sw+":a")
	e.attach(unix.EBUSY, p, sw+":a")
	e.detach(0, p, sw+":"+ifname)
}

func per09(e *env) {
	p, sw := e.program(), e.vale()
	l := e.lan()
	full := sw + ":" + l.name
	names := func() (s []string) {
		for _, l := range e.listNew(p, sw) {
			s = append(s, l.name)
		}
		return s
	}
	e.attach(0, p, full)
	if got := names(); !slices.Equal(got, []string{full}) {
		e.Errorf("attached: the switch lists %q", got)
	}
	e.detach(0, p, full)
	index := e.attach(0, p, full, mode(abi.ModeNICSW, 0))
	if got := names(); !slices.Equal(got, []string{full, full + "^"}) {
		e.Errorf("attached with its host rings: the switch lists %q", got)
	}
	if l := e.find(0, p, full); l.PortIdx != index {
		e.Errorf("attached as port %d, listed as %d", index, l.PortIdx)
	}
	a := e.openPort(p, sw+":a")
	l.near.send(flood(1)) // the host
	a.rx[0].brings(flood(1))
	l.far.receives(flood(1))
	l.far.send(flood(2)) // the wire
	a.rx[0].brings(flood(2))
	l.near.receives(flood(2))
	e.detach(0, p, full)
	if got := names(); !slices.Equal(got, []string{sw + ":a"}) {
		e.Errorf("detached: the switch lists %q", got)
	}
}

func per10(e *env) {
	p, sw := e.program(), e.vale()
	ifname, _ := e.veth()
	e.attach(unix.EINVAL, p, sw+":"+ifname, mode(abi.ModeSW, 0))
	e.attach(unix.EINVAL, p, sw+":"+ifname, mode(abi.ModeAllNIC, 1))
	e.attach(unix.EINVAL, p, sw+":"+ifname, mode(abi.ModeOneNIC, 0))
	e.attach(unix.EINVAL, p, sw+":"+ifname, mode(0, 0))
	e.find(unix.ENOENT, p, sw+":"+ifname)
}

func per11(e *env) {
	p, sw := e.program(), e.vale()
	ifname, _ := e.veth()
	full := sw + ":" + ifname
	e.refused(unix.EINVAL, p, full)
	e.openPort(p, sw+":a")
	index := e.attach(0, p, full)
	e.refused(unix.EBUSY, p, full)
	if l := e.find(0, p, full); l.PortIdx != index {
		e.Errorf("attached as port %d, listed as %d", index, l.PortIdx)
	}
	if i := e.portInfo(p, full, abi.PortInfo{}); i.MemID != 1 || i.TxRings == 0 {
		e.Errorf("info about the attached interface is %+v", i)
	}
	e.expect(0, p, p.open(), newRequest(abi.ReqPortHdrGet, full, abi.PortHdr{}))
	if gone := e.detach(0, p, full); gone != index {
		e.Errorf("detached port %d, want %d", gone, index)
	}
	e.refused(unix.EINVAL, p, full)
}

func per12(e *env) {
	p, sw := e.program(), e.vale()
	e.detach(unix.ENXIO, p, sw+":nosuch")
	e.detach(unix.EINVAL, p, "eth0")
	d := e.openPort(p, sw+":a")
	e.detach(unix.EBUSY, p, d.name)
	e.detach(unix.ENXIO, p, sw+":b")
	d.tx[0].send(flood(1))
}

func nic02(e *env) {
	ifname, peer := e.veth()
	d := e.openPort(e.program(), ifname)
	r := d.tx[0]
	for i := range uint32(10) {
		r.put(i, flood(i), 0)
	}
	s := r.slot(9)
	s.Flags = abi.NSReport
	r.setSlot(9, s)
	before := received(e, peer)
	r.set(10, 10)
	r.flush()
	e.waitFor("10 frames at the other end", func() error {
		if n := received(e, peer) - before; n < 10 {
			return fmt.Errorf("%d came", n)
		}
		return nil
	})
}

func nic03(e *env) {
	p := e.program()
	ifname, peer := e.veth()
	here := netns.Current(e.T)
	peer.MTU(e.T, "eth0", 9000)
	here.MTU(e.T, ifname, 9000)
	e.refused(unix.EINVAL, p, ifname)
	here.MTU(e.T, ifname, 1500)
	e.openPort(p, ifname)
}

// received counts what arrived at the other end of a veth.
func received(e *env, peer interface{ Try(func() error) error }) (n uint64) {
	e.Helper()
	e.must(peer.Try(func() error {
		l, err := netlink.LinkByName("eth0")
		if err == nil {
			n = l.Attrs().Statistics.RxPackets
		}
		return err
	}))
	return n
}
