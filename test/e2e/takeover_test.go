package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/servicemanager"
)

// A service is a netmapd that systemd starts again.
type service struct {
	*daemon
	t       *testing.T
	manager *servicemanager.Manager
	logs    []*logBuffer
}

func startService(t *testing.T) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "nmd")
	must(t, err)
	s := &service{t: t, manager: servicemanager.New(t), daemon: &daemon{dir: dir}}
	s.start()
	t.Cleanup(func() {
		_ = s.api.Close()
		_ = s.cmd.Process.Kill()
		<-s.done
		_ = os.RemoveAll(dir)
		for i, log := range s.logs {
			if t.Failed() {
				t.Logf("end of the log of netmapd %d:\n%s", i, lastLines(log.String(), 20))
			}
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") {
					t.Errorf("netmapd %d logged: %s", i, line)
				}
			}
		}
	})
	return s
}

// start starts the next process with what is kept of the one before.
func (s *service) start() {
	s.t.Helper()
	d := &daemon{dir: s.dir, done: make(chan struct{}), cmd: s.manager.Command(netmapd, "--runtime-dir", s.dir, "--dpdk-hugepages=never")}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(s.t, d.cmd.Start())
	servicemanager.Started(d.cmd)
	go func() {
		_ = d.cmd.Wait()
		close(d.done)
	}()
	if s.api != nil {
		_ = s.api.Close()
	}
	var err error
	d.api, err = grpc.NewClient("unix:"+rundir.ControlSocket(s.dir), grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(s.t, err)
	d.stats = pb.NewStatsServiceClient(d.api)
	s.daemon = d
	s.logs = append(s.logs, &d.log)
	for ready := false; !ready; {
		select {
		case said := <-s.manager.Said():
			ready = said == "READY=1"
		case <-d.done:
			s.t.Fatalf("netmapd ended while starting:\n%s", d.log.String())
		case <-time.After(patience):
			s.t.Fatalf("netmapd does not get ready:\n%s", d.log.String())
		}
	}
}

// end ends the process by a signal.
func (s *service) end(sig syscall.Signal) {
	s.t.Helper()
	must(s.t, s.cmd.Process.Signal(sig))
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("netmapd does not end:\n%s", s.log.String())
	}
}

// exact compares the books of the two regions with what their ports have: two rings of 1024 buffers and a netmap_if.
func (s *service) exact() {
	s.t.Helper()
	got, err := pb.NewRegionServiceClient(s.api).ListRegions(limited(s.t), &pb.ListRegionsRequest{})
	must(s.t, err)
	n := 0
	for _, r := range got.GetRegions() {
		if len(r.GetPorts()) == 0 {
			continue // the one that all share
		}
		n++
		st := r.GetStats()
		used := func(p *pb.PoolStats) uint64 { return p.GetTotal() - p.GetFree() }
		if b, rings, ifs := used(st.GetBufPool()), used(st.GetRingPool()), used(st.GetIfPool()); b != 2048 || rings != 2 || ifs != 1 || st.GetOrphans() != 0 {
			s.t.Errorf("region of %v: %d buffers, %d rings, %d netmap_ifs are used, %d buffers are orphans; want 2048, 2, 1, 0",
				r.GetPorts(), b, rings, ifs, st.GetOrphans())
		}
	}
	if n != 2 {
		s.t.Errorf("%d regions have ports, want 2", n)
	}
}

// delivered is how many frames this process delivered to the receiver.
func (s *service) delivered() uint64 {
	return portStats(s.t, s.snapshot(s.t), "vale0:rx").GetRx().GetFrames()
}

// tally is what the receiver says of numbered frames.
type tally struct{ Next, Again uint64 }

