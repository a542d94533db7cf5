package pktgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Result is what a run counted.
type Result struct {
	Frames, Bytes uint64 // sent, or received
	Elapsed       time.Duration
}

// A generator is one run.
type generator struct {
	o     Options
	d     *netmap.Desc
	out   io.Writer
	frame *frame
	count counter
	pace  pacer
	start time.Time // of the first frame
	end   time.Time // of the last
	rtt   histogram // ping
}

// Run does what the options say until their count is reached or the context
// ends, which is an ordinary end. It prints what pkt-gen prints.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (Result, error) {
	if err := o.Validate(); err != nil {
		return Result{}, err
	}
	g := &generator{o: o, out: out}
	g.count.minSpace.Store(maxSpace)
	var err error
	if g.frame, err = newFrame(&g.o); err != nil {
		return Result{}, err
	}
	if g.d, err = netmap.Open(ctx, g.o.Interface, append(opts, netmap.WithFlags(directions[o.Function]))...); err != nil {
		return Result{}, err
	}
	err = g.run(ctx)
	if cerr := g.d.Close(); err == nil {
		err = cerr
	}
	t := g.count.load()
	return Result{Frames: t.frames, Bytes: t.bytes, Elapsed: g.elapsed()}, err
}

// directions are the rings that each function binds. A sender that bound RX
// rings and never read them would only make frames for it count as unread.
var directions = map[string]uint64{
	FuncTx: abi.FlagTxRingsOnly,
	FuncRx: abi.FlagRxRingsOnly,
}

// verbs open the banner and the summary of each function.
var verbs = map[string][2]string{
	FuncTx:   {"Sending on", "Sent"},
	FuncRx:   {"Receiving from", "Received"},
	FuncPing: {"Sending on", "Sent"},
	FuncPong: {"Working on", "Answered"},
}

func (g *generator) run(ctx context.Context) error {
	if err := g.checkPort(); err != nil {
		return err
	}
	g.banner()
	if !sleep(ctx, time.Duration(g.o.Wait*float64(time.Second))) {
		return nil
	}
	g.start = time.Now()
	done, reported := make(chan struct{}), make(chan struct{})
	go func() {
		g.count.report(g.out, g.o.Period, done)
		close(reported)
	}()
	err := g.loop(ctx)
	close(done)
	<-reported
	summary(g.out, verbs[g.o.Function][1], g.count.load(), g.elapsed())
	if g.o.Function == FuncPing {
		g.rtt.print(g.out)
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // interrupted: that is how a run without a count ends
	}
	return err
}

func (g *generator) loop(ctx context.Context) error {
	switch g.o.Function {
	case FuncTx:
		return g.send(ctx)
	case FuncRx:
		return g.receive(ctx)
	case FuncPing:
		return g.ping(ctx)
	}
	return g.pong(ctx)
}

// checkPort makes sure that the port has the rings and the buffers we need.
func (g *generator) checkPort() error {
	tx, rx := g.d.TxRings(), g.d.RxRings()
	if g.o.Function != FuncRx && len(tx) == 0 || g.o.Function != FuncTx && len(rx) == 0 {
		return fmt.Errorf("%s: %d TX and %d RX rings are bound, -f %s needs others; leave /T and /R out of the name", g.o.Interface, len(tx), len(rx), g.o.Function)
	}
	if size := int(g.d.Region().BufSize()); g.o.Function != FuncRx && g.o.Length > size {
		return fmt.Errorf("-l %d: the buffers of %s have %d bytes; choose a shorter frame", g.o.Length, g.o.Interface, size)
	}
	return nil
}

func (g *generator) banner() {
	r := g.d.Register()
	fmt.Fprintf(g.out, "%s %s: %d queues, 1 threads and %d cpus.\n",
		verbs[g.o.Function][0], g.o.Interface, max(r.TxRings+r.HostTxRings, r.RxRings+r.HostRxRings), runtime.NumCPU())
	if g.o.Function == FuncTx || g.o.Function == FuncPing {
		b := g.frame.bytes
		fmt.Fprintf(g.out, "%s -> %s (%02x:%02x:%02x:%02x:%02x:%02x -> %02x:%02x:%02x:%02x:%02x:%02x)\n", &g.frame.src, &g.frame.dst,
			b[6], b[7], b[8], b[9], b[10], b[11], b[0], b[1], b[2], b[3], b[4], b[5])
	}
	if g.o.Verbose {
		fmt.Fprintf(g.out, "memory %d: %d bytes; %d TX slots, %d RX slots, buffers of %d bytes, burst %d\n",
			r.MemID, r.MemSize, r.TxSlots, r.RxSlots, g.d.Region().BufSize(), g.o.Burst)
	}
}

func (g *generator) elapsed() time.Duration {
	if g.start.IsZero() || g.end.Before(g.start) {
		return 0
	}
	return g.end.Sub(g.start)
}

// left is how many frames are still to be handled; without a count, no end.
func (g *generator) left(done uint64) uint64 {
	if g.o.Count == 0 {
		return 1 << 62
	}
	return uint64(g.o.Count) - done
}

// ringError says that the rings are not as we left them: pkt-gen ends there too.
func (g *generator) ringError() error {
	return fmt.Errorf("%s: a ring was found in an illegal state (POLLERR); does another program use the port? %+v", g.o.Interface, g.d.Stats().Rings)
}

// sleep waits unless the context ends, and reports that it did not.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
