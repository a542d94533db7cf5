package abi

// Extmem is the body of the EXTMEM option (NC B.9.1).
type Extmem struct {
	UsrPtr uint64    // address in the program
	Pools  PoolsInfo // in: sizes, 0 for the default; out: what there is
}

// CSBOption is the body of the CSB option (NC B.9.3): addresses in the program; on the
// way to netmapd offsets in the memory that comes with the request, if some does.
type CSBOption struct {
	AtoK uint64
	KtoA uint64
}

// KloopMode is the body of the SYNC_KLOOP_MODE option (NC B.9.4).
type KloopMode struct {
	Mode uint32 // KloopDirectTx, KloopDirectRx
	_    uint32
}

// Bits of KloopMode.Mode.
const (
	KloopDirectTx = 1
	KloopDirectRx = 2
)

// Offsets is the body of the OFFSETS option (NC B.9.5). All offsets are in bytes.
type Offsets struct {
	Max     uint64 // the largest offset that will be used
	Initial uint64 // what all slots get, if nobody else has their ring open
	Bits    uint32 // of a slot's ptr that are the offset; 0 means 64
	TxAlign uint32 // not examined
	MinGap  uint64 // room behind the largest offset that the core may use; 0: all
}

// KloopMaxSleep is the longest sleep of a sync loop's round, in microseconds (NC E.10).
const KloopMaxSleep = 1000000

// CSBAlign is what the address of a CSB array must be a multiple of, and the
// size of its entries.
const CSBAlign = 64
