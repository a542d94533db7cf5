package linkmodel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

const ms = time.Millisecond

func chance() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func TestBandwidth(t *testing.T) {
	for _, c := range []struct {
		rate  Rate
		bytes int
		want  time.Duration
	}{
		{Rate{}, 1500, 0},
		{Rate{Bits: 1e6}, 125, ms},
		{Rate{Bits: 1e9}, 125, time.Microsecond},
		{Rate{Bits: 1e6, Ether: true}, 101, ms},
	} {
		if got := c.rate.Busy(c.bytes); got != c.want {
			t.Errorf("%d bytes at %+v: %v, want %v", c.bytes, c.rate, got, c.want)
		}
	}
}

// Frames leave one after the other; a link that was idle does not catch up.
func TestFramesQueueForTheLink(t *testing.T) {
	s := NewSchedule(&Link{Rate: Rate{Bits: 1e6}, Delay: Delay{Kind: Constant, Min: 10 * ms}}, chance())
	for i, c := range []struct{ now, want time.Duration }{
		{0, 11 * ms},
		{0, 12 * ms},
		{1 * ms, 13 * ms},
		{100 * ms, 111 * ms},
		{100*ms + ms/2, 112 * ms},
	} {
		if at, fate := s.Frame(c.now, 125); at != c.want || fate != Passes {
			t.Errorf("frame %d at %v: comes out at %v, fate %d, want %v", i, c.now, at, fate, c.want)
		}
	}
}

// Room is counted in bytes that have not left yet.
func TestQueueIsFull(t *testing.T) {
	s := NewSchedule(&Link{Rate: Rate{Bits: 1e6}, Queue: 250}, chance())
	for i, c := range []struct {
		now  time.Duration
		fate Fate
	}{{0, Passes}, {0, Passes}, {0, Full}, {ms, Passes}, {ms, Full}, {3 * ms, Passes}, {3 * ms, Passes}, {3 * ms, Full}} {
		if _, fate := s.Frame(c.now, 125); fate != c.fate {
			t.Errorf("frame %d: fate %d, want %d", i, fate, c.fate)
		}
	}
	for now := time.Duration(0); now < 100_000*ms; now += ms / 2 { // memory stays bounded
		s.Frame(now, 125)
	}
	if len(s.queue) > 4096 || s.queued > 250 {
		t.Errorf("%d frames and %d bytes are in the queue", len(s.queue), s.queued)
	}
}

// However delays fall, what passes stays in order; what is held does not.
func TestOrder(t *testing.T) {
	for _, d := range []Delay{{Uniform, ms, 50 * ms}, {Exponential, ms, 20 * ms}} {
		s, last, held, sum := NewSchedule(&Link{Delay: d, Hold: Hold{0.1, 100 * ms}}, chance()), time.Duration(0), 0, time.Duration(0)
		const frames = 10000
		for i := range frames {
			now := time.Duration(i) * 200 * ms // far apart: the order changes no delay
			at, fate := s.Frame(now, 60)
			switch {
			case fate == Held:
				held++
				at -= 100 * ms
			case at < last:
				t.Fatalf("%v: %v after %v", d, at, last)
			default:
				last = at
			}
			if at < now+d.Min || d.Kind == Uniform && at > now+d.Max {
				t.Fatalf("%v: under way for %v", d, at-now)
			}
			sum += at - now
		}
		mean := d.Max
		if d.Kind == Uniform {
			mean = (d.Min + d.Max) / 2
		}
		if m := sum / frames; m < mean*95/100 || m > mean*105/100 {
			t.Errorf("%v: %v on average, want %v", d, m, mean)
		}
		if held < frames/12 || held > frames/8 {
			t.Errorf("%d of %d held", held, frames)
		}
	}
	s, last := NewSchedule(&Link{Delay: Delay{Uniform, 0, 50 * ms}}, chance()), time.Duration(0)
	for i := range 1000 {
		at, _ := s.Frame(time.Duration(i), 60)
		if at < last {
			t.Fatalf("frame %d passes another", i)
		}
		last = at
	}
}

func TestLoss(t *testing.T) {
	for _, c := range []struct {
		loss Loss
		p    float64
	}{{Loss{}, 0}, {Loss{Rate: 0.1}, 0.1}, {Loss{Rate: 1}, 1}, {Loss{1e-4, true}, 1 - math.Pow(1-1e-4, 8000)}, {Loss{1, true}, 1}} {
		s, lost := NewSchedule(&Link{Loss: c.loss}, chance()), 0
		const frames = 20000
		for range frames {
			if _, fate := s.Frame(0, 1000); fate == Lost {
				lost++
			}
		}
		if got := float64(lost) / frames; math.Abs(got-c.p) > 0.02*c.p {
			t.Errorf("%+v: %v lost, want %v", c.loss, got, c.p)
		}
	}
}

func TestParse(t *testing.T) {
	rate := func(s string) (any, error) { return ParseRate(s) }
	delay := func(s string) (any, error) { return ParseDelay(s) }
	loss := func(s string) (any, error) { return ParseLoss(s) }
	hold := func(s string) (any, error) { return ParseHold(s) }
	queue := func(s string) (any, error) { return ParseQueue(s) }
	for _, c := range []struct {
		parse func(string) (any, error)
		text  string
		want  any // nil for an error
	}{
		{rate, "10M", Rate{Bits: 1e7}},
		{rate, "1.5g", Rate{Bits: 1.5e9}},
		{rate, "constant,5k", Rate{Bits: 5000}},
		{rate, "ether,1G", Rate{Bits: 1e9, Ether: true}},
		{rate, "0", Rate{}},
		{rate, "real", nil},
		{rate, "-1", nil},
		{rate, "0.1", nil},
		{rate, "NaN", nil},
		{rate, "", nil},
		{delay, "20ms", Delay{Constant, 20 * ms, 0}},
		{delay, "20m", Delay{Constant, 20 * ms, 0}},
		{delay, "constant,50us", Delay{Constant, 50 * time.Microsecond, 0}},
		{delay, "1.5", Delay{Constant, 1500 * ms, 0}},
		{delay, "1s", Delay{Constant, 1000 * ms, 0}},
		{delay, "7n", Delay{Constant, 7, 0}},
		{delay, "0", Delay{}},
		{delay, "uniform,1ms,5ms", Delay{Uniform, ms, 5 * ms}},
		{delay, "exp,1ms,5ms", Delay{Exponential, ms, 5 * ms}},
		{delay, "uniform,5ms,1ms", nil},
		{delay, "uniform,5ms", nil},
		{delay, "late", nil},
		{delay, "-1ms", nil},
		{loss, "0.01", Loss{Rate: 0.01}},
		{loss, "plr,1", Loss{Rate: 1}},
		{loss, "ber,1e-6", Loss{1e-6, true}},
		{loss, "2", nil},
		{loss, "x,1", nil},
		{hold, "const,0.1,5ms", Hold{0.1, 5 * ms}},
		{hold, "0.1,5ms", nil},
		{hold, "const,5,5ms", nil},
		{queue, "50k", uint64(50000)},
		{queue, "-5", nil},
		{queue, "1e99", nil},
	} {
		got, err := c.parse(c.text)
		if (err != nil) != (c.want == nil) || err == nil && got != c.want {
			t.Errorf("%q: %+v, %v", c.text, got, err)
		}
	}
}
