package pktgen

import (
	"net"
	"strings"
	"testing"
)

func mustFrame(t *testing.T, change func(*Options)) *frame {
	t.Helper()
	o := Default()
	o.Interface = "vale0:1"
	change(&o)
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := newFrame(&o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// check verifies lengths and both checksums as a receiver does: the sum over all
// that they cover is all ones.
func check(t *testing.T, b []byte) {
	t.Helper()
	ip := b[ipAt:udpAt]
	if n := int(be.Uint16(ip[2:])); n != len(b)-ipAt {
		t.Errorf("IP length %d, want %d", n, len(b)-ipAt)
	}
	if got := fold(sum(ip)); got != 0xffff {
		t.Errorf("IP header sums to %#x", got)
	}
	udp := b[udpAt:]
	if n := int(be.Uint16(udp[4:])); n != len(udp) {
		t.Errorf("UDP length %d, want %d", n, len(udp))
	}
	pseudo := sum(ip[12:20]) + 17 + uint32(len(udp))
	if got := fold(pseudo + sum(udp)); got != 0xffff || be.Uint16(udp[6:]) == 0 {
		t.Errorf("UDP sums to %#x, checksum %#x", got, be.Uint16(udp[6:]))
	}
}

func TestFrame(t *testing.T) {
	for _, length := range []int{42, 43, 60, 61, 1514, 9000, 65535} {
		f := mustFrame(t, func(o *Options) { o.Length = length })
		if len(f.bytes) != length {
			t.Fatalf("frame of %d bytes, want %d", len(f.bytes), length)
		}
		check(t, f.bytes)
	}
	f := mustFrame(t, func(o *Options) {
		o.Src, o.Dst, o.SrcMAC, o.DstMAC = "192.0.2.1:7", "192.0.2.2", "02:00:00:00:00:01", "02:00:00:00:00:02"
	})
	want := "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x08\x00"
	if string(f.bytes[:14]) != want {
		t.Errorf("Ethernet header %x, want %x", f.bytes[:14], want)
	}
	if string(f.bytes[26:38]) != "\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x07\x04\xd2" {
		t.Errorf("addresses and ports %x", f.bytes[26:38])
	}
	if f := mustFrame(t, func(o *Options) { o.Length = 16 }); f.length != 16 || len(f.bytes) != headersLen {
		t.Errorf("a frame shorter than its headers: %d of %d bytes", f.length, len(f.bytes))
	}
}

// A range visits every combination once, with right checksums, and starts over.
func TestRange(t *testing.T) {
	f := mustFrame(t, func(o *Options) { o.Src, o.Dst = "10.0.0.254:5-10.0.1.1:7", "10.1.0.1-10.1.0.2" })
	seen := map[string]int{}
	const combinations = 4 * 3 * 2
	for range 2 * combinations {
		check(t, f.bytes)
		seen[string(f.bytes[26:38])]++
		f.next()
	}
	if len(seen) != combinations {
		t.Errorf("%d combinations, want %d", len(seen), combinations)
	}
	for k, n := range seen {
		if n != 2 {
			t.Errorf("%x came %d times in two rounds", k, n)
		}
	}
	if f := mustFrame(t, func(*Options) {}); f.varies {
		t.Error("a single address varies")
	}
}

func TestBadOptions(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		says   string
	}{
		{func(o *Options) { o.Interface = "" }, "-i"},
		{func(o *Options) { o.Function = "fly" }, "-f"},
		{func(o *Options) { o.Length = 15 }, "-l"},
		{func(o *Options) { o.Length = 65536 }, "-l"},
		{func(o *Options) { o.Function, o.Length = FuncPing, 57 }, "-l"},
		{func(o *Options) { o.Burst = -1 }, "-b"},
		{func(o *Options) { o.Src = "host" }, "-s"},
		{func(o *Options) { o.Src = "::1" }, "-s"},
		{func(o *Options) { o.Src = "" }, "-s"},
		{func(o *Options) { o.Dst = "10.0.0.1:70000" }, "-d"},
		{func(o *Options) { o.Dst = "10.0.0.2-10.0.0.1" }, "-d"},
		{func(o *Options) { o.Dst = "10.0.0.1:9-10.0.0.2:8" }, "-d"},
		{func(o *Options) { o.SrcMAC = "02:00" }, "-S"},
		{func(o *Options) { o.DstMAC = "02:00:00:00:00:00:00:01" }, "-D"},
	} {
		o := Default()
		o.Interface = "vale0:1"
		c.change(&o)
		err := o.Validate()
		if err == nil {
			_, err = newFrame(&o)
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: error %v, want one about %s", o, err, c.says)
		}
	}
}

func TestPortName(t *testing.T) {
	for in, want := range map[string]string{
		"eth0": "netmap:eth0", "netmap:eth0-1/R": "netmap:eth0-1/R", "vale0:1": "vale0:1", "p{1": "netmap:p{1",
	} {
		if got := PortName(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
	if mac := interfaceMAC("vale0:1"); mac.String() != (net.HardwareAddr{0, 0, 0, 0, 0, 0}).String() {
		t.Errorf("a switch port has address %s", mac)
	}
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct {
		port, function string
		burst          int
		wait           float64
	}{
		{"vale0:1", FuncTx, 512, 0},
		{"eth0", FuncRx, 512, 2},
		{"eth0", FuncPing, 1, 2},
		{"vale0:1", FuncPong, 1, 0},
	} {
		o := Default()
		o.Interface, o.Function = c.port, c.function
		if err := o.Validate(); err != nil || o.Burst != c.burst || o.Wait != c.wait {
			t.Errorf("%s on %s: burst %d, wait %v, error %v", c.function, c.port, o.Burst, o.Wait, err)
		}
	}
}

func TestNumber(t *testing.T) {
	for in, want := range map[string]Number{"0": 0, "17": 17, "10k": 1e4, "10K": 1e4, "1.5M": 1500000, "2G": 2e9, "18446744073709551615": 1<<64 - 1} {
		var n Number
		if err := n.Set(in); err != nil || n != want {
			t.Errorf("%s is %d, %v; want %d", in, n, err, want)
		}
	}
	for _, in := range []string{"", "K", "-1", "1T", "1KK", "1 K", "NaN", "Inf", "1e300G", "0x10"} {
		var n Number
		if err := n.Set(in); err == nil {
			t.Errorf("%q is %d", in, n)
		}
	}
}

// What ping sends comes back from turn with both ends swapped, twice is as before.
func TestTurn(t *testing.T) {
	f := mustFrame(t, func(o *Options) { o.SrcMAC, o.Src, o.Dst = "02:00:00:00:00:01", "10.0.0.1:1", "10.0.0.2:2" })
	b := append([]byte(nil), f.bytes...)
	turn(b)
	check(t, b)
	if string(b[0:6]) != string(f.bytes[6:12]) || string(b[26:30]) != string(f.bytes[30:34]) || be.Uint16(b[34:]) != 2 {
		t.Errorf("turned headers %x", b[:42])
	}
	turn(b)
	if string(b) != string(f.bytes) {
		t.Error("turning twice changed the frame")
	}
	turn(make([]byte, ipAt)) // no more than it needs
}
