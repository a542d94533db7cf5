package tooltest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/dedup"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/replay"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/tlem"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/flows"
)

// A file of frames of many sizes arrives as it is, as often as asked for; the
// longest needs several slots.
func TestReplay(t *testing.T) {
	b := newBed(t)
	path := filepath.Join(t.TempDir(), "x.pcapng")
	f, err := os.Create(path)
	must(t, err)
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
	must(t, err)
	var frames [][]byte
	for i := range 700 {
		frame := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 30+i*3)
		frames = append(frames, frame)
		at := time.Unix(1_700_000_000, int64(i)*20_000)
		must(t, w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(frame), Length: len(frame)}, frame))
	}
	must(t, w.Flush())
	must(t, f.Close())
	for _, c := range []struct {
		rate  string
		loops uint64
	}{{"0", 3}, {"real", 1}, {"real,2", 2}, {"ether,10G", 1}} {
		sink := b.open("netmap:rp}1")
		done := make(chan error, 1)
		go func() {
			buf, got := make([]byte, 1<<16), 0
			for got < len(frames)*int(c.loops) {
				n, ok := sink.RxRings()[0].Recv(buf)
				if !ok {
					if _, err := sink.Poll(b.ctx, netmap.PollIn); err != nil {
						done <- err
						return
					}
					continue
				}
				if !bytes.Equal(buf[:n], frames[got%len(frames)]) {
					t.Errorf("-B %s: frame %d has %d bytes and begins with %x", c.rate, got, n, buf[:2])
				}
				got++
			}
			done <- sink.RxSync()
		}()
		o := replay.Default()
		o.File, o.Interface, o.Rate, o.Loops = path, "netmap:rp{1", c.rate, c.loops
		var out buffer
		res, err := replay.Run(b.ctx, o, &out, netmap.WithRuntimeDir(b.dir))
		must(t, err)
		must(t, <-done)
		if res.Sent != c.loops*700 || res.Lost+res.TooLong != 0 {
			t.Errorf("-B %s: %+v\n%s", c.rate, res, out.String())
		}
		must(t, sink.Close())
	}
}

func (b *bed) tlem(change func(*tlem.Options), ports ...string) *toolJob[tlem.Result] {
	b.t.Helper()
	o := tlem.Default()
	o.Interfaces = ports
	change(&o)
	return startTool(b, " -> ", func(ctx context.Context, out *buffer) (tlem.Result, error) {
		return tlem.Run(ctx, o, out, netmap.WithRuntimeDir(b.dir))
	})
}

