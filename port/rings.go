package port

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// This file says which rings a port has and which of them a descriptor binds,
// in the forms in which clients are told.

// shape is how many rings a port has, of how many slots.
type shape struct {
	hwTx, hwRx       int
	hostTx, hostRx   int
	txSlots, rxSlots uint32
}

// shownTx and shownRx are the host rings that netmap_if shows: never none (NC
// A.4).
func (s *shape) shownTx() int { return max(s.hostTx, 1) }
func (s *shape) shownRx() int { return max(s.hostRx, 1) }

// entries is the length of ring_ofs.
func (s *shape) entries() int { return s.firstRxEntry() + s.hwRx + s.shownRx() }

// firstRxEntry is the place of RX ring 0 in ring_ofs. TX ring 0 has place 0, and
// each ring that of its number after it.
func (s *shape) firstRxEntry() int { return s.hwTx + s.shownTx() }

// selection is a range of TX and one of RX rings, host rings counted after HW
// rings.
type selection struct{ firstTx, endTx, firstRx, endRx int }

func (s selection) hasTx(i int) bool { return i >= s.firstTx && i < s.endTx }
func (s selection) hasRx(i int) bool { return i >= s.firstRx && i < s.endRx }

// choose turns mode and ring id into ring ranges (NC B.5).
func (s *shape) choose(full string, req *abi.Register) (sel selection, err error) {
	const op = "register"
	tx, rx := s.hwTx+s.hostTx, s.hwRx+s.hostRx
	switch req.Mode {
	case abi.ModeSW, abi.ModeNICSW, abi.ModeOneSW:
		if s.hostTx+s.hostRx == 0 {
			return sel, refuse(op, full, unix.EINVAL, "mode %d asks for host rings and the port has none", req.Mode)
		}
	}
	r := int(req.RingID)
	// Too large in one direction only: the first ring there.
	one := func(what string, firstTx, numTx, firstRx, numRx int) error {
		if r >= numTx && r >= numRx {
			return refuse(op, full, unix.EINVAL, "%s %d does not exist: the port has %d TX and %d RX rings of this kind", what, r, numTx, numRx)
		}
		sel.firstTx, sel.endTx = oneOf(firstTx, numTx, r)
		sel.firstRx, sel.endRx = oneOf(firstRx, numRx, r)
		return nil
	}
	switch req.Mode {
	case abi.ModeNull:
		sel = selection{0, tx, 0, rx}
	case abi.ModeAllNIC:
		sel = selection{0, s.hwTx, 0, s.hwRx}
	case abi.ModeSW:
		sel = selection{s.hwTx, tx, s.hwRx, rx}
	case abi.ModeNICSW:
		sel = selection{0, tx, 0, rx}
	case abi.ModeOneNIC:
		err = one("ring", 0, s.hwTx, 0, s.hwRx)
	case abi.ModeOneSW:
		err = one("host ring", s.hwTx, s.hostTx, s.hwRx, s.hostRx)
	default:
		err = refuse(op, full, unix.EINVAL, "mode %d is not one of netmap's", req.Mode)
	}
	if req.Flags&abi.FlagRxRingsOnly != 0 {
		sel.firstTx, sel.endTx = 0, 0
	}
	if req.Flags&abi.FlagTxRingsOnly != 0 {
		sel.firstRx, sel.endRx = 0, 0
	}
	return sel, err
}

// oneOf is the range of ring r of n that begin at first; of ring 0 where there
// are fewer.
func oneOf(first, n, r int) (begin, end int) {
	if r < n {
		return first + r, first + r + 1
	}
	return first, first + min(1, n)
}

// counts fills in what register and info requests tell of a port's rings.
func (s *shape) counts(req *abi.Register) {
	req.TxSlots, req.RxSlots = s.txSlots, s.rxSlots
	req.TxRings, req.RxRings = uint16(s.hwTx), uint16(s.hwRx)
	req.HostTxRings, req.HostRxRings = uint16(s.hostTx), uint16(s.hostRx)
}

// reply completes the request as NC B.5 says.
func (p *port) reply(d *Desc, req *abi.Register, extra uint32) {
	req.Offset, req.MemSize = d.ifo.Offset, p.region.Geometry().Size()
	p.counts(req)
	req.MemID, req.ExtraBufs = p.region.ID(), extra
}

// fillIf writes the netmap_if: only bound rings have an offset (NC A.4).
func (d *Desc) fillIf(extraHead uint32) {
	p := d.port
	h := d.ifo.View.IfHeader
	copy(h.Name[:len(h.Name)-1], p.name)
	h.TxRings, h.RxRings = uint32(p.hwTx), uint32(p.hwRx)
	h.HostTxRings, h.HostRxRings = uint32(p.shownTx()), uint32(p.shownRx())
	h.BufsHead = extraHead
	ofs := d.ifo.View.RingOfs
	for i := d.firstTx; i < d.endTx; i++ {
		ofs[i] = int64(p.tx[i].obj.Offset) - int64(d.ifo.Offset)
	}
	for i := d.firstRx; i < d.endRx; i++ {
		ofs[p.firstRxEntry()+i] = int64(p.rx[i].obj.Offset) - int64(d.ifo.Offset)
	}
}

func (d *Desc) describe() wire.Bind {
	p := d.port
	geo := p.region.Geometry()
	b := wire.Bind{
		PortID: p.id, RegionSize: geo.Size(), IfOffset: d.ifo.Offset,
		BufOffset: geo.BufOffset(), BufCount: geo.Buf.Count, BufSize: geo.Buf.Size,
		TxRings: uint16(p.hwTx), RxRings: uint16(p.hwRx), HostTxRings: uint16(p.shownTx()), HostRxRings: uint16(p.shownRx()),
		TxSlots: p.txSlots, RxSlots: p.rxSlots,
		FirstTx: uint16(d.firstTx), EndTx: uint16(d.endTx), FirstRx: uint16(d.firstRx), EndRx: uint16(d.endRx),
		MemID: p.region.ID(), Features: p.be.features(), Mode: d.mode, Flags: d.flags,
	}
	copy(b.Name[:len(b.Name)-1], p.name)
	return b
}

var modeNames = map[uint32]string{
	abi.ModeAllNIC: "all-nic", abi.ModeOneNIC: "one-nic",
	abi.ModeSW: "sw", abi.ModeNICSW: "nic-sw", abi.ModeOneSW: "one-sw", abi.ModeNull: "null",
}

func (d *Desc) user() User {
	u := User{PID: d.caller.PID, UID: d.caller.UID, Command: d.caller.Command, Since: d.since, Mode: modeNames[d.mode]}
	for i := d.firstTx; i < d.endTx; i++ {
		u.Rings = append(u.Rings, fmt.Sprintf("tx%d", i))
	}
	for i := d.firstRx; i < d.endRx; i++ {
		u.Rings = append(u.Rings, fmt.Sprintf("rx%d", i))
	}
	return u
}
