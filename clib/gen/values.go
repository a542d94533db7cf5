package main

import "github.com/netmapd/netmapd/netmap/abi"

// A group of constants, written in one form.
type group struct {
	about  string
	verb   string // how a value is written
	enum   bool
	values []value
}

type value struct {
	name  string
	value uint64
	about string
}

// numbers are constants that C makes up itself, of the size of a structure.
var numbers = []value{
	{"NIOCGINFO", abi.NIOCGINFO, ""},
	{"NIOCREGIF", abi.NIOCREGIF, ""},
	{"NIOCTXSYNC", abi.NIOCTXSYNC, ""},
	{"NIOCRXSYNC", abi.NIOCRXSYNC, ""},
	{"NIOCCONFIG", abi.NIOCCONFIG, ""},
	{"NIOCCTRL", abi.NIOCCTRL, ""},
	{"sizeof(struct nmreq_header)", abi.HeaderSize, ""},
	{"sizeof(struct nmreq_option)", abi.OptionHeaderSize, ""},
	{"sizeof(struct nm_ifreq)", abi.LegacyConfigSize, ""},
	{"sizeof(struct nm_csb_atok)", abi.CSBAlign, ""},
	{"sizeof(struct nm_csb_ktoa)", abi.CSBAlign, ""},
}

