package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/netmapd/netmapd/netmap/abi"
)

// The layouts are a contract with the C library and with daemons of the same
// version: where each field lies is written down here a second time.
func TestLayouts(t *testing.T) {
	type fields map[string]uintptr
	for _, c := range []struct {
		body   any
		size   int
		fields fields
	}{
		{Header{}, 16, fields{"Magic": 0, "Version": 4, "Type": 6, "Length": 8, "Errno": 12}},
		{SessionAnswer{}, 16, fields{"Token": 0, "ID": 8}},
		{Control{}, 80, fields{"Token": 0, "ReqType": 8, "Version": 10, "OptionBytes": 12, "Errno": 14, "Name": 16}},
		{Option{}, 16, fields{"Type": 0, "Status": 4, "Size": 8}},
		{Legacy{}, 16, fields{"Token": 0, "Ioctl": 8, "Bound": 12}},
		{Iface{}, 104, fields{
			"Token": 0, "Name": 8, "MAC": 72, "Up": 78, "MTU": 80, "Index": 84,
			"TxRings": 88, "RxRings": 90, "TxSlots": 92, "RxSlots": 96,
		}},
		{Param{}, 112, fields{"Token": 0, "Op": 8, "Writable": 12, "Name": 16, "Value": 48}},
		{Join{}, 8, fields{"Token": 0}},
		{Redeem{}, 24, fields{"Token": 0, "Ticket": 8}},
		{Bind{}, 144, fields{
			"PortID": 0, "RegionSize": 8, "IfOffset": 16, "BufOffset": 24, "BufCount": 32, "BufSize": 36,
			"TxRings": 40, "RxRings": 42, "HostTxRings": 44, "HostRxRings": 46, "TxSlots": 48, "RxSlots": 52,
			"FirstTx": 56, "EndTx": 58, "FirstRx": 60, "EndRx": 62, "MemID": 64, "Features": 66, "Mode": 68, "Flags": 72, "Name": 80,
		}},
	} {
		typ := reflect.TypeOf(c.body)
		// Go's own layout is that of the messages: a C compiler would do the same.
		if n := binary.Size(c.body); n != c.size || int(typ.Size()) != c.size {
			t.Errorf("%v: %d bytes in a message, %d in memory, want %d", typ, n, typ.Size(), c.size)
		}
		named := 0
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			named++
			if off, ok := c.fields[f.Name]; !ok || off != f.Offset {
				t.Errorf("%v.%s lies at %d, want %d", typ, f.Name, f.Offset, off)
			}
		}
		if named != len(c.fields) {
			t.Errorf("%v has %d fields, the table %d", typ, named, len(c.fields))
		}
	}
	for what, n := range map[string][2]int{
		"HeaderSize": {HeaderSize, 16}, "OptionSize": {OptionSize, 16}, "MaxMessage": {MaxMessage, 8192}, "MaxFDs": {MaxFDs, 6},
		"TypeSession": {TypeSession, 1}, "TypeControl": {TypeControl, 2}, "TypeJoin": {TypeJoin, 3}, "TypeRedeem": {TypeRedeem, 4},
		"TypeLegacy": {TypeLegacy, 5}, "TypeIface": {TypeIface, 6}, "TypeParam": {TypeParam, 7},
		"ParamGet": {ParamGet, 1}, "ParamSet": {ParamSet, 2}, "ParamList": {ParamList, 3}, "Answer": {Answer, 0x8000},
		"FDRegion": {FDRegion, 0}, "FDSync": {FDSync, 1}, "FDWake": {FDWake, 2}, "FDHangup": {FDHangup, 3}, "BindFDs": {BindFDs, 4},
		"FDPipeSleep": {FDPipeSleep, 4}, "FDPipeWake": {FDPipeWake, 5}, "PipeFDs": {PipeFDs, 6}, "Version": {Version, 2},
		"WakeRings": {WakeRings, 1}, "WakeHangup": {WakeHangup, 2}, "WakePipe": {WakePipe, 3},
	} {
		if n[0] != n[1] {
			t.Errorf("%s is %d, want %d", what, n[0], n[1])
		}
	}
	if first := Append(nil, TypeJoin, 0, nil, nil)[:4]; string(first) != "NMD1" {
		t.Errorf("messages begin with %q, want NMD1", first)
	}
}

