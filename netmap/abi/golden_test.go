package abi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// A cType says which C structure of the project's header a Go type is, and which
// member each of its fields.
type cType struct {
	name   string // "struct netmap_slot"
	of     any
	fields map[string]string // Go field to C member
}

// layouts has every structure that both the header and this package know.
var layouts = []cType{
	{"struct netmap_slot", Slot{}, map[string]string{"BufIdx": "buf_idx", "Len": "len", "Flags": "flags", "Ptr": "ptr"}},
	{"struct netmap_ring", RingHeader{}, map[string]string{
		"BufOfs": "buf_ofs", "NumSlots": "num_slots", "BufSize": "nr_buf_size", "RingID": "ringid", "Dir": "dir",
		"Head": "head", "Cur": "cur", "Tail": "tail", "Flags": "flags", "TsSec": "ts.tv_sec", "TsUsec": "ts.tv_usec",
		"OffsetMask": "offset_mask", "BufAlign": "buf_align", "Sem": "sem",
	}},
	{"struct netmap_if", IfHeader{}, map[string]string{
		"Name": "ni_name", "Version": "ni_version", "Flags": "ni_flags", "TxRings": "ni_tx_rings", "RxRings": "ni_rx_rings",
		"BufsHead": "ni_bufs_head", "HostTxRings": "ni_host_tx_rings", "HostRxRings": "ni_host_rx_rings",
	}},
	{"struct nmreq_register", Register{}, map[string]string{
		"Offset": "nr_offset", "MemSize": "nr_memsize", "TxSlots": "nr_tx_slots", "RxSlots": "nr_rx_slots",
		"TxRings": "nr_tx_rings", "RxRings": "nr_rx_rings", "HostTxRings": "nr_host_tx_rings", "HostRxRings": "nr_host_rx_rings",
		"MemID": "nr_mem_id", "RingID": "nr_ringid", "Mode": "nr_mode", "ExtraBufs": "nr_extra_bufs", "Flags": "nr_flags",
	}},
	{"struct nmreq_port_info_get", PortInfo{}, map[string]string{
		"MemSize": "nr_memsize", "TxSlots": "nr_tx_slots", "RxSlots": "nr_rx_slots", "TxRings": "nr_tx_rings", "RxRings": "nr_rx_rings",
		"HostTxRings": "nr_host_tx_rings", "HostRxRings": "nr_host_rx_rings", "MemID": "nr_mem_id",
	}},
	{"struct nmreq_pools_info", PoolsInfo{}, map[string]string{
		"MemSize": "nr_memsize", "MemID": "nr_mem_id",
		"IfOffset": "nr_if_pool_offset", "IfCount": "nr_if_pool_objtotal", "IfSize": "nr_if_pool_objsize",
		"RingOffset": "nr_ring_pool_offset", "RingCount": "nr_ring_pool_objtotal", "RingSize": "nr_ring_pool_objsize",
		"BufOffset": "nr_buf_pool_offset", "BufCount": "nr_buf_pool_objtotal", "BufSize": "nr_buf_pool_objsize",
	}},
	{"struct nmreq_vale_attach", ValeAttach{}, map[string]string{"Register": "reg", "PortIndex": "port_index"}},
	{"struct nmreq_vale_detach", ValeDetach{}, map[string]string{"PortIndex": "port_index"}},
	{"struct nmreq_vale_list", ValeList{}, map[string]string{"BridgeIdx": "nr_bridge_idx", "PortIdx": "nr_port_idx"}},
	{"struct nmreq_port_hdr", PortHdr{}, map[string]string{"HdrLen": "nr_hdr_len"}},
	{"struct nmreq", Legacy{}, map[string]string{
		"Name": "nr_name", "Version": "nr_version", "Offset": "nr_offset", "MemSize": "nr_memsize", "TxSlots": "nr_tx_slots", "RxSlots": "nr_rx_slots",
		"TxRings": "nr_tx_rings", "RxRings": "nr_rx_rings", "RingID": "nr_ringid", "Cmd": "nr_cmd",
		"Arg1": "nr_arg1", "Arg2": "nr_arg2", "Arg3": "nr_arg3", "Flags": "nr_flags",
	}},
}