var groups = []group{
	{"Versions (NC A.1).", "%d", false, []value{
		{"NETMAP_API", abi.APIVersion, ""},
		{"NETMAP_MIN_API", abi.MinAPIVersion, ""},
		{"NETMAP_MAX_API", abi.MaxAPIVersion, ""},
	}},
	{"Limits.", "%d", false, []value{
		{"NM_CACHE_ALIGN", abi.RingAlign, "alignment of netmap_ring.sem, and so of rings"},
		{"NETMAP_MAX_FRAGS", abi.MaxFragments, "slots of a frame at most"},
		{"NETMAP_REQ_IFNAMSIZ", abi.NameSize, "bytes of a name, terminator included"},
		{"NETMAP_REQ_MAXSIZE", abi.MaxRequestSize, "bytes of a body and its options"},
	}},
	{"netmap_slot.flags (NC A.6).", "0x%04x", false, []value{
		{"NS_BUF_CHANGED", abi.NSBufChanged, "buf_idx is not what it was"},
		{"NS_REPORT", abi.NSReport, "TX: tell when this one has been sent"},
		{"NS_FORWARD", abi.NSForward, "RX: pass on to the other side, with NR_FORWARD"},
		{"NS_NO_LEARN", abi.NSNoLearn, "VALE TX: do not learn the source address"},
		{"NS_INDIRECT", abi.NSIndirect, "VALE TX: the data are at ptr"},
		{"NS_MOREFRAG", abi.NSMoreFrag, "the frame goes on in the next slot"},
		{"NS_TXMON", abi.NSTxMon, "monitors: seen on a TX ring"},
	}},
	{"VALE: destination port (TX), number of slots of the frame (RX).", "%d", false, []value{
		{"NS_PORT_SHIFT", abi.NSFragShift, ""},
	}},
	{"netmap_ring.flags (NC A.7).", "0x%04x", false, []value{
		{"NR_TIMESTAMP", abi.NRTimestamp, "fill in ts at each sync"},
		{"NR_FORWARD", abi.NRForward, "obey NS_FORWARD in this ring"},
	}},
	{"netmap_if.ni_flags.", "0x%x", false, []value{
		{"NI_PRIV_MEM", abi.IfPrivate, "the region is not the shared one"},
	}},
	{"Requests, and their bodies (NC B.4).", "%d", true, []value{
		{"NETMAP_REQ_REGISTER", abi.ReqRegister, "struct nmreq_register"},
		{"NETMAP_REQ_PORT_INFO_GET", abi.ReqPortInfoGet, "struct nmreq_port_info_get"},
		{"NETMAP_REQ_VALE_ATTACH", abi.ReqValeAttach, "struct nmreq_vale_attach"},
		{"NETMAP_REQ_VALE_DETACH", abi.ReqValeDetach, "struct nmreq_vale_detach"},
		{"NETMAP_REQ_VALE_LIST", abi.ReqValeList, "struct nmreq_vale_list"},
		{"NETMAP_REQ_PORT_HDR_SET", abi.ReqPortHdrSet, "struct nmreq_port_hdr"},
		{"NETMAP_REQ_PORT_HDR_GET", abi.ReqPortHdrGet, "struct nmreq_port_hdr"},
		{"NETMAP_REQ_VALE_NEWIF", abi.ReqValeNewif, "struct nmreq_vale_newif"},
		{"NETMAP_REQ_VALE_DELIF", abi.ReqValeDelif, "no body"},
		{"NETMAP_REQ_VALE_POLLING_ENABLE", abi.ReqValePollingEnable, "struct nmreq_vale_polling"},
		{"NETMAP_REQ_VALE_POLLING_DISABLE", abi.ReqValePollingDisable, "struct nmreq_vale_polling"},
		{"NETMAP_REQ_POOLS_INFO_GET", abi.ReqPoolsInfoGet, "struct nmreq_pools_info"},
		{"NETMAP_REQ_SYNC_KLOOP_START", abi.ReqSyncKloopStart, "struct nmreq_sync_kloop_start"},
		{"NETMAP_REQ_SYNC_KLOOP_STOP", abi.ReqSyncKloopStop, "no body"},
		{"NETMAP_REQ_CSB_ENABLE", abi.ReqCsbEnable, "no body"},
	}},
	{"Options (NC B.8).", "%d", true, []value{
		{"NETMAP_REQ_OPT_EXTMEM", abi.OptExtmem, "struct nmreq_opt_extmem"},
		{"NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS", abi.OptSyncKloopEventfds, "struct nmreq_opt_sync_kloop_eventfds"},
		{"NETMAP_REQ_OPT_CSB", abi.OptCsb, "struct nmreq_opt_csb"},
		{"NETMAP_REQ_OPT_SYNC_KLOOP_MODE", abi.OptSyncKloopMode, "struct nmreq_opt_sync_kloop_mode"},
		{"NETMAP_REQ_OPT_OFFSETS", abi.OptOffsets, "struct nmreq_opt_offsets"},
		{"NETMAP_REQ_OPT_MAX", abi.OptionTypes, "the first that is unknown"},
	}},
	{"nmreq_register.nr_mode (NC B.5).", "%d", true, []value{
		{"NR_REG_DEFAULT", abi.ModeDefault, "old interface only"},
		{"NR_REG_ALL_NIC", abi.ModeAllNIC, ""},
		{"NR_REG_SW", abi.ModeSW, ""},
		{"NR_REG_NIC_SW", abi.ModeNICSW, ""},
		{"NR_REG_ONE_NIC", abi.ModeOneNIC, ""},
		{"NR_REG_PIPE_MASTER", abi.ModePipeMaster, "old interface only"},
		{"NR_REG_PIPE_SLAVE", abi.ModePipeSlave, "old interface only"},
		{"NR_REG_NULL", abi.ModeNull, ""},
		{"NR_REG_ONE_SW", abi.ModeOneSW, ""},
	}},
	{"nmreq_register.nr_flags (NC B.5).", "0x%x", false, []value{
		{"NR_MONITOR_TX", abi.FlagMonitorTx, ""},
		{"NR_MONITOR_RX", abi.FlagMonitorRx, ""},
		{"NR_ZCOPY_MON", abi.FlagZcopyMon, ""},
		{"NR_EXCLUSIVE", abi.FlagExclusive, ""},
		{"NR_RX_RINGS_ONLY", abi.FlagRxRingsOnly, ""},
		{"NR_TX_RINGS_ONLY", abi.FlagTxRingsOnly, ""},
		{"NR_ACCEPT_VNET_HDR", abi.FlagAcceptVnetHdr, ""},
		{"NR_DO_RX_POLL", abi.FlagDoRxPoll, ""},
		{"NR_NO_TX_POLL", abi.FlagNoTxPoll, ""},
	}},
	{"nmreq_vale_polling.nr_mode.", "%d", false, []value{
		{"NETMAP_POLLING_MODE_SINGLE_CPU", abi.PollingSingleCPU, ""},
		{"NETMAP_POLLING_MODE_MULTI_CPU", abi.PollingMultiCPU, ""},
	}},
	{"nmreq_opt_sync_kloop_mode.mode (NC B.9.4).", "0x%x", false, []value{
		{"NM_OPT_SYNC_KLOOP_DIRECT_TX", abi.KloopDirectTx, ""},
		{"NM_OPT_SYNC_KLOOP_DIRECT_RX", abi.KloopDirectRx, ""},
	}},
	{"nmreq.nr_ringid, of the old interface (NC B.2).", "0x%04x", false, []value{
		{"NETMAP_RING_MASK", abi.LegacyRingMask, ""},
		{"NETMAP_NO_TX_POLL", abi.LegacyNoTxPoll, ""},
		{"NETMAP_SW_RING", abi.LegacySwRing, ""},
		{"NETMAP_HW_RING", abi.LegacyHwRing, ""},
		{"NETMAP_DO_RX_POLL", abi.LegacyDoRxPoll, ""},
	}},
	{"nmreq.nr_flags: the mode, 0 to take it from nr_ringid.", "0x%x", false, []value{
		{"NR_REG_MASK", abi.LegacyModeMask, ""},
	}},
	{"nmreq.nr_cmd; 0 registers.", "%d", false, []value{
		{"NETMAP_BDG_ATTACH", abi.CmdAttach, ""},
		{"NETMAP_BDG_DETACH", abi.CmdDetach, ""},
		{"NETMAP_BDG_REGOPS", abi.CmdRegops, ""},
		{"NETMAP_BDG_LIST", abi.CmdList, ""},
		{"NETMAP_BDG_VNET_HDR", abi.CmdVnetHdr, ""},
		{"NETMAP_BDG_NEWIF", abi.CmdNewif, ""},
		{"NETMAP_BDG_DELIF", abi.CmdDelif, ""},
		{"NETMAP_PT_HOST_CREATE", abi.CmdPtCreate, ""},
		{"NETMAP_PT_HOST_DELETE", abi.CmdPtDelete, ""},
		{"NETMAP_BDG_POLLING_ON", abi.CmdPollOn, ""},
		{"NETMAP_BDG_POLLING_OFF", abi.CmdPollOff, ""},
		{"NETMAP_VNET_HDR_GET", abi.CmdVnetHdrGet, ""},
	}},
}
