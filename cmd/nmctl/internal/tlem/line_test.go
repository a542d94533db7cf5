package tlem

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/linkmodel"
)

const ms = time.Millisecond

// take is all that is due, as words.
func (l *line) take(now time.Duration) string {
	var out []string
	for {
		f, ok := l.due(now)
		if !ok {
			return strings.Join(out, " ")
		}
		out = append(out, string(f))
		l.done()
	}
}

func TestLine(t *testing.T) {
	l := newLine()
	for _, p := range []struct {
		at    time.Duration
		held  bool
		frame string
	}{{1 * ms, false, "a"}, {2 * ms, false, "b"}, {5 * ms, true, "late"}, {3 * ms, false, "c"}, {4 * ms, true, "held"}, {6 * ms, false, "d"}} {
		if !l.put(p.at, p.held, []byte(p.frame)) {
			t.Fatal("no memory")
		}
	}
	for _, c := range []struct {
		now  time.Duration
		want string
	}{{0, ""}, {1 * ms, "a"}, {1 * ms, ""}, {4 * ms, "b c held"}, {10 * ms, "late d"}, {20 * ms, ""}} {
		if got := l.take(c.now); got != c.want {
			t.Errorf("at %v: %q, want %q", c.now, got, c.want)
		}
	}
	if _, ok := l.next(); ok || l.bytes != 0 {
		t.Errorf("%d bytes are left", l.bytes)
	}
}

// Memory is bounded, and used again.
func TestLineMemory(t *testing.T) {
	l, frame := newLine(), make([]byte, 1500)
	for round := range 3 {
		n := 0
		for l.bytes < 10<<20 {
			l.put(0, false, frame)
			n++
		}
		for range n {
			if _, ok := l.due(0); !ok {
				t.Fatal("frames are missing")
			}
			l.done()
		}
		if len(l.blocks)+len(l.spare) > 12 {
			t.Errorf("round %d: %d blocks, %d spare", round, len(l.blocks), len(l.spare))
		}
	}
	l.bytes = maxBytes
	if l.put(0, false, frame) {
		t.Error("more than the limit was taken")
	}
	l = newLine()
	if !l.put(0, false, make([]byte, 2*blockSize)) || !l.put(0, false, frame) || !l.put(0, false, make([]byte, blockSize)) {
		t.Error("a long frame was not taken")
	}
}

// A link at work, on a clock that only the test moves: what comes in by the
// bandwidth comes out later by the delay, in order, and no sooner.
func TestLinkOnAFakeClock(t *testing.T) {
	link := linkmodel.Link{Rate: linkmodel.Rate{Bits: 8e6}, Delay: linkmodel.Delay{Kind: linkmodel.Constant, Min: 20 * ms}, Queue: 3000}
	s, l := linkmodel.NewSchedule(&link, rand.New(rand.NewPCG(1, 2))), newLine()
	full := 0
	for i := range 5 { // 1 ms each; three have room
		if at, fate := s.Frame(0, 1000); fate == linkmodel.Full {
			full++
		} else {
			l.put(at, false, []byte{byte('a' + i)})
		}
	}
	for _, c := range []struct {
		now  time.Duration
		want string
	}{{20 * ms, ""}, {21*ms - 1, ""}, {21 * ms, "a"}, {22 * ms, "b"}, {30 * ms, "c"}} {
		if got := l.take(c.now); got != c.want {
			t.Errorf("at %v: %q, want %q", c.now, got, c.want)
		}
	}
	if full != 2 {
		t.Errorf("%d found the queue full", full)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		says   string
	}{
		{"plain", func(*Options) {}, ""},
		{"one port", func(o *Options) { o.Interfaces = o.Interfaces[:1] }, "two different"},
		{"the same port", func(o *Options) { o.Interfaces[1] = "netmap:eth0"; o.Interfaces[0] = "netmap:eth0" }, "two different"},
		{"bandwidth", func(o *Options) { o.Rate = []string{"x"} }, "-B"},
		{"delay", func(o *Options) { o.Delay = []string{"1ms", "x"} }, "-D"},
		{"three delays", func(o *Options) { o.Delay = []string{"1ms", "1ms", "1ms"} }, "3 times"},
		{"loss", func(o *Options) { o.Loss = []string{"7"} }, "-L"},
		{"reordering", func(o *Options) { o.Hold = []string{"x"} }, "-R"},
		{"queue", func(o *Options) { o.Queue = []string{"x"} }, "-Q"},
		{"burst", func(o *Options) { o.Burst = 0 }, "-b"},
		{"CPUs", func(o *Options) { o.CPUs = "x" }, "-C"},
	} {
		o := Default()
		o.Interfaces = []string{"eth0", "vale0:x"}
		c.change(&o)
		if err := o.Validate(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	o := Default()
	o.Interfaces, o.Delay, o.Rate = []string{"vale0:a", "vale0:b"}, []string{"1ms", "2ms"}, []string{"1M"}
	if err := o.Validate(); err != nil || o.links[0].Delay.Min != ms || o.links[1].Delay.Min != 2*ms || o.links[1].Rate.Bits != 1e6 || o.Wait != 0 {
		t.Errorf("%+v, %v", o.links, err)
	}
}