// numbers are C expressions, what this package calls them, and their value as
// NC says it, so that the two cannot be wrong together.
var numbers = []struct {
	c       string
	go_, nc int64
}{
	{"NETMAP_API", APIVersion, 14},
	{"NETMAP_MIN_API", MinAPIVersion, 14},
	{"NETMAP_MAX_API", MaxAPIVersion, 15},
	{"NIOCGINFO", NIOCGINFO, 0xC03C6991},
	{"NIOCREGIF", NIOCREGIF, 0xC03C6992},
	{"NIOCTXSYNC", NIOCTXSYNC, 0x6994},
	{"NIOCRXSYNC", NIOCRXSYNC, 0x6995},
	{"NIOCCONFIG", NIOCCONFIG, 0xC1106996},
	{"NIOCCTRL", NIOCCTRL, 0xC0586997},

	{"NM_CACHE_ALIGN", RingAlign, 128},
	{"_Alignof(struct netmap_ring)", RingAlign, 128},
	{"sizeof(struct netmap_slot)", SlotSize, 16},
	{"sizeof(struct netmap_ring)", RingHeaderSize, 256},
	{"offsetof(struct netmap_ring, slot)", RingHeaderSize, 256},
	{"offsetof(struct netmap_if, ring_ofs)", IfHeaderSize, 56},
	{"sizeof(((struct netmap_if *)0)->ring_ofs[0])", int64(IfBytes(1) - IfBytes(0)), 8},
	{"NETMAP_MAX_FRAGS", MaxFragments, 64},
	{"NETMAP_REQ_IFNAMSIZ", NameSize, 64},
	{"NETMAP_REQ_MAXSIZE", MaxRequestSize, 4096},
	{"NI_PRIV_MEM", IfPrivate, 1},

	{"NS_BUF_CHANGED", NSBufChanged, 0x1},
	{"NS_REPORT", NSReport, 0x2},
	{"NS_FORWARD", NSForward, 0x4},
	{"NS_NO_LEARN", NSNoLearn, 0x8},
	{"NS_INDIRECT", NSIndirect, 0x10},
	{"NS_MOREFRAG", NSMoreFrag, 0x20},
	{"NS_TXMON", NSTxMon, 0x40},
	{"NS_PORT_SHIFT", NSFragShift, 8},
	{"NS_PORT_MASK", 0xff << NSFragShift, 0xff00},
	{"NR_TIMESTAMP", NRTimestamp, 0x2},
	{"NR_FORWARD", NRForward, 0x4},

	{"sizeof(struct nmreq_header)", HeaderSize, 88},
	{"offsetof(struct nmreq_header, nr_version)", 0, 0},
	{"offsetof(struct nmreq_header, nr_reqtype)", 2, 2},
	{"offsetof(struct nmreq_header, nr_reserved)", 4, 4},
	{"offsetof(struct nmreq_header, nr_name)", 8, 8},
	{"offsetof(struct nmreq_header, nr_options)", 72, 72},
	{"offsetof(struct nmreq_header, nr_body)", 80, 80},
	{"NETMAP_REQ_REGISTER", ReqRegister, 1},
	{"NETMAP_REQ_PORT_INFO_GET", ReqPortInfoGet, 2},
	{"NETMAP_REQ_VALE_ATTACH", ReqValeAttach, 3},
	{"NETMAP_REQ_VALE_DETACH", ReqValeDetach, 4},
	{"NETMAP_REQ_VALE_LIST", ReqValeList, 5},
	{"NETMAP_REQ_PORT_HDR_SET", ReqPortHdrSet, 6},
	{"NETMAP_REQ_PORT_HDR_GET", ReqPortHdrGet, 7},
	{"NETMAP_REQ_VALE_NEWIF", ReqValeNewif, 8},
	{"NETMAP_REQ_VALE_DELIF", ReqValeDelif, 9},
	{"NETMAP_REQ_VALE_POLLING_ENABLE", ReqValePollingEnable, 10},
	{"NETMAP_REQ_VALE_POLLING_DISABLE", ReqValePollingDisable, 11},
	{"NETMAP_REQ_POOLS_INFO_GET", ReqPoolsInfoGet, 12},
	{"NETMAP_REQ_SYNC_KLOOP_START", ReqSyncKloopStart, 13},
	{"NETMAP_REQ_SYNC_KLOOP_STOP", ReqSyncKloopStop, 14},
	{"NETMAP_REQ_CSB_ENABLE", ReqCsbEnable, 15},

	{"sizeof(struct nmreq_register)", int64(BodySize(ReqRegister)), 56},
	{"sizeof(struct nmreq_port_info_get)", int64(BodySize(ReqPortInfoGet)), 32},
	{"sizeof(struct nmreq_vale_attach)", int64(BodySize(ReqValeAttach)), 64},
	{"sizeof(struct nmreq_vale_detach)", int64(BodySize(ReqValeDetach)), 8},
	{"sizeof(struct nmreq_vale_list)", int64(BodySize(ReqValeList)), 8},
	{"sizeof(struct nmreq_port_hdr)", int64(BodySize(ReqPortHdrSet)), 8},
	{"sizeof(struct nmreq_port_hdr)", int64(BodySize(ReqPortHdrGet)), 8},
	{"sizeof(struct nmreq_vale_newif)", int64(BodySize(ReqValeNewif)), 16},
	{"sizeof(struct nmreq_vale_polling)", int64(BodySize(ReqValePollingEnable)), 16},
	{"sizeof(struct nmreq_vale_polling)", int64(BodySize(ReqValePollingDisable)), 16},
	{"sizeof(struct nmreq_pools_info)", int64(BodySize(ReqPoolsInfoGet)), 64},
	{"sizeof(struct nmreq_sync_kloop_start)", int64(BodySize(ReqSyncKloopStart)), 8},
	{"offsetof(struct nmreq_vale_newif, nr_mem_id)", 12, 12},
	{"offsetof(struct nmreq_vale_polling, nr_num_polling_cpus)", 8, 8},

	{"NR_REG_DEFAULT", ModeDefault, 0},
	{"NR_REG_ALL_NIC", ModeAllNIC, 1},
	{"NR_REG_SW", ModeSW, 2},
	{"NR_REG_NIC_SW", ModeNICSW, 3},
	{"NR_REG_ONE_NIC", ModeOneNIC, 4},
	{"NR_REG_PIPE_MASTER", ModePipeMaster, 5},
	{"NR_REG_PIPE_SLAVE", ModePipeSlave, 6},
	{"NR_REG_NULL", ModeNull, 7},
	{"NR_REG_ONE_SW", ModeOneSW, 8},
	{"NR_MONITOR_TX", FlagMonitorTx, 0x100},
	{"NR_MONITOR_RX", FlagMonitorRx, 0x200},
	{"NR_ZCOPY_MON", FlagZcopyMon, 0x400},
	{"NR_EXCLUSIVE", FlagExclusive, 0x800},
	{"NR_RX_RINGS_ONLY", FlagRxRingsOnly, 0x2000},
	{"NR_TX_RINGS_ONLY", FlagTxRingsOnly, 0x4000},
	{"NR_ACCEPT_VNET_HDR", FlagAcceptVnetHdr, 0x8000},
	{"NR_DO_RX_POLL", FlagDoRxPoll, 0x10000},
	{"NR_NO_TX_POLL", FlagNoTxPoll, 0x20000},

	{"sizeof(struct nmreq_option)", OptionHeaderSize, 24},
	{"offsetof(struct nmreq_option, nro_reqtype)", 8, 8},
	{"offsetof(struct nmreq_option, nro_status)", 12, 12},
	{"offsetof(struct nmreq_option, nro_size)", 16, 16},
	{"NETMAP_REQ_OPT_EXTMEM", OptExtmem, 1},
	{"NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS", OptSyncKloopEventfds, 2},
	{"NETMAP_REQ_OPT_CSB", OptCsb, 3},
	{"NETMAP_REQ_OPT_SYNC_KLOOP_MODE", OptSyncKloopMode, 4},
	{"NETMAP_REQ_OPT_OFFSETS", OptOffsets, 5},
	{"NETMAP_REQ_OPT_MAX", OptionTypes, 6},
	{"sizeof(struct nmreq_opt_extmem)", 96, 96},
	{"offsetof(struct nmreq_opt_extmem, nro_usrptr)", 24, 24},
	{"offsetof(struct nmreq_opt_extmem, nro_info)", 32, 32},
	{"sizeof(struct nmreq_opt_sync_kloop_eventfds)", 24, 24},
	{"sizeof(((struct nmreq_opt_sync_kloop_eventfds *)0)->eventfds[0])", 8, 8},
	{"sizeof(struct nmreq_opt_csb)", 40, 40},
	{"offsetof(struct nmreq_opt_csb, csb_ktoa)", 32, 32},
	{"sizeof(struct nmreq_opt_sync_kloop_mode)", 32, 32},
	{"sizeof(struct nmreq_opt_offsets)", 56, 56},
	{"offsetof(struct nmreq_opt_offsets, nro_initial_offset)", 32, 32},
	{"offsetof(struct nmreq_opt_offsets, nro_offset_bits)", 40, 40},
	{"offsetof(struct nmreq_opt_offsets, nro_tx_align)", 44, 44},
	{"offsetof(struct nmreq_opt_offsets, nro_min_gap)", 48, 48},

	{"sizeof(struct nmreq)", LegacyRequestSize, 60},
	{"sizeof(struct nm_ifreq)", LegacyConfigSize, 272},
	{"NETMAP_RING_MASK", LegacyRingMask, 0xfff},
	{"NETMAP_NO_TX_POLL", LegacyNoTxPoll, 0x1000},
	{"NETMAP_SW_RING", LegacySwRing, 0x2000},
	{"NETMAP_HW_RING", LegacyHwRing, 0x4000},
	{"NETMAP_DO_RX_POLL", LegacyDoRxPoll, 0x8000},
	{"NR_REG_MASK", LegacyModeMask, 0xf},
	{"NETMAP_BDG_ATTACH", CmdAttach, 1},
	{"NETMAP_BDG_DETACH", CmdDetach, 2},
	{"NETMAP_BDG_REGOPS", CmdRegops, 3},
	{"NETMAP_BDG_LIST", CmdList, 4},
	{"NETMAP_BDG_VNET_HDR", CmdVnetHdr, 5},
	{"NETMAP_BDG_NEWIF", CmdNewif, 6},
	{"NETMAP_BDG_DELIF", CmdDelif, 7},
	{"NETMAP_PT_HOST_CREATE", CmdPtCreate, 8},
	{"NETMAP_PT_HOST_DELETE", CmdPtDelete, 9},
	{"NETMAP_BDG_POLLING_ON", CmdPollOn, 10},
	{"NETMAP_BDG_POLLING_OFF", CmdPollOff, 11},
	{"NETMAP_VNET_HDR_GET", CmdVnetHdrGet, 12},

	// The first two lines of a sync block are netmap's control and status blocks.
	{"sizeof(struct nm_csb_atok)", syncOffset("core"), 64},
	{"sizeof(struct nm_csb_ktoa)", syncOffset("rhead") - syncOffset("core"), 64},
	{"offsetof(struct nm_csb_atok, head)", syncOffset("user"), 0},
	{"offsetof(struct nm_csb_atok, cur)", syncOffset("user") + 4, 4},
	{"offsetof(struct nm_csb_atok, appl_need_kick)", syncOffset("applNeedKick"), 8},
	{"offsetof(struct nm_csb_atok, sync_flags)", syncOffset("syncFlags"), 12},
	{"offsetof(struct nm_csb_ktoa, hwcur)", 0, 0},
	{"offsetof(struct nm_csb_ktoa, hwtail)", 4, 4},
	{"offsetof(struct nm_csb_ktoa, kern_need_kick)", syncOffset("kernNeedKick") - syncOffset("core"), 8},
}

