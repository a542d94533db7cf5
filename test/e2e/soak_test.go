package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// soak is NETMAPD_SOAK=1: the long form of what is short otherwise.
var soak = os.Getenv("NETMAPD_SOAK") == "1"

func times(short, long int) int {
	if soak {
		return long
	}
	return short
}

// What soakers open: ports of a region that all share, and ports with regions of
// their own. %d is a small number.
var soakNames = []string{
	"vale9:s%d", "vale9:s%d", "vale9:s1{%d", "vale9:s1}%d", "vale9:s%d/T/R", // in the named region; the last a monitor
	"vale8:p%d", "vale8:p%d", "vale8:p1{%d", "vale8:p1}%d", "vale8:q{%d", "vale8:p%d@offset:initial=32,bits=8",
}

// A soaker is a process that does anything with ports until it is killed.
type soaker struct {
	rnd   *rand.Rand
	descs []*netmap.Desc
	seq   uint64
	buf   [2048]byte
}

// soaking (seed) opens, closes, sends, receives, exchanges buffers and hides them.
func soaking(k *talk) error {
	seed, err := strconv.ParseUint(k.args[0], 10, 64)
	if err != nil {
		return err
	}
	s := &soaker{rnd: rand.New(rand.NewPCG(seed, 0))}
	k.say("ready")
	for n := uint64(0); ; n++ {
		if len(s.descs) == 0 || len(s.descs) < 6 && s.rnd.IntN(40) == 0 {
			err = s.open()
		} else {
			i := s.rnd.IntN(len(s.descs))
			err = s.step(i, s.descs[i])
		}
		if err != nil {
			k.say(err.Error())
			return err
		}
	}
}

// open opens something. Refusals are in order: others have it, or nothing is left.
func (s *soaker) open() error {
	name := fmt.Sprintf(soakNames[s.rnd.IntN(len(soakNames))], 1+s.rnd.IntN(3))
	opts := []netmap.Option{netmap.WithOffsetOption(), netmap.WithExtraBufs(uint32(s.rnd.IntN(20))), netmap.WithSlots(64, 64)}
	switch s.rnd.IntN(8) {
	case 0:
		opts = append(opts, netmap.WithFlags(abi.FlagMonitorRx|abi.FlagMonitorTx))
	case 1:
		opts = append(opts, netmap.WithFlags(abi.FlagMonitorRx|abi.FlagMonitorTx|abi.FlagZcopyMon))
	case 2:
		opts = append(opts, netmap.WithFlags(abi.FlagExclusive))
	case 3:
		f, app, kern, err := netmap.NewCSBFile(2)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // it has nothing to write
		opts = append(opts, netmap.WithCSB(f, app, kern))
	}
	d, err := netmap.Open(context.Background(), name, opts...)
	for _, fine := range []error{unix.EBUSY, unix.EINVAL, unix.ENOMEM, unix.EOPNOTSUPP, unix.ENXIO} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	s.descs = append(s.descs, d)
	return nil
}

func (s *soaker) step(i int, d *netmap.Desc) error {
	switch s.rnd.IntN(30) {
	case 0:
		s.descs = append(s.descs[:i], s.descs[i+1:]...)
		return d.Close()
	case 1:
		s.exchange(d, s.descs[s.rnd.IntN(len(s.descs))])
	case 2:
		list := d.ExtraBufs()
		s.rnd.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
		return d.SetExtraBufs(list)
	case 3:
		_ = d.SetExtraBufs(nil) // hidden: to be found when the region is swept
	default:
		s.traffic(d)
	}
	return nil
}

// exchange swaps the buffers of two free slots, and says so; who dies in the middle
// has one of them twice.
func (s *soaker) exchange(a, b *netmap.Desc) {
	if a == b || a.Region() != b.Region() || len(a.TxRings()) == 0 || len(b.RxRings()) == 0 {
		return
	}
	t, r := a.TxRings()[0], b.RxRings()[0]
	if t.Empty() || r.Empty() {
		return
	}
	out, in := t.Slot(t.Head()), r.Slot(r.Head())
	out.BufIdx, in.BufIdx = in.BufIdx, out.BufIdx
	out.Flags |= abi.NSBufChanged
	in.Flags |= abi.NSBufChanged
}

// traffic sends and receives a little. A monitor, or a port whose monitored one is
// gone, refuses, which is as it should be. In a CSB any index will do.
func (s *soaker) traffic(d *netmap.Desc) {
	if c := d.CSB(); c != nil {
		for i := range c.App {
			c.Publish(i, s.rnd.Uint32N(70))
		}
		return
	}
	for _, t := range d.TxRings() {
		for range s.rnd.IntN(20) {
			if s.seq++; !t.Send(frame(s.buf[:], 0xff, byte(s.rnd.IntN(200)), s.seq)) {
				break
			}
		}
	}
	_, _ = d.PollTimeout(time.Duration(s.rnd.IntN(2))*time.Millisecond, netmap.PollIn|netmap.PollOut)
	for _, r := range d.RxRings() {
		for range s.rnd.IntN(100) {
			if _, ok := r.Recv(s.buf[:]); !ok {
				break
			}
		}
	}
}