// TestTakeover has two programs go on over the deaths of netmapd.
func TestTakeover(t *testing.T) {
	s := startService(t)
	rx := s.startChild(t, "tally", "vale0:rx")
	rx.expect(t, "ready")
	tx := s.startChild(t, "stream", "vale0:tx")
	tx.expect(t, "ready")
	var sent uint64
	var got tally
	check := func(what string, again bool) {
		t.Helper()
		before := got
		tx.ask(t, "rest", &sent)
		rx.ask(t, "tell", &got)
		switch {
		case got.Next != sent:
			t.Fatalf("%s: %d frames were sent, %d arrived", what, sent, got.Next)
		case got.Next == before.Next:
			t.Fatalf("%s: nothing was sent", what)
		case !again && got.Again != before.Again:
			t.Fatalf("%s: %d frames arrived twice", what, got.Again-before.Again)
		}
		s.exact()
	}

	tx.say(t, "put 1000")
	check("the first netmapd", false)

	// At any instant: what was published arrives, at most a batch for a second time.
	for range 3 {
		tx.say(t, "go")
		tx.expect(t, "going")
		time.Sleep(time.Duration(rand.IntN(20000)) * time.Microsecond)
		s.end(syscall.SIGKILL)
		s.start()
		check("after kill -9 under load", true)
	}

	// Frames that were delivered and not read, and frames that were published while nobody was there.
	rx.say(t, "hold")
	rx.expect(t, "holding")
	before := s.delivered()
	tx.say(t, "put 200")
	waitFor(t, "delivery", func() error {
		if n := s.delivered() - before; n < 200 {
			return fmt.Errorf("%d frames were delivered", n)
		}
		return nil
	})
	s.end(syscall.SIGKILL)
	tx.say(t, "put 300")
	tx.expect(t, "put")
	s.start()
	rx.say(t, "read")
	check("frames in both rings", false)

	// systemctl restart.
	tx.say(t, "go")
	tx.expect(t, "going")
	s.end(syscall.SIGTERM)
	s.start()
	check("after SIGTERM under load", false)

	// One of them dies while nobody looks.
	s.end(syscall.SIGKILL)
	rx.kill()
	s.start()
	waitFor(t, "the dead client's port to go", func() error {
		if kept := strings.Join(s.manager.Kept(), " "); strings.Contains(kept, "port.1 ") || !strings.Contains(kept, "port.2 ") {
			return fmt.Errorf("kept are %s", kept)
		}
		return nil
	})

	// systemctl stop.
	s.end(syscall.SIGTERM)
	s.manager.Discard()
	tx.say(t, "go")
	select {
	case <-tx.done:
		if words := tx.err.String(); !strings.Contains(words, "netmapd is gone") {
			t.Errorf("the client ends with %q", words)
		}
	case <-time.After(patience):
		t.Error("the client does not notice that netmapd is gone")
	}
}

// streamWindow is how many frames may be under way without a word of the receiver.
const streamWindow = 500

// streamer sends numbered frames and hears how many arrived.
type streamer struct {
	d           *netmap.Desc
	sent, acked uint64
	buf         [frameLen]byte
}

// stream (port): "put N" publishes N frames, "go" sends until "rest", which waits until all arrived and says how many.
func stream(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // the process ends
	k.say("ready")
	s := &streamer{d: d}
	for {
		line := k.hear()
		word, arg, _ := strings.Cut(line, " ")
		switch word {
		case "":
			return nil
		case "put":
			n, _ := strconv.Atoi(arg)
			if err := s.put(n); err != nil {
				return err
			}
			if n == 300 {
				k.say("put")
			}
		case "go":
			k.say("going")
			for len(k.lines) == 0 {
				if err := s.put(1 + int(s.sent%64)); err != nil {
					return err
				}
			}
		case "rest":
			for s.acked < s.sent {
				if err := s.hear(); err != nil {
					return err
				}
			}
			if err := k.sayJSON(s.sent); err != nil {
				return err
			}
		}
	}
}

// put publishes n frames once there is room for them on their whole way.
func (s *streamer) put(n int) error {
	for range n {
		for s.sent-s.acked >= streamWindow {
			if err := s.hear(); err != nil {
				return err
			}
		}
		for !s.d.TxRings()[0].Send(frame(s.buf[:], 2, 1, s.sent)) {
			if err := await(s.d, netmap.PollOut); err != nil {
				return err
			}
		}
		s.sent++
	}
	return s.d.TxSync()
}

// hear waits for the receiver.
func (s *streamer) hear() error {
	if err := await(s.d, netmap.PollIn); err != nil {
		return fmt.Errorf("%d frames sent, %d arrived: %w", s.sent, s.acked, err)
	}
	for {
		n, ok := s.d.RxRings()[0].Recv(s.buf[:])
		if !ok {
			return s.d.RxSync()
		}
		if n == frameLen {
			s.acked = max(s.acked, binary.BigEndian.Uint64(s.buf[14:]))
		}
	}
}

// tallying (port) counts numbered frames and tells the sender. "hold" has it leave them until "read".
func tallying(k *talk) error {
	d, err := netmap.Open(context.Background(), k.args[0])
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // the process ends
	k.say("ready")
	var c tally
	var buf [frameLen]byte
	for {
		select {
		case line := <-k.lines:
			switch line {
			case "":
				return nil
			case "tell":
				if err := k.sayJSON(c); err != nil {
					return err
				}
			case "hold":
				k.say("holding")
				if k.hear() != "read" {
					return nil
				}
			}
		default:
		}
		if re, err := d.PollTimeout(5*time.Millisecond, netmap.PollIn); err != nil {
			return err
		} else if re&netmap.PollIn == 0 {
			continue
		}
		for {
			n, ok := d.RxRings()[0].Recv(buf[:])
			if !ok {
				break
			}
			seq, err := intact(buf[:n])
			switch {
			case err != nil:
				return err
			case seq > c.Next:
				return fmt.Errorf("frame %d arrives, want %d", seq, c.Next)
			case seq < c.Next:
				c.Again++
			default:
				c.Next++
			}
		}
		d.TxRings()[0].Send(frame(buf[:], 1, 2, c.Next)) // or not, with the ring full of others
		if err := d.TxSync(); err != nil {
			return err
		}
	}
}
