package clib

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// types that the C headers repeat.
var types = map[string]reflect.Type{
	"wire.Header":        reflect.TypeFor[wire.Header](),
	"wire.SessionAnswer": reflect.TypeFor[wire.SessionAnswer](),
	"wire.Control":       reflect.TypeFor[wire.Control](),
	"wire.Option":        reflect.TypeFor[wire.Option](),
	"wire.Legacy":        reflect.TypeFor[wire.Legacy](),
	"wire.Iface":         reflect.TypeFor[wire.Iface](),
	"wire.Param":         reflect.TypeFor[wire.Param](),
	"wire.Join":          reflect.TypeFor[wire.Join](),
	"wire.Bind":          reflect.TypeFor[wire.Bind](),
	"abi.Slot":           reflect.TypeFor[abi.Slot](),
	"abi.RingHeader":     reflect.TypeFor[abi.RingHeader](),
	"abi.IfHeader":       reflect.TypeFor[abi.IfHeader](),
	"abi.SyncBlock":      reflect.TypeFor[abi.SyncBlock](),
}

// constants that the C headers repeat.
var constants = map[string]uint64{
	"Magic": wire.Magic, "Version": wire.Version, "MaxMessage": wire.MaxMessage, "MaxFDs": wire.MaxFDs,
	"TypeSession": wire.TypeSession, "TypeControl": wire.TypeControl, "TypeJoin": wire.TypeJoin,
	"TypeLegacy": wire.TypeLegacy, "TypeIface": wire.TypeIface, "TypeParam": wire.TypeParam, "TypeUnbind": wire.TypeUnbind,
	"ParamGet": wire.ParamGet, "ParamSet": wire.ParamSet, "Answer": wire.Answer,
	"FDRegion": wire.FDRegion, "FDSync": wire.FDSync, "FDWake": wire.FDWake, "FDHangup": wire.FDHangup,
	"BindFDs": wire.BindFDs, "WakeRings": wire.WakeRings, "WakeHangup": wire.WakeHangup, "WakePipe": wire.WakePipe,
	"FDPipeSleep": wire.FDPipeSleep, "FDPipeWake": wire.FDPipeWake, "PipeFDs": wire.PipeFDs,
	"NIOCGINFO": abi.NIOCGINFO, "NIOCREGIF": abi.NIOCREGIF, "NIOCTXSYNC": abi.NIOCTXSYNC,
	"NIOCRXSYNC": abi.NIOCRXSYNC, "NIOCCONFIG": abi.NIOCCONFIG, "NIOCCTRL": abi.NIOCCTRL,
	"MinAPIVersion": abi.MinAPIVersion, "MaxAPIVersion": abi.MaxAPIVersion,
	"RegisterSize": abi.RegisterSize, "LegacyRequestSize": abi.LegacyRequestSize, "LegacyConfigSize": abi.LegacyConfigSize,
	"MaxRequestSize": abi.MaxRequestSize, "FlagNoTxPoll": abi.FlagNoTxPoll,
	"NSIndirect": abi.NSIndirect, "NSIndirectFault": abi.NSIndirectFault, "FeatureIndirect": wire.FeatureIndirect,
	"FeatureSecondHalf": wire.FeatureSecondHalf,
	"OptionTypes":       abi.OptionTypes, "OptSyncKloopEventfds": abi.OptSyncKloopEventfds,
	"DirRx": abi.DirRx, "DirTx": abi.DirTx,
	"RingStopped": uint64(abi.RingStopped), "RingRunning": uint64(abi.RingRunning), "RingFrozen": uint64(abi.RingFrozen),
	"RingDirect":  uint64(abi.RingDirect),
	"BusyDaemon":  uint64(abi.BusyDaemon),
	"RingHolding": uint64(abi.RingHolding), "RingRefused": uint64(abi.RingRefused),
	"MinBufIndex": abi.MinBufIndex,
}

// The library's headers say what the Go packages say.
func TestLayouts(t *testing.T) {
	out, err := exec.Command(compile(t, "layout")).Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		var want string
		switch f[0] {
		case "size":
			seen[f[1]] = true
			want = fmt.Sprintf("size %s %d\n", f[1], types[f[1]].Size())
		case "at":
			i := strings.LastIndex(f[1], ".")
			typ := types[f[1][:i]]
			field, ok := typ.FieldByName(f[1][i+1:])
			if !ok {
				t.Fatalf("Go has no %s", f[1])
			}
			if len(field.Index) > 1 { // in an embedded part
				field.Offset += typ.Field(field.Index[0]).Offset
			}
			want = fmt.Sprintf("at %s %d %d\n", f[1], field.Offset, field.Type.Size())
		case "const":
			seen[f[1]] = true
			want = fmt.Sprintf("const %s %d\n", f[1], constants[f[1]])
		case "body":
			var typ uint16
			if _, err := fmt.Sscan(f[1], &typ); err != nil {
				t.Fatal(err)
			}
			want = fmt.Sprintf("body %d %d\n", typ, abi.BodySize(typ))
		}
		if line != want {
			t.Errorf("C says %sGo says %s", line, want)
		}
	}
	for name := range types {
		if !seen[name] {
			t.Errorf("C does not have %s", name)
		}
	}
	for name := range constants {
		if !seen[name] {
			t.Errorf("C does not have %s", name)
		}
	}
}

// The generated parts of the headers are what clib/gen makes of netmap/abi today; make generate-check says the same.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "run", "./gen", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"include/net/netmap_values.h", "libnetmap/layouts.c"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || string(got) != string(want) {
			t.Errorf("clib/%s is stale (%v): run 'make generate' and commit the result", name, err)
		}
	}
}