func TestRoundTrip(t *testing.T) {
	name := func(s string) (n [abi.NameSize]byte) {
		copy(n[:], s)
		return n
	}
	control := Control{Token: 1<<63 + 5, ReqType: abi.ReqRegister, Version: abi.APIVersion, Name: name("vale0:1")}
	msg := Append([]byte("before"), TypeControl, 0, control, []byte("tail"))
	if !bytes.HasPrefix(msg, []byte("before")) {
		t.Fatal("Append does not append")
	}
	h, rest, err := Parse(msg[len("before"):])
	if err != nil || h.Type != TypeControl || h.Length != uint32(HeaderSize+80+4) {
		t.Fatalf("header %+v, %v", h, err)
	}
	var got Control
	tail, err := Take(rest, &got)
	if err != nil || string(tail) != "tail" || got != control {
		t.Errorf("%+v, tail %q, %v", got, tail, err)
	}
}

func TestParseRefuses(t *testing.T) {
	good := func() []byte { return Append(nil, TypeJoin, 0, Join{Token: 1}, nil) }
	change := func(at int, v byte) []byte {
		b := good()
		b[at] = v
		return b
	}
	for _, c := range []struct {
		what string
		msg  []byte
		want string
	}{
		{"nothing", nil, "a header has 16 bytes, have 0"},
		{"a part of a header", good()[:15], "a header has 16 bytes, have 15"},
		{"magic", change(0, 0), "magic is 0x31444d00, want 0x31444d4e"},
		{"version", change(4, 3), "attach protocol version 3, this side speaks 2: client library and netmapd must be of one release"},
		{"longer than it says", append(good(), 0), "header says 24 bytes, have 25"},
		{"shorter than it says", good()[:23], "header says 24 bytes, have 23"},
		{"a length above 2^31", change(11, 0xff), "header says 4278190104 bytes, have 24"},
	} {
		_, _, err := Parse(c.msg)
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrMalformed and %q", c.what, err, c.want)
		}
	}
	var b Bind
	if _, err := Take(make([]byte, 143), &b); !errors.Is(err, ErrMalformed) {
		t.Errorf("a short body: %v, want ErrMalformed", err)
	}
}

// FuzzParse: whatever the bytes are, Parse and Take refuse them or agree with
// what Append makes of the parts.
func FuzzParse(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("NMD1"))
	for _, body := range []any{nil, SessionAnswer{ID: 1}, Control{Token: 1, ReqType: 1}, Join{}, Redeem{}, Bind{}, Legacy{}, Iface{}, Param{}} {
		f.Add(Append(nil, TypeSession, 0, body, nil))
		f.Add(Append(nil, TypeControl|Answer, 16, body, []byte("text for people")))
		f.Add(Append(nil, TypeJoin, 0, body, nil)[:8])
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		h, rest, err := Parse(msg)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("an error that is not ErrMalformed: %v", err)
			}
			return
		}
		if h.Magic != Magic || h.Version != Version || int(h.Length) != len(msg) || len(rest) != len(msg)-HeaderSize {
			t.Errorf("accepted: %+v of %d bytes, %d after the header", h, len(msg), len(rest))
		}
		if again := Append(nil, h.Type, h.Errno, nil, rest); !bytes.Equal(again, msg) {
			t.Errorf("%x parsed and built again is %x", msg, again)
		}
		for _, body := range []any{&SessionAnswer{}, &Control{}, &Join{}, &Redeem{}, &Bind{}, &Legacy{}, &Iface{}, &Param{}, &Option{}} {
			tail, err := Take(rest, body)
			n := binary.Size(body)
			if (err == nil) != (len(rest) >= n) || err == nil && len(tail) != len(rest)-n {
				t.Errorf("Take %T of %d bytes: tail of %d, %v", body, len(rest), len(tail), err)
			}
		}
	})
}
