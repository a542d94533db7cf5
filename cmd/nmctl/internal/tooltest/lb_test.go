package tooltest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/lb"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/flows"
)

// A tool at work, other than pkt-gen.
type toolJob[R any] struct {
	out    buffer
	stop   context.CancelFunc
	done   chan struct{}
	result R
	err    error
}

func (j *toolJob[R]) end() R { j.stop(); <-j.done; return j.result }

// startTool runs a tool and returns when it has said what shows that it began.
func startTool[R any](b *bed, says string, run func(ctx context.Context, out *buffer) (R, error)) *toolJob[R] {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	j := &toolJob[R]{stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		j.result, j.err = run(ctx, &j.out)
	}()
	b.t.Cleanup(func() {
		j.end()
		if j.err != nil {
			b.t.Errorf("tool failed: %v\n%s", j.err, j.out.String())
		}
	})
	b.waitFor("tool", func() bool {
		select {
		case <-j.done:
			return true
		default:
			return strings.Contains(j.out.String(), says)
		}
	})
	return j
}

func (b *bed) lb(change func(*lb.Options)) *toolJob[lb.Result] {
	b.t.Helper()
	o := lb.Default()
	o.Interface = "netmap:in}x"
	change(&o)
	return startTool(b, "spread over", func(ctx context.Context, out *buffer) (lb.Result, error) {
		return lb.Run(ctx, o, out, netmap.WithRuntimeDir(b.dir))
	})
}

// sinks receive from ports until stopped, and see what comes.
func (b *bed) sinks(c *flows.Checker, names ...string) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx)
	var wg sync.WaitGroup
	for i, name := range names {
		d := b.open(name)
		wg.Go(func() {
			if err := c.Receive(ctx, i, d); err != nil {
				b.t.Error(err)
			}
		})
	}
	b.t.Cleanup(func() { cancel(); wg.Wait() })
	return func() { cancel(); wg.Wait() }
}

func pipeNames(name string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("netmap:%s}%d", name, i))
	}
	return list
}

// Every frame arrives once, at the pipe of its connection, in order; none is
// lost while consumers keep up.
func TestLBKeepsFlows(t *testing.T) {
	const connections, frames, window = 500, 100_000, 400
	for _, extra := range []uint32{0, 256} {
		t.Run(fmt.Sprint(extra), func(t *testing.T) {
			b := newBed(t)
			in := b.open("netmap:in{x")
			j := b.lb(func(o *lb.Options) { o.Groups, o.ExtraBufs = []string{"4"}, extra })
			c := flows.NewChecker(connections, 4)
			b.sinks(c, pipeNames("in", 4)...)
			sent, err := flows.Send(b.ctx, in, connections, frames, window, c.Got)
			must(t, err)
			b.waitFor("the last frames", func() bool { return c.Got() >= sent })
			r := c.Result(sent)
			if err := r.Err(); err != nil || min(r.PerSink[0], r.PerSink[1], r.PerSink[2], r.PerSink[3]) < frames/8 {
				t.Errorf("%v: %+v", err, r)
			}
			if res := j.end(); res.Received != frames || res.Forwarded != frames || res.Dropped != 0 {
				t.Errorf("%+v", res)
			}
		})
	}
}

// Groups see every frame one after the other, each in order, down to the last.
func TestLBGroups(t *testing.T) {
	b := newBed(t)
	const connections, frames, window = 100, 30_000, 400
	in := b.open("netmap:in{x")
	j := b.lb(func(o *lb.Options) { o.Groups = []string{"first:2", "in:1", "first:2"} })
	sent := uint64(0)
	groups := [][]string{pipeNames("first", 2), pipeNames("in", 1), {"netmap:first}2", "netmap:first}3"}}
	var checkers []*flows.Checker
	for _, names := range groups {
		c := flows.NewChecker(connections, len(names))
		b.sinks(c, names...)
		checkers = append(checkers, c)
	}
	sent, err := flows.Send(b.ctx, in, connections, frames, window, checkers[2].Got)
	must(t, err)
	for i, c := range checkers {
		b.waitFor("the last frames", func() bool { return c.Got() >= sent })
		if err := c.Result(sent).Err(); err != nil {
			t.Errorf("group %d: %v", i, err)
		}
	}
	if res := j.end(); res.Received != frames || res.Forwarded != 3*frames || res.Dropped != 0 {
		t.Errorf("%+v", res)
	}
}

// A consumer that does not take anything loses its own frames only: the ring and
// the queue keep the newest, what they cannot is counted, and others miss nothing
// as long as they keep up, which the sender sees to here: a queue of theirs could
// take buffers from the stalled one's otherwise.
func TestLBStalledConsumer(t *testing.T) {
	b := newBed(t)
	const connections, rounds, extra, revoked = 300, 50, 1000, 200
	in := b.open("netmap:in{x")
	j := b.lb(func(o *lb.Options) { o.Groups, o.ExtraBufs = []string{"4"}, extra })
	stalled := b.open("netmap:in}0")
	c, late := flows.NewChecker(connections, 4), flows.NewChecker(connections, 1)
	b.sinks(c, append([]string{"netmap:in}9"}, pipeNames("in", 4)[1:]...)...) // nobody sends to the first
	theirs := uint64(0)                                                       // connections of the stalled consumer
	for round := range uint32(rounds) {
		must(t, flows.SendRound(b.ctx, in, connections, round))
		if round == 0 {
			b.waitFor("the first frame of each connection", func() bool {
				must(t, stalled.RxSync())
				theirs = uint64(stalled.RxRings()[0].Space())
				return c.Got()+theirs == connections
			})
		}
		want := uint64(round+1) * (connections - theirs)
		b.waitFor("what is not the stalled consumer's", func() bool { return c.Got() == want })
	}
	slots := uint64(stalled.RxRings()[0].NumSlots())
	if theirs*rounds <= slots-1+extra {
		t.Fatalf("%d connections of %d do not fill the ring and the queue", theirs, connections)
	}
	ctx, cancel := context.WithCancel(b.ctx)
	done := make(chan error, 1)
	go func() { done <- late.Receive(ctx, 0, stalled) }()
	b.waitFor("the newest frames of the stalled consumer", func() bool { return late.Reached(rounds-1) == int(theirs) })
	cancel()
	must(t, <-done)
	res := j.end()
	if r := c.Result(connections * rounds); r.Reordered+r.Moved+r.Strange != 0 || r.Got != rounds*(connections-theirs) {
		t.Errorf("others: %+v", r)
	}
	if r := late.Result(0); r.Reordered+r.Moved+r.Strange != 0 || r.Got > slots-1+extra || r.Got < slots-1+extra-revoked {
		t.Errorf("stalled: %+v", r)
	}
	if got := c.Got() + late.Got(); res.Received != connections*rounds || res.Forwarded != got || got+res.Dropped != res.Received {
		t.Errorf("%+v, %d received", res, got)
	}
}
