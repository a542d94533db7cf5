package abi

import "strconv"

// Legacy is struct nmreq, the argument of the old interface (NC B.2).
type Legacy struct {
	Name    [16]byte
	Version uint32
	Offset  uint32
	MemSize uint32
	TxSlots uint32
	RxSlots uint32
	TxRings uint16
	RxRings uint16
	RingID  uint16
	Cmd     uint16
	Arg1    uint16
	Arg2    uint16
	Arg3    uint32
	Flags   uint32
	_       uint32
}

// Bits of Legacy.RingID.
const (
	LegacyRingMask = 0x0fff
	LegacyNoTxPoll = 0x1000
	LegacySwRing   = 0x2000
	LegacyHwRing   = 0x4000
	LegacyDoRxPoll = 0x8000
	LegacyModeMask = 0xf // of Flags
)

// Commands in Legacy.Cmd.
const (
	CmdRegister   = 0
	CmdAttach     = 1
	CmdDetach     = 2
	CmdRegops     = 3
	CmdList       = 4
	CmdVnetHdr    = 5
	CmdNewif      = 6
	CmdDelif      = 7
	CmdPtCreate   = 8
	CmdPtDelete   = 9
	CmdPollOn     = 10
	CmdPollOff    = 11
	CmdVnetHdrGet = 12
)

// RegisterOf translates a legacy registration: the name as the core sees it
// (pipe modes become part of it) and the new request (NC B.2). ok is false where
// the extended name does not fit.
func (q *Legacy) RegisterOf() (name string, r Register, ok bool) {
	name = CString(q.Name[:len(q.Name)-1])
	r = Register{
		TxSlots: q.TxSlots, RxSlots: q.RxSlots, TxRings: q.TxRings, RxRings: q.RxRings,
		MemID: q.Arg2, RingID: q.RingID & LegacyRingMask, ExtraBufs: q.Arg3,
		Mode: q.Flags & LegacyModeMask, Flags: uint64(q.Flags &^ LegacyModeMask),
	}
	if r.Mode == ModeDefault {
		switch {
		case q.RingID&LegacySwRing != 0:
			r.Mode = ModeSW
		case q.RingID&LegacyHwRing != 0:
			r.Mode = ModeOneNIC
		default:
			r.Mode = ModeAllNIC
		}
	}
	if q.RingID&LegacyNoTxPoll != 0 {
		r.Flags |= FlagNoTxPoll
	}
	if q.RingID&LegacyDoRxPoll != 0 {
		r.Flags |= FlagDoRxPoll
	}
	if r.Mode == ModePipeMaster || r.Mode == ModePipeSlave {
		brace := "{"
		if r.Mode == ModePipeSlave {
			brace = "}"
		}
		name += brace + strconv.Itoa(int(r.RingID))
		r.Mode, r.RingID = ModeAllNIC, 0
	}
	return name, r, len(name) < NameSize
}

// TakeRegister writes the reply of a registration back (NC B.2).
func (q *Legacy) TakeRegister(r *Register) {
	q.Offset, q.MemSize = uint32(r.Offset), uint32(r.MemSize)
	q.TxSlots, q.RxSlots, q.TxRings, q.RxRings = r.TxSlots, r.RxSlots, r.TxRings, r.RxRings
	q.Arg2, q.Arg3 = r.MemID, r.ExtraBufs
}

// Polling translates the arguments of CmdPollOn (NC B.2). Other modes than two
// become one that is none.
func (q *Legacy) Polling() *ValePolling {
	p := &ValePolling{FirstCPU: uint32(q.RingID & LegacyRingMask), CPUs: uint32(q.Arg1)}
	switch q.Flags & LegacyModeMask {
	case ModeAllNIC:
		p.Mode = PollingSingleCPU
	case ModeOneNIC:
		p.Mode = PollingMultiCPU
	}
	return p
}