func syncOffset(field string) int64 {
	f, ok := reflect.TypeFor[SyncBlock]().FieldByName(field)
	if !ok {
		panic("SyncBlock has no field " + field)
	}
	offset := int64(f.Offset) // in the part that has it
	if len(f.Index) > 1 {
		offset += int64(reflect.TypeFor[SyncBlock]().Field(f.Index[0]).Offset)
	}
	return offset
}

// TestGolden compares this package with what a C compiler makes of the header
// that programs are compiled with.
func TestGolden(t *testing.T) {
	var exprs []string
	var want []int64
	for _, l := range layouts {
		typ := reflect.TypeOf(l.of)
		used := 0
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			member, ok := l.fields[f.Name]
			if !ok {
				t.Errorf("%v.%s is compared with nothing", typ, f.Name)
				continue
			}
			used++
			exprs = append(exprs, fmt.Sprintf("offsetof(%s, %s)", l.name, member), fmt.Sprintf("sizeof(((%s *)0)->%s)", l.name, member))
			want = append(want, int64(f.Offset), int64(f.Type.Size()))
		}
		if used != len(l.fields) {
			t.Errorf("%v has %d fields, the table %d", typ, used, len(l.fields))
		}
		exprs, want = append(exprs, fmt.Sprintf("sizeof(%s)", l.name)), append(want, int64(typ.Size()))
	}
	for _, n := range numbers {
		if n.go_ != n.nc {
			t.Errorf("%s is %#x here, NC says %#x", n.c, n.go_, n.nc)
		}
		exprs, want = append(exprs, n.c), append(want, n.nc)
	}
	got := evaluate(t, exprs)
	for i, e := range exprs {
		if got[i] != want[i] {
			t.Errorf("%s is %#x in the header, want %#x", e, got[i], want[i])
		}
	}
}

