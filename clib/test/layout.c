/* layout: what the compiler makes of the library's headers, a number a line, for clib_test.go. */
#include <stddef.h>
#include <stdio.h>

#include "../src/abi.h"
#include "../src/wire.h"

#define SIZE(c, go) printf("size %s %zu\n", go, sizeof(struct c))
#define AT(c, f, go) printf("at %s %zu %zu\n", go, offsetof(struct c, f), sizeof(((struct c *)0)->f))
#define CONST(c, go) printf("const %s %llu\n", go, (unsigned long long)(c))

int main(void)
{
	SIZE(nmd_header, "wire.Header");
	AT(nmd_header, magic, "wire.Header.Magic");
	AT(nmd_header, version, "wire.Header.Version");
	AT(nmd_header, type, "wire.Header.Type");
	AT(nmd_header, length, "wire.Header.Length");
	AT(nmd_header, err, "wire.Header.Errno");
	SIZE(nmd_session_answer, "wire.SessionAnswer");
	AT(nmd_session_answer, token, "wire.SessionAnswer.Token");
	AT(nmd_session_answer, id, "wire.SessionAnswer.ID");
	SIZE(nmd_control, "wire.Control");
	AT(nmd_control, token, "wire.Control.Token");
	AT(nmd_control, req_type, "wire.Control.ReqType");
	AT(nmd_control, version, "wire.Control.Version");
	AT(nmd_control, option_bytes, "wire.Control.OptionBytes");
	AT(nmd_control, err, "wire.Control.Errno");
	AT(nmd_control, name, "wire.Control.Name");
	SIZE(nmd_option, "wire.Option");
	AT(nmd_option, type, "wire.Option.Type");
	AT(nmd_option, status, "wire.Option.Status");
	AT(nmd_option, size, "wire.Option.Size");
	SIZE(nmd_legacy, "wire.Legacy");
	AT(nmd_legacy, token, "wire.Legacy.Token");
	AT(nmd_legacy, ioctl, "wire.Legacy.Ioctl");
	AT(nmd_legacy, bound, "wire.Legacy.Bound");
	SIZE(nmd_iface, "wire.Iface");
	AT(nmd_iface, token, "wire.Iface.Token");
	AT(nmd_iface, name, "wire.Iface.Name");
	AT(nmd_iface, mac, "wire.Iface.MAC");
	AT(nmd_iface, up, "wire.Iface.Up");
	AT(nmd_iface, mtu, "wire.Iface.MTU");
	AT(nmd_iface, index, "wire.Iface.Index");
	AT(nmd_iface, tx_rings, "wire.Iface.TxRings");
	AT(nmd_iface, rx_rings, "wire.Iface.RxRings");
	AT(nmd_iface, tx_slots, "wire.Iface.TxSlots");
	AT(nmd_iface, rx_slots, "wire.Iface.RxSlots");
	SIZE(nmd_param, "wire.Param");
	AT(nmd_param, token, "wire.Param.Token");
	AT(nmd_param, op, "wire.Param.Op");
	AT(nmd_param, writable, "wire.Param.Writable");
	AT(nmd_param, name, "wire.Param.Name");
	AT(nmd_param, value, "wire.Param.Value");
	SIZE(nmd_join, "wire.Join");
	AT(nmd_join, token, "wire.Join.Token");
	SIZE(nmd_bind, "wire.Bind");
	AT(nmd_bind, port_id, "wire.Bind.PortID");
	AT(nmd_bind, region_size, "wire.Bind.RegionSize");
	AT(nmd_bind, if_offset, "wire.Bind.IfOffset");
	AT(nmd_bind, buf_offset, "wire.Bind.BufOffset");
	AT(nmd_bind, buf_count, "wire.Bind.BufCount");
	AT(nmd_bind, buf_size, "wire.Bind.BufSize");
	AT(nmd_bind, tx_rings, "wire.Bind.TxRings");
	AT(nmd_bind, rx_rings, "wire.Bind.RxRings");
	AT(nmd_bind, host_tx_rings, "wire.Bind.HostTxRings");
	AT(nmd_bind, host_rx_rings, "wire.Bind.HostRxRings");
	AT(nmd_bind, tx_slots, "wire.Bind.TxSlots");
	AT(nmd_bind, rx_slots, "wire.Bind.RxSlots");
	AT(nmd_bind, first_tx, "wire.Bind.FirstTx");
	AT(nmd_bind, end_tx, "wire.Bind.EndTx");
	AT(nmd_bind, first_rx, "wire.Bind.FirstRx");
	AT(nmd_bind, end_rx, "wire.Bind.EndRx");
	AT(nmd_bind, mem_id, "wire.Bind.MemID");
	AT(nmd_bind, mode, "wire.Bind.Mode");
	AT(nmd_bind, flags, "wire.Bind.Flags");
	AT(nmd_bind, name, "wire.Bind.Name");

	SIZE(nmd_slot, "abi.Slot");
	AT(nmd_slot, ptr, "abi.Slot.Ptr");
	SIZE(nmd_ring_hdr, "abi.RingHeader");
	AT(nmd_ring_hdr, buf_ofs, "abi.RingHeader.BufOfs");
	AT(nmd_ring_hdr, num_slots, "abi.RingHeader.NumSlots");
	AT(nmd_ring_hdr, head, "abi.RingHeader.Head");
	AT(nmd_ring_hdr, cur, "abi.RingHeader.Cur");
	AT(nmd_ring_hdr, tail, "abi.RingHeader.Tail");
	AT(nmd_ring_hdr, ts_sec, "abi.RingHeader.TsSec");
	AT(nmd_ring_hdr, ts_usec, "abi.RingHeader.TsUsec");
	AT(nmd_ring_hdr, sem, "abi.RingHeader.Sem");
	SIZE(nmd_if, "abi.IfHeader");
	AT(nmd_if, tx_rings, "abi.IfHeader.TxRings");
	AT(nmd_if, host_rx_rings, "abi.IfHeader.HostRxRings");
	SIZE(nmd_sync_block, "abi.SyncBlock");
	AT(nmd_sync_block, user, "abi.SyncBlock.user");
	AT(nmd_sync_block, appl_need_kick, "abi.SyncBlock.applNeedKick");
	AT(nmd_sync_block, core, "abi.SyncBlock.core");
	AT(nmd_sync_block, kern_need_kick, "abi.SyncBlock.kernNeedKick");
	AT(nmd_sync_block, state, "abi.SyncBlock.state");
	AT(nmd_sync_block, lcore_cpu, "abi.SyncBlock.lcoreCPU");
	AT(nmd_sync_block, rhead, "abi.SyncBlock.rhead");
	AT(nmd_sync_block, rcur, "abi.SyncBlock.rcur");
	AT(nmd_sync_block, rtail, "abi.SyncBlock.rtail");
	AT(nmd_sync_block, busy, "abi.SyncBlock.busy");
	AT(nmd_sync_block, csb, "abi.SyncBlock.csb");
	AT(nmd_sync_block, loop, "abi.SyncBlock.loop");
	AT(nmd_sync_block, stop, "abi.SyncBlock.stop");
	AT(nmd_sync_block, peer_ring, "abi.SyncBlock.peerRing");
	AT(nmd_sync_block, peer_block, "abi.SyncBlock.peerBlock");
	AT(nmd_sync_block, peer_max, "abi.SyncBlock.peerMax");
	AT(nmd_sync_block, peer_mask, "abi.SyncBlock.peerMask");

	CONST(NMD_MAGIC, "Magic");
	CONST(NMD_VERSION, "Version");
	CONST(NMD_MAX_MESSAGE, "MaxMessage");
	CONST(NMD_MAX_FDS, "MaxFDs");
	CONST(NMD_TYPE_SESSION, "TypeSession");
	CONST(NMD_TYPE_CONTROL, "TypeControl");
	CONST(NMD_TYPE_JOIN, "TypeJoin");
	CONST(NMD_TYPE_LEGACY, "TypeLegacy");
	CONST(NMD_TYPE_IFACE, "TypeIface");
	CONST(NMD_TYPE_PARAM, "TypeParam");
	CONST(NMD_PARAM_GET, "ParamGet");
	CONST(NMD_PARAM_SET, "ParamSet");
	CONST(NMD_TYPE_UNBIND, "TypeUnbind");
	CONST(NMD_ANSWER, "Answer");
	CONST(NMD_FD_REGION, "FDRegion");
	CONST(NMD_FD_SYNC, "FDSync");
	CONST(NMD_FD_WAKE, "FDWake");
	CONST(NMD_FD_HANGUP, "FDHangup");
	CONST(NMD_WAKE_RINGS, "WakeRings");
	CONST(NMD_WAKE_HANGUP, "WakeHangup");
	CONST(NMD_WAKE_PIPE, "WakePipe");
	CONST(NMD_BIND_FDS, "BindFDs");
	CONST(NMD_FD_PIPE_SLEEP, "FDPipeSleep");
	CONST(NMD_FD_PIPE_WAKE, "FDPipeWake");
	CONST(NMD_PIPE_FDS, "PipeFDs");
	CONST(NMD_NIOCGINFO, "NIOCGINFO");
	CONST(NMD_NIOCREGIF, "NIOCREGIF");
	CONST(NMD_NIOCTXSYNC, "NIOCTXSYNC");
	CONST(NMD_NIOCRXSYNC, "NIOCRXSYNC");
	CONST(NMD_NIOCCONFIG, "NIOCCONFIG");
	CONST(NMD_NIOCCTRL, "NIOCCTRL");
	CONST(NMD_API_MIN, "MinAPIVersion");
	CONST(NMD_API_MAX, "MaxAPIVersion");
	CONST(NMD_REGISTER_SIZE, "RegisterSize");
	CONST(NMD_LEGACY_SIZE, "LegacyRequestSize");
	CONST(NMD_CONFIG_SIZE, "LegacyConfigSize");
	CONST(NMD_MAX_REQUEST, "MaxRequestSize");
	CONST(NMD_FLAG_NO_TX_POLL, "FlagNoTxPoll");
	CONST(NMD_NS_INDIRECT, "NSIndirect");
	CONST(NMD_NS_INDIRECT_FAULT, "NSIndirectFault");
	CONST(NMD_FEATURE_INDIRECT, "FeatureIndirect");
	CONST(NMD_FEATURE_SECOND_HALF, "FeatureSecondHalf");
	CONST(NMD_OPT_TYPES, "OptionTypes");
	CONST(NMD_OPT_KLOOP_EVENTFDS, "OptSyncKloopEventfds");
	CONST(NMD_DIR_RX, "DirRx");
	CONST(NMD_DIR_TX, "DirTx");
	CONST(NMD_STOPPED, "RingStopped");
	CONST(NMD_RUNNING, "RingRunning");
	CONST(NMD_FROZEN, "RingFrozen");
	CONST(NMD_HOLDING, "RingHolding");
	CONST(NMD_REFUSED, "RingRefused");
	CONST(NMD_DIRECT, "RingDirect");
	CONST(NMD_BUSY_DAEMON, "BusyDaemon");
	CONST(NMD_MIN_BUF, "MinBufIndex");
	for (unsigned type = 0; type <= NMD_REQ_TYPES; type++)
		printf("body %u %u\n", type, nmd_body_size((uint16_t)type));
	return 0;
}
