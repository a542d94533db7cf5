package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

var nulChecks = []check{
	tests("NUL-01", "null port in region 1 with 10+5 rings of 256 and 100 slots: as asked for", both, nul01),
	tests("NUL-02", "null port with no rings: success", both, nul02),
	tests("NUL-03", "null port without memory id: EINVAL", both, nul03),
	tests("NUL-04", "TX sync of a null port: success, the slots never come back", both, nul04),
}

var nullMode = mode(abi.ModeNull, 0)

func nul01(e *env) {
	p := e.program()
	d := e.openPort(p, "any name", nullMode, memID(1), rings(10, 5), slots(256, 100))
	r := d.reg
	if r.TxRings != 10 || r.RxRings != 5 || r.TxSlots != 256 || r.RxSlots != 100 || r.HostTxRings != 0 || r.HostRxRings != 0 || r.MemID != 1 {
		e.Errorf("the reply is %+v", r)
	}
	if len(d.tx) != 10 || len(d.rx) != 5 {
		e.Fatalf("%d and %d rings are bound, want 10 and 5", len(d.tx), len(d.rx))
	}
	for _, k := range append(d.tx, d.rx...) {
		for _, s := range k.slots() {
			if s.BufIdx < abi.MinBufIndex {
				e.Fatalf("a slot of ring %d has buffer %d", k.RingID, s.BufIdx)
			}
		}
	}
	if d.tx[9].NumSlots != 256 || d.rx[4].NumSlots != 100 {
		e.Errorf("rings of %d and %d slots, want 256 and 100", d.tx[9].NumSlots, d.rx[4].NumSlots)
	}
	host := e.openPort(p, d.name, mode(abi.ModeNull, 0), memID(1), rings(1, 0), slots(8, 8), func(r *abi.Register) { r.HostTxRings, r.HostRxRings = 2, 3 })
	if host.reg.HostTxRings != 2 || host.reg.HostRxRings != 3 || len(host.tx) != 3 || len(host.rx) != 3 {
		e.Errorf("with host rings: %d and %d in the reply, %d and %d rings bound", host.reg.HostTxRings, host.reg.HostRxRings, len(host.tx), len(host.rx))
	}
	// Each open makes a port of its own, and none of them can be on a switch.
	if host.ofs[0] == d.ofs[0] {
		e.Errorf("two null ports of one name share a ring")
	}
	e.attach(unix.EINVAL, p, e.vale()+":"+d.name)
}

func nul02(e *env) {
	d := e.openPort(e.program(), "", nullMode, memID(1), extraBufs(4))
	if r := d.reg; r.TxRings != 0 || r.RxRings != 0 || r.TxSlots != 0 || r.RxSlots != 0 || r.ExtraBufs != 4 {
		e.Errorf("the reply is %+v", r)
	}
	for i, ofs := range d.ofs {
		if ofs != 0 {
			e.Errorf("ring_ofs[%d] is %d on a port without rings", i, ofs)
		}
	}
}

func nul03(e *env) {
	p := e.program()
	e.refused(unix.EINVAL, p, "x", nullMode, rings(1, 1))
	e.refused(unix.EINVAL, p, "x", nullMode, memID(60000))
}

func nul04(e *env) {
	p := e.program()
	d := e.openPort(p, "x", nullMode, memID(1), rings(1, 1), slots(16, 16))
	tx := d.tx[0]
	tx.set(10, 10)
	for range 3 {
		if errno := p.txsync(d.fd); errno != 0 {
			e.Errorf("txsync: %s", errnoName(errno))
		}
		tx.wants("after a sync", 10, 10, 15)
	}
	tx.set(15, 15)
	if errno := p.txsync(d.fd); errno != 0 {
		e.Errorf("txsync: %s", errnoName(errno))
	}
	tx.wants("after all slots", 15, 15, 15)
	if errno := p.rxsync(d.fd); errno != 0 || d.rx[0].space() != 0 {
		e.Errorf("rxsync: %s, %d frames", errnoName(errno), d.rx[0].space())
	}
	if re := p.poll(d.fd, unix.POLLIN|unix.POLLOUT, 0); re != 0 {
		e.Errorf("poll finds %#x on a port where nothing moves", re)
	}
}