// Many processes do anything, and are killed at any instant. In the end nothing is
// lost: not a buffer, not a ring, not a descriptor.
func TestSoak(t *testing.T) {
	yaml := filepath.Join(t.TempDir(), "netmapd.yaml")
	must(t, os.WriteFile(yaml, []byte("version: 1\nmemory:\n  regions:\n  - {name: soak, ports: ['vale9:*'], if-num: 200, ring-num: 400, ring-size: 18432, buf-num: 30000}\n"), 0o600))
	d := startDaemon(t, "--config", yaml)
	// The region is made, and everything that is made once.
	must(t, func() error {
		p, err := netmap.Open(context.Background(), "vale9:first", netmap.WithRuntimeDir(d.dir))
		if err != nil {
			return err
		}
		return p.Close()
	}())
	waitFor(t, "the daemon to be idle", func() error {
		if s := d.snapshot(t); s.GetSessions()+s.GetDescriptors() > 0 {
			return errors.New("somebody is there")
		}
		return nil
	})
	idle := d.settled(t)
	const workers = 4
	lives := times(20, 2000)
	var at [workers]*child
	rnd := rand.New(rand.NewPCG(7, 7))
	for n := range lives {
		w := n % workers
		if at[w] != nil {
			at[w].kill()
		}
		at[w] = d.startChild(t, "soak", strconv.Itoa(n))
		if got := at[w].hear(t); got != "ready" {
			t.Fatal(got)
		}
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		select {
		case line := <-at[w].lines:
			t.Fatalf("life %d: %s", n, line)
		default:
		}
	}
	for _, c := range at {
		c.kill()
	}
	d.returnsTo(t, idle)
}

// Each kind of port opens and closes as often as one likes.
func TestOpenClose(t *testing.T) {
	d := startDaemon(t)
	open := func(t *testing.T, spec string, opts ...netmap.Option) *netmap.Desc {
		t.Helper()
		p, err := netmap.Open(limited(t), spec, append(opts, netmap.WithRuntimeDir(d.dir), netmap.WithSlots(64, 64))...)
		must(t, err)
		return p
	}
	base := open(t, "vale0:base")
	defer base.Close() //nolint:errcheck // the test ends
	mem, err := unix.Mmap(-1, 0, 12<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(t, err)
	csb, app, kern, err := netmap.NewCSBFile(2)
	must(t, err)
	defer csb.Close() //nolint:errcheck // it has nothing to write
	ctl, err := netmap.NewControl(limited(t), netmap.WithRuntimeDir(d.dir))
	must(t, err)
	defer ctl.Close() //nolint:errcheck // the test ends
	_, err = ctl.Request(limited(t), abi.ReqValeNewif, "lasting", &abi.ValeNewif{TxSlots: 64, RxSlots: 64})
	must(t, err)
	monitor := netmap.WithFlags(abi.FlagMonitorRx | abi.FlagMonitorTx)
	for _, c := range []struct {
		kind  string
		specs []string
		opts  []netmap.Option
	}{
		{"VALE", []string{"vale0:a"}, nil},
		{"pipe", []string{"vale0:base{1", "vale0:base}1"}, nil},
		{"pipe without parent", []string{"netmap:nmimplicit{1", "netmap:nmimplicit}1"}, nil},
		{"copy monitor", []string{"vale0:base"}, []netmap.Option{monitor}},
		{"zero-copy monitor", []string{"vale0:base", "vale0:base"}, []netmap.Option{monitor, netmap.WithFlags(abi.FlagZcopyMon)}},
		{"second descriptor with extra buffers", []string{"vale0:base"}, []netmap.Option{netmap.WithExtraBufs(50)}},
		{"persistent", []string{"netmap:lasting"}, nil},
		{"offsets", []string{"vale0:o"}, []netmap.Option{netmap.WithOffsets(abi.Offsets{Max: 64, Initial: 32})}},
		{"CSB that lcores serve", []string{"vale0:c"}, []netmap.Option{netmap.WithCSB(csb, app, kern)}},
		{"extmem", []string{"vale0:x"}, []netmap.Option{netmap.WithExtmem(mem, abi.PoolsInfo{})}},
	} {
		t.Run(c.kind, func(t *testing.T) {
			before := d.settled(t)
			for range times(25, 10000) {
				var all []*netmap.Desc
				for _, spec := range c.specs {
					all = append(all, open(t, spec, c.opts...))
				}
				for _, p := range all {
					must(t, p.Close())
				}
			}
			d.returnsTo(t, before)
		})
	}
	t.Run("null", func(t *testing.T) {
		null := abi.Register{Mode: abi.ModeNull, MemID: base.Register().MemID, TxRings: 2, RxRings: 1, TxSlots: 64, RxSlots: 64}
		before := d.settled(t)
		for range times(25, 10000) {
			d.openRaw(t, "", null).close()
		}
		d.returnsTo(t, before)
	})
}
