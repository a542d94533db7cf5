package clib

import (
	"encoding/binary"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

var seedsTo = flag.String("seeds", "", "write the seeds of the fuzz targets to this folder, and no more")

// The requests of fuzz/answers.c and what an input's second byte says.
const (
	fuzzSession = iota
	fuzzRegister
	fuzzInfo
	fuzzRegif
	fuzzGinfo
	fuzzConfig
	fuzzJoin
	fuzzIface

	fuzzWhole, fuzzUnsealed, fuzzTwice, fuzzOptions, fuzzSync = 0x08, 0x10, 0x20, 0x40, 0x80
)

// answerSeed is an input of fuzz/answers.c: an answer as the daemon would give it.
func answerSeed(request, how byte, body []byte) []byte {
	ringOfs := abi.Encode(nil, []int64{4096, 0, 8192, 0})
	return append(append([]byte{request, how, 0, 0}, ringOfs...), body...)
}

// answerSeeds are answers of every type, and some that were taken badly once.
func answerSeeds() map[string][]byte {
	bind := wire.Bind{
		RegionSize: 1 << 20, BufOffset: 65536, BufCount: 100, BufSize: 2048, TxRings: 1, RxRings: 1,
		HostTxRings: 1, HostRxRings: 1, TxSlots: 64, RxSlots: 64, EndTx: 1, EndRx: 1, MemID: 2,
	}
	tiny := bind
	tiny.RegionSize, tiny.BufOffset, tiny.BufCount, tiny.BufSize, tiny.IfOffset = 16, 0, 2, 1, 1<<30
	body := func(parts ...any) (b []byte) {
		for _, p := range parts {
			if raw, ok := p.([]byte); ok {
				b = append(b, raw...)
			} else {
				b = abi.Encode(b, p)
			}
		}
		return b
	}
	refused := wire.Append(nil, wire.TypeControl|wire.Answer, 22, nil, []byte("no"))
	option := func(kind, status uint32, content []byte) []byte {
		return body(wire.Option{Type: kind, Status: status, Size: uint32(len(content))}, content)
	}
	control := wire.Control{Token: 1, ReqType: 1, Version: 14}
	unknownErrno := control
	unknownErrno.Errno = 60000
	return map[string][]byte{
		"session":            answerSeed(fuzzSession, 1, body(wire.SessionAnswer{Token: 1, ID: 1})),
		"register":           answerSeed(fuzzRegister, wire.BindFDs|fuzzSync, body(control, bind, abi.Register{})),
		"register-options":   answerSeed(fuzzRegister, wire.BindFDs|fuzzOptions, body(control, bind, abi.Register{}, option(77, 95, nil), option(abi.OptOffsets, 0, make([]byte, 32)))),
		"register-unsealed":  answerSeed(fuzzRegister, wire.BindFDs|fuzzUnsealed, body(control, bind, abi.Register{})),
		"register-refused":   answerSeed(fuzzRegister, fuzzWhole, refused),
		"register-errno":     answerSeed(fuzzRegister, 0, body(unknownErrno, abi.Register{})),
		"register-twice":     answerSeed(fuzzRegister, wire.BindFDs|fuzzTwice, body(control, bind, abi.Register{})),
		"register-tiny":      answerSeed(fuzzRegister, wire.BindFDs, body(control, tiny, abi.Register{})),
		"info":               answerSeed(fuzzInfo, 0, body(control, make([]byte, 32))),
		"regif":              answerSeed(fuzzRegif, wire.BindFDs, body(wire.Legacy{Token: 1, Bound: 1}, bind, abi.Register{}, abi.Legacy{})),
		"ginfo":              answerSeed(fuzzGinfo, 0, body(wire.Legacy{Token: 1}, abi.Legacy{})),
		"config":             answerSeed(fuzzConfig, 0, body(wire.Legacy{Token: 1}, make([]byte, 272))),
		"join":               answerSeed(fuzzJoin, wire.BindFDs|fuzzSync, body(bind, abi.Register{})),
		"iface":              answerSeed(fuzzIface, 0, body(wire.Iface{Token: 1, Up: 1, Index: 7})),
		"too-many-received":  answerSeed(fuzzRegister, 6, body(control, bind, abi.Register{})),
		"session-not-header": answerSeed(fuzzSession, 1|fuzzWhole, []byte{1}),
	}
}

// optionSeeds are inputs of fuzz/options.c: lists in a program's memory, and how the daemon's answer differs.
func optionSeeds() map[string][]byte {
	const arena, bodyLen = 0x10000000, 56
	option := func(next uint64, kind uint32, size uint64, content int) []byte {
		b := binary.LittleEndian.AppendUint64(nil, next)
		b = binary.LittleEndian.AppendUint32(b, kind)
		b = binary.LittleEndian.AppendUint32(b, 0)
		return append(binary.LittleEndian.AppendUint64(b, size), make([]byte, content)...)
	}
	seed := func(first uint64, memory, changes []byte) []byte {
		b := binary.LittleEndian.AppendUint64(nil, first)
		b = binary.LittleEndian.AppendUint16(b, bodyLen)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(changes)))
		return append(append(b, memory...), changes...)
	}
	two := append(option(arena+56, abi.OptOffsets, 56, 32), option(0, 77, 0, 0)...)
	return map[string][]byte{
		"none":     seed(0, nil, nil),
		"two":      seed(arena, two, nil),
		"answered": seed(arena, two, []byte{4, 0, 95, 16, 0, 1}),
		"shorter":  seed(arena, two, []byte{0}),
		"cycle":    seed(arena, option(arena, 77, 0, 0), nil),
		"doubled":  seed(arena, append(option(arena+56, abi.OptOffsets, 56, 32), option(0, abi.OptOffsets, 56, 32)...), nil),
		"eventfds": seed(arena, option(0, 2, 24+64, 64), nil),
		"wild":     seed(1, nil, nil),
	}
}

// TestFuzzTargets runs each target of fuzz/ for a short while: over its seeds, and what the fuzzer makes of them.
// make fuzz runs them for longer.
func TestFuzzTargets(t *testing.T) {
	seeds := map[string]map[string][]byte{"answers": answerSeeds(), "options": optionSeeds()}
	if *seedsTo != "" {
		writeSeeds(t, *seedsTo, seeds)
		return
	}
	if out, err := exec.Command("clang", "--version").CombinedOutput(); err != nil {
		t.Skipf("no clang to compile the targets with (Debian package clang): %v %s", err, out)
	}
	// clang prints the bare name for a library that it does not find.
	rt, err := exec.Command("clang", "-print-file-name=libclang_rt.fuzzer-x86_64.a").Output()
	if err != nil || !filepath.IsAbs(string(rt)) {
		t.Skip("clang has no libFuzzer (Debian package libclang-rt-14-dev)")
	}
	dir := t.TempDir()
	if out, err := exec.Command("make", "-C", "..", "fuzz-targets", "BIN="+dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	writeSeeds(t, dir, seeds)
	for target := range seeds {
		t.Run(target, func(t *testing.T) {
			// The same seed, so that a failure comes again.
			cmd := exec.Command(filepath.Join(dir, "fuzz-"+target), "-runs=20000", "-seed=1", "-max_len=1024",
				"-artifact_prefix="+dir+"/", filepath.Join(dir, target))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func writeSeeds(t *testing.T, dir string, seeds map[string]map[string][]byte) {
	t.Helper()
	for target, inputs := range seeds {
		if err := os.MkdirAll(filepath.Join(dir, target), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, input := range inputs {
			if err := os.WriteFile(filepath.Join(dir, target, name), input, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