// evaluate compiles and runs a C program that prints the expressions.
func evaluate(t *testing.T, exprs []string) []int64 {
	t.Helper()
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		t.Skipf("no C compiler: %v", err)
	}
	var src strings.Builder
	src.WriteString("#include <net/netmap.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n")
	for _, e := range exprs {
		fmt.Fprintf(&src, "\tprintf(\"%%lld\\n\", (long long)(%s));\n", e)
	}
	src.WriteString("\treturn 0;\n}\n")
	dir := t.TempDir()
	file, prog := filepath.Join(dir, "golden.c"), filepath.Join(dir, "golden")
	if err := os.WriteFile(file, []byte(src.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	// Strict, so that the header suits programs compiled in any way.
	include, err := filepath.Abs("../../clib/include")
	if err != nil {
		t.Fatal(err)
	}
	// go test sees what the test reads, not what the compiler does: without this
	// it would not run again when only the headers change.
	for _, h := range []string{"netmap.h", "netmap_legacy.h"} {
		if _, err := os.ReadFile(filepath.Join(include, "net", h)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(cc, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I", include, "-o", prog, file)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	out, err := exec.Command(prog).Output()
	if err != nil {
		t.Fatal(err)
	}
	var values []int64
	for line := range strings.Lines(string(out)) {
		var v int64
		if _, err := fmt.Sscan(line, &v); err != nil {
			t.Fatalf("the program prints %q: %v", line, err)
		}
		values = append(values, v)
	}
	if len(values) != len(exprs) {
		t.Fatalf("%d values of %d", len(values), len(exprs))
	}
	return values
}
