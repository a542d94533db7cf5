package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/tool"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Result is what a run did.
type Result struct {
	Sent, Bytes uint64
	Lost        uint64 // by -L
	TooLong     uint64 // for the port's buffers, however many
}

// A clock is time that passes, or that a test lets pass.
type clock interface {
	now() time.Duration
	// wait waits and reports that the context has not ended.
	wait(ctx context.Context, d time.Duration) bool
}

type wallClock struct{ start time.Time }

func (c wallClock) now() time.Duration { return time.Since(c.start) }

// spin is what is waited without sleeping, as sleeps take longer than asked for.
const spin = 60 * time.Microsecond

func (c wallClock) wait(ctx context.Context, d time.Duration) bool {
	end := c.now() + d
	if d > spin && !tool.Sleep(ctx, d-spin) {
		return false
	}
	for c.now() < end {
	}
	return ctx.Err() == nil
}

// A port is what a player needs of one.
type port interface {
	// send takes a frame; false means that there is no room now.
	send(frame []byte) bool
	// flush hands over what was sent, and waits for room if asked.
	flush(ctx context.Context, wait bool) error
}

type netmapPort struct {
	d *netmap.Desc
	r *netmap.TxRing
}

func (p netmapPort) send(frame []byte) bool { return p.r.Send(frame) }

func (p netmapPort) flush(ctx context.Context, wait bool) error {
	if !wait {
		_, err := p.d.PollTimeout(0, 0)
		return err
	}
	_, err := p.d.Poll(ctx, netmap.PollOut)
	return err
}

// A player sends a trace.
type player struct {
	o      *Options
	t      *trace
	clock  clock
	port   port
	limit  int // the longest frame that the port takes
	link   *linkmodel.Schedule
	report func(Result)
	res    Result
}

// play sends every frame when it is due, Loops times. What is due is sent in
// bursts; where nothing is due, what was sent is handed over first.
func (p *player) play(ctx context.Context) error {
	start, burst := p.clock.now(), 0
	for round := uint64(0); round < p.o.Loops || p.o.Loops == 0; round++ {
		for i := range p.t.frames {
			frame := p.t.bytes(i)
			at, fate := p.due(start, i, len(frame))
			if fate == linkmodel.Lost {
				p.res.Lost++
				continue
			}
			if len(frame) > p.limit {
				p.res.TooLong++
				continue
			}
			now := p.clock.now()
			if at > now || burst >= p.o.Burst {
				if err := p.port.flush(ctx, false); err != nil {
					return err
				}
				burst = 0
				p.report(p.res)
				if ctx.Err() != nil || at > now && !p.clock.wait(ctx, at-now) {
					return ctx.Err()
				}
			}
			for !p.port.send(frame) {
				if err := p.port.flush(ctx, true); err != nil {
					return err
				}
			}
			burst++
			p.res.Sent++
			p.res.Bytes += uint64(len(frame))
		}
		if ctx.Err() != nil { // even where every frame is lost
			return ctx.Err()
		}
		start += p.round()
	}
	return p.port.flush(ctx, false)
}

// round is how long one round takes by the file's clock.
func (p *player) round() time.Duration {
	if !p.o.pace.real {
		return 0
	}
	return time.Duration(float64(p.t.length()) / p.o.pace.speed)
}

// due is when frame i of a round is to be sent.
func (p *player) due(start time.Duration, i, bytes int) (time.Duration, linkmodel.Fate) {
	at := start
	if p.o.pace.real {
		at += time.Duration(float64(p.t.frames[i].at) / p.o.pace.speed)
	}
	return p.link.Frame(at, bytes)
}

// Run sends the file until its end, or until the context ends, which is an
// ordinary end, or the port is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	if err := o.Validate(); err != nil {
		return res, err
	}
	t, err := load(o.File)
	if err != nil {
		return res, err
	}
	d, err := netmap.Open(ctx, o.Interface, append(opts, netmap.WithFlags(abi.FlagTxRingsOnly))...)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if len(d.TxRings()) == 0 {
		return res, fmt.Errorf("%s: no TX ring is bound; leave /R out of the name", o.Interface)
	}
	fmt.Fprintf(out, "%s: %d frames, %d bytes in %v\n", o.File, len(t.frames), len(t.data), t.frames[len(t.frames)-1].at)
	if t.cut > 0 {
		fmt.Fprintf(out, "of %d frames only the beginning was captured, and is sent\n", t.cut)
	}
	if err := tool.Pin(o.cpus, 0); err != nil {
		return res, err
	}
	if !tool.Sleep(ctx, tool.Seconds(o.Wait)) {
		return res, nil
	}
	c := wallClock{time.Now()}
	r := d.TxRings()[0]
	p := &player{
		o: &o, t: t, clock: c, port: netmapPort{d, r}, limit: int(r.BufSize()) * int(min(abi.MaxFragments, r.NumSlots()-1)),
		link: linkmodel.NewSchedule(&o.link, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))), report: reporter(c, out, o.Verbose),
	}
	err = p.play(ctx)
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if ferr := d.Flush(flush); ferr != nil && err == nil {
		err = fmt.Errorf("the last frames were not taken within %v: %w", flushTime, ferr)
	}
	took := c.now()
	fmt.Fprintf(out, "Sent %d packets %d bytes in %.3f seconds, %.3f Mpps, %.3f Gbps; lost %d, too long %d\n", p.res.Sent, p.res.Bytes,
		took.Seconds(), float64(p.res.Sent)/took.Seconds()/1e6, float64(p.res.Bytes)*8/took.Seconds()/1e9, p.res.Lost, p.res.TooLong)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return p.res, err
}

// flushTime is how long the end waits for the last frames to go.
const flushTime = 10 * time.Second

// reporter prints a line each second.
func reporter(c clock, out io.Writer, verbose bool) func(Result) {
	next, last := time.Second, Result{}
	return func(r Result) {
		if !verbose || c.now() < next {
			return
		}
		fmt.Fprintf(out, "%d packets, %d a second, %.3f Gbps\n", r.Sent, r.Sent-last.Sent, float64(r.Bytes-last.Bytes)*8/1e9)
		next, last = c.now()+time.Second, r
	}
}
