package abi

import (
	"encoding/binary"
	"fmt"
)

// Versions of the netmap API that the control interface accepts (NC A.1, B.10).
const (
	APIVersion    = 14
	MinAPIVersion = 14
	MaxAPIVersion = 15
)

// Ioctl numbers on Linux x86-64 (NC B.1).
const (
	NIOCGINFO  = 0xC03C6991
	NIOCREGIF  = 0xC03C6992
	NIOCTXSYNC = 0x00006994
	NIOCRXSYNC = 0x00006995
	NIOCCONFIG = 0xC1106996
	NIOCCTRL   = 0xC0586997
)

// Request types of NIOCCTRL (NC B.4).
const (
	ReqRegister                  = 1
	ReqPortInfoGet               = 2
	ReqValeAttach                = 3
	ReqValeDetach                = 4
	ReqValeList                  = 5
	ReqPortHdrSet                = 6
	ReqPortHdrGet                = 7
	ReqValeNewif                 = 8
	ReqValeDelif                 = 9
	ReqValePollingEnable         = 10
	ReqValePollingDisable        = 11
	ReqPoolsInfoGet              = 12
	ReqSyncKloopStart            = 13
	ReqSyncKloopStop             = 14
	ReqCsbEnable                 = 15
	reqTypes                     = 16
	HeaderSize                   = 88
	NameSize                     = 64 // nr_name, terminator included
	MaxRequestSize               = 4096
	RegisterSize                 = 56
	PortInfoSize                 = 32
	ValeAttachSize               = 64
	PoolsInfoSize                = 64
	ValeNewifSize                = 16
	ValePollingSize              = 16
	LegacyRequestSize            = 60
	LegacyConfigSize             = 272
	PortHdrSize                  = 8
	ValeDetachSize               = 8
	ValeListSize                 = 8
	KloopStartSize               = 8
	OptionHeaderSize             = 24
	OptionTypes                  = 6 // first unknown option type
	OptExtmem                    = 1
	OptSyncKloopEventfds         = 2
	OptCsb                       = 3
	OptSyncKloopMode             = 4
	OptOffsets                   = 5
	ExtraBufsMax                 = 128 * 4096
	ValeMaxRings                 = 16
	ValeMaxSlots                 = 4096
	DefaultSlots                 = 1024
	BridgeBatch                  = 1024 // slots of a VALE batch (NC E.5.2)
	MinFrame                     = 14   // bytes of an Ethernet header
	MemIDGlobal           uint16 = 1
)

// BodySize is the size of the body of a request of the given type; an unknown
// type counts as having none (NC B.4).
func BodySize(reqType uint16) int {
	sizes := [reqTypes]int{
		ReqRegister: RegisterSize, ReqPortInfoGet: PortInfoSize, ReqValeAttach: ValeAttachSize,
		ReqValeDetach: ValeDetachSize, ReqValeList: ValeListSize, ReqPortHdrSet: PortHdrSize, ReqPortHdrGet: PortHdrSize,
		ReqValeNewif: ValeNewifSize, ReqValePollingEnable: ValePollingSize, ReqValePollingDisable: ValePollingSize,
		ReqPoolsInfoGet: PoolsInfoSize, ReqSyncKloopStart: KloopStartSize,
	}
	if int(reqType) >= len(sizes) {
		return 0
	}
	return sizes[reqType]
}

// Modes of REGISTER (NC B.5).
const (
	ModeDefault    = 0 // not acceptable in the new API
	ModeAllNIC     = 1
	ModeSW         = 2
	ModeNICSW      = 3
	ModeOneNIC     = 4
	ModePipeMaster = 5 // refused in the new API
	ModePipeSlave  = 6
	ModeNull       = 7
	ModeOneSW      = 8
)

// Flags of REGISTER (NC B.5). Unknown bits are ignored.
const (
	FlagMonitorTx     = 0x100
	FlagMonitorRx     = 0x200
	FlagZcopyMon      = 0x400
	FlagExclusive     = 0x800
	FlagRxRingsOnly   = 0x2000
	FlagTxRingsOnly   = 0x4000
	FlagAcceptVnetHdr = 0x8000
	FlagDoRxPoll      = 0x10000
	FlagNoTxPoll      = 0x20000
)

// Register is the body of REGISTER: wishes on the way in, truth on the way out.
type Register struct {
	Offset      uint64 // of the netmap_if in the region (out)
	MemSize     uint64 // of the region (out)
	TxSlots     uint32
	RxSlots     uint32
	TxRings     uint16 // HW rings
	RxRings     uint16
	HostTxRings uint16
	HostRxRings uint16
	MemID       uint16
	RingID      uint16 // for the ONE_* modes
	Mode        uint32
	ExtraBufs   uint32
	_           uint32
	Flags       uint64
}

// PortInfo is the body of PORT_INFO_GET (NC B.6).
type PortInfo struct {
	MemSize     uint64
	TxSlots     uint32
	RxSlots     uint32
	TxRings     uint16
	RxRings     uint16
	HostTxRings uint16
	HostRxRings uint16
	MemID       uint16
	_           [3]uint16
}

// PoolsInfo is the body of POOLS_INFO_GET (NC B.6).
type PoolsInfo struct {
	MemSize    uint64
	MemID      uint16
	_          [3]uint16
	IfOffset   uint64
	IfCount    uint32
	IfSize     uint32
	RingOffset uint64
	RingCount  uint32
	RingSize   uint32
	BufOffset  uint64
	BufCount   uint32
	BufSize    uint32
}

// ValeAttach is the body of VALE_ATTACH: a REGISTER body and the port's index.
type ValeAttach struct {
	Register  Register
	PortIndex uint32 // out
	_         uint32
}

// ValeDetach is the body of VALE_DETACH.
type ValeDetach struct {
	PortIndex uint32 // out
	_         uint32
}

// ValeList is the body of VALE_LIST.
type ValeList struct {
	BridgeIdx uint16
	_         uint16
	PortIdx   uint32
}

// ValeNewif is the body of VALE_NEWIF: wishes, and what became of them.
type ValeNewif struct {
	TxSlots uint32
	RxSlots uint32
	TxRings uint16
	RxRings uint16
	MemID   uint16
	_       uint16
}

// ValePolling is the body of VALE_POLLING_ENABLE and VALE_POLLING_DISABLE.
type ValePolling struct {
	Mode     uint32 // PollingSingleCPU, PollingMultiCPU
	FirstCPU uint32
	CPUs     uint32
	_        uint32
}

// Modes of ValePolling.
const (
	PollingSingleCPU = 1 // one CPU polls all rings
	PollingMultiCPU  = 2 // ring k is polled by CPU k
)

// PortHdr is the body of PORT_HDR_SET and PORT_HDR_GET.
type PortHdr struct {
	HdrLen uint32
	_      uint32
}

// Encode appends the little-endian image of a request body to b.
func Encode(b []byte, body any) []byte {
	b, err := binary.Append(b, binary.LittleEndian, body)
	if err != nil {
		panic(err) // a type of this package without fixed size: a mistake of ours
	}
	return b
}

// Decode fills body from exactly its image.
func Decode(b []byte, body any) error {
	if n := binary.Size(body); n != len(b) {
		return fmt.Errorf("decode %T: want %d bytes, have %d", body, n, len(b))
	}
	_, err := binary.Decode(b, binary.LittleEndian, body)
	return err
}

// CString is the text of a fixed-size, NUL-terminated field.
func CString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