// Frames cross the link in both directions, in order; none is lost unless asked
// for, and then it is counted. Delays are long enough to fill the line.
func TestTLEM(t *testing.T) {
	for _, c := range []struct {
		what    string
		change  func(*tlem.Options)
		there   []string // ports of the two ends
		ordered bool
		lossy   bool
	}{
		{"swapped", func(*tlem.Options) {}, []string{"netmap:l{1", "netmap:l{2"}, true, false},
		{"copied", func(o *tlem.Options) { o.Copy = true }, []string{"netmap:l{1", "netmap:l{2"}, true, false},
		{"delay", func(o *tlem.Options) { o.Delay = []string{"2ms", "uniform,0,3ms"} }, []string{"netmap:l{1", "netmap:m{2"}, true, false},
		{"bandwidth", func(o *tlem.Options) { o.Rate, o.Queue = []string{"500M"}, []string{"0"} }, []string{"netmap:l{1", "netmap:m{2"}, true, false},
		{"loss", func(o *tlem.Options) { o.Loss = []string{"0.1"} }, []string{"netmap:l{1", "netmap:m{2"}, true, true},
		{"reordering", func(o *tlem.Options) { o.Hold = []string{"const,0.1,1ms"} }, []string{"netmap:l{1", "netmap:m{2"}, false, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBed(t)
			const connections, frames = 50, 10_000
			ends := [2]*netmap.Desc{b.open(c.there[0]), b.open(c.there[1])}
			j := b.tlem(c.change, other(c.there[0]), other(c.there[1]))
			var checkers [2]*flows.Checker
			ctx, stop := context.WithCancel(b.ctx)
			defer stop()
			done := make(chan error, 2)
			for i, d := range ends {
				checkers[i] = flows.NewChecker(connections, 1)
				go func() { done <- checkers[i].Receive(ctx, 0, d) }()
			}
			for i, d := range ends {
				sent, err := flows.Send(b.ctx, d, connections, frames, 0, nil)
				must(t, err)
				if !c.lossy {
					b.waitFor("the last frames", func() bool { return checkers[1-i].Got() >= sent })
				}
			}
			var res tlem.Result
			if c.lossy {
				b.waitFor("some frames", func() bool { return min(checkers[0].Got(), checkers[1].Got()) > frames*8/10 })
			}
			res = j.end()
			stop()
			must(t, <-done)
			must(t, <-done)
			for i, k := range checkers {
				r, n := k.Result(frames), res[1-i]
				switch {
				case c.lossy && (n.Lost < n.Received/20 || n.Lost > n.Received/5 || n.Sent+n.Lost > n.Received || r.Reordered != 0):
					t.Errorf("%+v %+v", r, n)
				case c.ordered && !c.lossy && r.Err() != nil:
					t.Errorf("%v: %+v %+v", r.Err(), r, n)
				case !c.ordered && (r.Got != frames || r.Reordered == 0 || n.Held == 0):
					t.Errorf("%+v %+v", r, n)
				}
			}
		})
	}
}

// other is the other end of a pipe.
func other(name string) string {
	return string(bytes.ReplaceAll([]byte(name), []byte("{"), []byte("}")))
}

// Duplicates inside the window are left out, whatever the buffers do; others
// arrive once, in order (TL-07).
func TestDedup(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*dedup.Options)
		out    string
	}{
		{"swapped", func(*dedup.Options) {}, "netmap:d{2"},
		{"copied", func(o *dedup.Options) { o.Copy = true }, "netmap:d{2"},
		{"held", func(o *dedup.Options) { o.Hold = true }, "netmap:d{2"},
		{"another region", func(*dedup.Options) {}, "vale0:out"},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newBed(t)
			const frames, copies = 2000, 3
			in := b.open("netmap:d{1")
			sinkName := other(c.out)
			if c.out == "vale0:out" {
				sinkName = "vale0:sink"
			}
			k := flows.NewChecker(1, 1)
			b.sinks(k, sinkName)
			o := dedup.Default()
			o.Interfaces = []string{"netmap:d}1", c.out}
			o.Window, o.Fifo = 1000*1000*1000, 10
			c.change(&o)
			j := startTool(b, "window", func(ctx context.Context, out *buffer) (dedup.Result, error) {
				return dedup.Run(ctx, o, out, netmap.WithRuntimeDir(b.dir))
			})
			r := in.TxRings()[0]
			for i := range uint32(frames) {
				for range copies {
					var f [flows.Length]byte
					flows.Frame(f[:], 0, i)
					for !r.Send(f[:]) {
						_, err := in.Poll(b.ctx, netmap.PollOut)
						must(t, err)
					}
				}
				if i%100 == 0 { // a switch may drop what comes faster than it is taken
					must(t, in.TxSync())
					b.waitFor("frames", func() bool { return k.Got()+uint64(o.Fifo)+1 >= uint64(i) })
				}
			}
			must(t, in.Flush(b.ctx))
			b.waitFor("the last frames", func() bool { return k.Got()+uint64(o.Fifo) >= frames })
			res := j.end() // sends what is held
			b.waitFor("the last frames", func() bool { return k.Got() >= frames })
			if err := k.Result(frames).Err(); err != nil || res.Received != frames*copies || res.Sent != frames || res.Duplicates != frames*(copies-1) {
				t.Errorf("%v %+v", err, res)
			}
		})
	}
}
