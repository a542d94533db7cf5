package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"
)

// A row asks one question of ours and of its peers.
type row struct {
	name    string // "switch/unicast/60B/2ports"
	about   string // what is measured, in a sentence
	quick   bool   // part of a quick run
	metrics []metric
	bars    []bar
	ours    subject
	peers   []subject
}

// metric is one of the values that a measurement gives. What a peer does not tell is left out of its sample.
type metric struct {
	key, unit string
	lower     bool // is better
	info      bool // tells about the measurement; not compared
}

// bar is what issue or design ask of a metric of ours: at most (at least, where more is better) times the peer's and plus.
type bar struct {
	key   string
	peer  string // "": plus is all
	times float64
	plus  float64
}

// text is the bar in words.
func (b bar) text(lower bool) string {
	s := map[bool]string{true: "at most ", false: "at least "}[lower]
	if b.peer == "" {
		return s + format(b.plus)
	}
	if b.times != 1 {
		s += format(b.times) + " x "
	}
	s += b.peer
	if b.plus != 0 {
		s += " + " + format(b.plus)
	}
	return s
}

// met says whether the median of the rounds is on the right side; not known without a round in which both were measured.
func (b bar) met(ours, peer []float64, lower bool) (met, known bool) {
	var spare []float64
	for i, v := range ours {
		limit := b.plus
		if b.peer != "" {
			limit += b.times * peer[i]
		}
		if !lower {
			v, limit = limit, v
		}
		if d := limit - v; !math.IsNaN(d) {
			spare = append(spare, d)
		}
	}
	return median(spare) >= 0, len(spare) > 0
}

// subject is something that can be measured again and again.
type subject struct {
	name    string
	measure func(*harness) (sample, error)
}

// sample is one measurement, by the keys of metrics.
type sample map[string]float64

// absent says that a peer is not on this machine, or that something cannot be measured here: no failure.
type absent struct{ why string }

func (a *absent) Error() string { return a.why }

func missing(format string, args ...any) error { return &absent{fmt.Sprintf(format, args...)} }

// attempts is how often a measurement that went wrong is made in one round.
const attempts = 2

// column collects what a subject gave in each round.
type column struct {
	subject
	absent string
	errs   []error
	rounds []sample // nil where the round gave nothing
}

// values are the readings of a metric, NaN where a round has none.
func (c *column) values(key string) []float64 {
	v := make([]float64, len(c.rounds))
	for i, s := range c.rounds {
		v[i] = math.NaN()
		if x, ok := s[key]; ok {
			v[i] = x
		}
	}
	return v
}

// measure adds a round to the column.
func (c *column) measure(h *harness) {
	var got sample
	for range attempts {
		if c.absent != "" || h.ctx.Err() != nil {
			break
		}
		h.calm()
		s, err := c.subject.measure(h)
		h.cleanup()
		if a := (*absent)(nil); errors.As(err, &a) {
			c.absent = a.why
			break
		}
		if err == nil {
			got = s
			break
		}
		c.errs = append(c.errs, err)
	}
	c.rounds = append(c.rounds, got)
}

// table is a row with its results; the first column is ours.
type table struct {
	row
	cols []*column
}

// runRows measures everything, round by round. An interrupt ends it early with the rounds that are complete.
func (h *harness) runRows(rows []row) (*report, error) {
	rep := &report{Machine: h.machine(), Start: time.Now(), Quick: h.o.quick, Time: h.o.dur.String()}
	for _, r := range rows {
		t := &table{row: r, cols: []*column{{subject: r.ours}}}
		for _, p := range r.peers {
			t.cols = append(t.cols, &column{subject: p})
		}
		rep.tables = append(rep.tables, t)
	}
	times := readCPUTimes()
	rep.Weather = append(rep.Weather, h.look(times))
	for round := range h.o.rounds {
		for _, t := range rep.tables {
			for i := range t.cols { // ours is not always the first
				t.cols[(i+round)%len(t.cols)].measure(h)
			}
			fmt.Fprintf(os.Stderr, "bench: round %d of %d: %s\r\x1b[K", round+1, h.o.rounds, t.name)
			if h.ctx.Err() != nil {
				fmt.Fprintln(os.Stderr)
				return rep, fmt.Errorf("interrupted in round %d", round+1)
			}
		}
		rep.Weather = append(rep.Weather, h.look(times))
		times = readCPUTimes()
	}
	fmt.Fprintln(os.Stderr)
	rep.End = time.Now()
	return rep, nil
}
