package replay

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
)

const ms = time.Millisecond

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var epoch = time.Unix(1_700_000_000, 0)

// file writes frames of 60, 61, 62... bytes, at these times.
func file(t *testing.T, kind string, link layers.LinkType, at ...time.Duration) []byte {
	t.Helper()
	var b bytes.Buffer
	var write func(gopacket.CaptureInfo, []byte) error
	end := func() error { return nil }
	switch kind {
	case "pcap", "pcap.gz":
		w := pcapgo.NewWriterNanos(&b)
		must(t, w.WriteFileHeader(65535, link))
		write = w.WritePacket
	case "pcapng":
		w, err := pcapgo.NewNgWriter(&b, link)
		must(t, err)
		write, end = w.WritePacket, w.Flush
	}
	for i, d := range at {
		frame := bytes.Repeat([]byte{byte(i)}, 60+i)
		must(t, write(gopacket.CaptureInfo{Timestamp: epoch.Add(d), CaptureLength: len(frame), Length: len(frame)}, frame))
	}
	must(t, end())
	if kind == "pcap.gz" {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(b.Bytes())
		must(t, err)
		must(t, w.Close())
		return z.Bytes()
	}
	return b.Bytes()
}

func TestRead(t *testing.T) {
	for _, kind := range []string{"pcap", "pcap.gz", "pcapng"} {
		tr, err := read(bytes.NewReader(file(t, kind, layers.LinkTypeEthernet, 5*ms, 7*ms, 6*ms, 9*ms)))
		must(t, err)
		var at []time.Duration
		for i, f := range tr.frames {
			at = append(at, f.at)
			if b := tr.bytes(i); len(b) != 60+i || b[0] != byte(i) || b[len(b)-1] != byte(i) {
				t.Errorf("%s: frame %d: %x", kind, i, b)
			}
		}
		if !slices.Equal(at, []time.Duration{0, 2 * ms, 2 * ms, 4 * ms}) {
			t.Errorf("%s: at %v", kind, at)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := file(t, "pcap", layers.LinkTypeEthernet, 0, ms)
	for _, c := range []struct {
		what, says string
		data       []byte
	}{
		{"nothing", "expected a pcap or pcapng file, found 0 bytes", nil},
		{"text", "expected a pcap or pcapng file", []byte("hello, this is no capture at all")},
		{"no frames", "no frame", good[:24]},
		{"another link", "Ethernet", file(t, "pcap", layers.LinkTypeRaw, 0)},
		{"another link, pcapng", "Ethernet", file(t, "pcapng", layers.LinkTypeRaw, 0)},
		{"bad gzip", "gzip", []byte("\x1f\x8b then something")},
	} {
		if _, err := read(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	tr, err := read(bytes.NewReader(good[:len(good)-5])) // a capture that was killed
	if err != nil || len(tr.frames) != 1 {
		t.Errorf("broken off: %+v, %v", tr, err)
	}
}

// Files come from anywhere.
func FuzzRead(f *testing.F) {
	f.Add([]byte(magicNG))
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, err := read(io.LimitReader(bytes.NewReader(data), 1<<20))
		if err != nil {
			return
		}
		for i := range tr.frames {
			tr.bytes(i)
		}
	})
}

// A fake clock passes only when somebody waits; a fake port notes what it is
// given, and when, and has room for some frames until it is flushed.
type fake struct {
	time  time.Duration
	room  int
	used  int
	lines []string
	stop  func()
	limit int // frames after which stop is called
}

func (f *fake) now() time.Duration { return f.time }

func (f *fake) wait(ctx context.Context, d time.Duration) bool {
	f.time += d
	return ctx.Err() == nil
}

func (f *fake) send(frame []byte) bool {
	if f.used == f.room {
		return false
	}
	f.used++
	f.lines = append(f.lines, fmt.Sprintf("%v:%d", f.time, len(frame)))
	if len(f.lines) == f.limit {
		f.stop()
	}
	return true
}

func (f *fake) flush(context.Context, bool) error { f.used = 0; return nil }

func TestPlay(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		want   string
	}{
		{"its own pace", func(*Options) {}, "0s:60 2ms:61 2ms:62 4ms:63"},
		{"faster", func(o *Options) { o.Rate = "real,2" }, "0s:60 1ms:61 1ms:62 2ms:63"},
		{"slower", func(o *Options) { o.Rate = "real,0.5" }, "0s:60 4ms:61 4ms:62 8ms:63"},
		{"twice", func(o *Options) { o.Loops, o.Rate = 2, "real,0.75" }, "0s:60 2.666666ms:61 2.666666ms:62 5.333333ms:63 7.11111ms:60 9.777776ms:61 9.777776ms:62 12.444443ms:63"},
		{"at once", func(o *Options) { o.Rate = "0" }, "0s:60 0s:61 0s:62 0s:63"},
		{"a bandwidth", func(o *Options) { o.Rate = "480k" }, "1ms:60 2.016667ms:61 3.05ms:62 4.1ms:63"},
		{"ether", func(o *Options) { o.Rate = "ether,672k" }, "1ms:60 2.011905ms:61 3.035715ms:62 4.071429ms:63"},
		{"a delay", func(o *Options) { o.Delay = "10ms" }, "10ms:60 12ms:61 12ms:62 14ms:63"},
		{"all lost", func(o *Options) { o.Loss = "1" }, ""},
		{"bursts of one", func(o *Options) { o.Burst, o.Rate = 1, "0" }, "0s:60 0s:61 0s:62 0s:63"},
		{"no end", func(o *Options) { o.Loops, o.Rate = 0, "0" }, "0s:60 0s:61 0s:62 0s:63 0s:60 0s:61"},
	} {
		o := Default()
		o.File, o.Interface = "x", "vale0:x"
		c.change(&o)
		must(t, o.Validate())
		tr, err := read(bytes.NewReader(file(t, "pcapng", layers.LinkTypeEthernet, 0, 2*ms, 2*ms, 4*ms)))
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		f := &fake{room: 3, stop: cancel, limit: 6}
		if o.Loops != 0 {
			f.limit = -1
		}
		p := &player{o: &o, t: tr, clock: f, port: f, limit: 1000, link: linkmodel.NewSchedule(&o.link, rand.New(rand.NewPCG(1, 2))), report: func(Result) {}}
		if o.Loops == 0 {
			o.Burst = 2
		}
		if err := p.play(ctx); err != nil && o.Loops != 0 {
			t.Errorf("%s: %v", c.what, err)
		}
		cancel()
		got := strings.Join(f.lines, " ")
		if got != c.want || p.res.Sent != uint64(len(f.lines)) || p.res.Sent+p.res.Lost+p.res.TooLong < 4 {
			t.Errorf("%s: %s\nwant %s; %+v", c.what, got, c.want, p.res)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		says   string
	}{
		{"all", func(o *Options) { o.Rate, o.Delay, o.Loss, o.CPUs = "real,3", "exp,1ms,2ms", "ber,1e-6", "0,1" }, ""},
		{"no file", func(o *Options) { o.File = "" }, "no file"},
		{"no port", func(o *Options) { o.Interface = "" }, "no port"},
		{"speed 0", func(o *Options) { o.Rate = "real,0" }, "-B"},
		{"speed NaN", func(o *Options) { o.Rate = "real,NaN" }, "-B"},
		{"no rate", func(o *Options) { o.Rate = "fast" }, "-B"},
		{"no delay", func(o *Options) { o.Delay = "late" }, "-D"},
		{"no loss", func(o *Options) { o.Loss = "3" }, "-L"},
		{"no CPU", func(o *Options) { o.CPUs = "x" }, "-C"},
	} {
		o := Default()
		o.File, o.Interface = "x", "eth0"
		c.change(&o)
		if err := o.Validate(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	o := Default()
	o.File, o.Interface, o.Burst = "x", "eth0", 10000
	must(t, o.Validate())
	if o.Burst != 1024 || o.Wait != 2 || o.Interface != "netmap:eth0" {
		t.Errorf("%+v", o)
	}
}
