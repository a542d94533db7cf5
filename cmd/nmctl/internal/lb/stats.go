package lb

import (
	"encoding/json"
	"fmt"
	"io"
	"log/syslog"
	"time"
)

// pipeLine is what is told of a pipe, in the words of netmap's lb.
type pipeLine struct {
	TS        float64 `json:"ts"`
	Interface string  `json:"interface"`
	Ring      int     `json:"output_ring"`
	Forwarded uint64  `json:"packets_forwarded"`
	Dropped   uint64  `json:"packets_dropped"`
	rates
	Overflow int `json:"overflow_queue_size"`
}

// totalLine is what is told of all.
type totalLine struct {
	TS        float64 `json:"ts"`
	Interface string  `json:"interface"`
	Ring      *int    `json:"output_ring"` // null
	Received  uint64  `json:"packets_received"`
	Forwarded uint64  `json:"packets_forwarded"`
	Dropped   uint64  `json:"packets_dropped"`
	NonIP     uint64  `json:"non_ip_packets"`
	rates
	Free int `json:"free_buffer_slots"`
}

type rates struct {
	ForwardMbps float64 `json:"data_forward_rate_Mbps"`
	DropMbps    float64 `json:"data_drop_rate_Mbps"`
	ForwardKpps float64 `json:"packet_forward_rate_kpps"`
	DropKpps    float64 `json:"packet_drop_rate_kpps"`
}

// perSecond are the rates between two counts.
func perSecond(now, before counts, elapsed time.Duration) rates {
	s := elapsed.Seconds()
	if s <= 0 {
		return rates{}
	}
	const mega = 1 << 20 // as lb has it
	return rates{
		ForwardMbps: float64(now.bytes-before.bytes) * 8 / mega / s, DropMbps: float64(now.dropped-before.dropped) * 8 / mega / s,
		ForwardKpps: float64(now.packets-before.packets) / 1e3 / s, DropKpps: float64(now.drops-before.drops) / 1e3 / s,
	}
}

// A sink is one place that statistics go to.
type sink struct {
	write  func(line string)
	period time.Duration
	at     time.Time // of the last lines
	before []counts  // of each pipe then, and of all
}

type reporter struct {
	sinks []*sink
	log   *syslog.Writer
}

func newReporter(o *Options, out io.Writer) (*reporter, error) {
	r, now := &reporter{}, time.Now()
	if o.Stdout > 0 {
		r.sinks = append(r.sinks, &sink{func(l string) { fmt.Fprintln(out, l) }, time.Duration(o.Stdout) * time.Second, now, nil})
	}
	if o.Syslog > 0 {
		w, err := syslog.New(syslog.LOG_INFO|syslog.LOG_LOCAL1, "lb")
		if err != nil {
			return nil, fmt.Errorf("-s %d: syslog: %w", o.Syslog, err)
		}
		r.log = w
		r.sinks = append(r.sinks, &sink{func(l string) { _ = w.Info(l) }, time.Duration(o.Syslog) * time.Second, now, nil})
	}
	return r, nil
}

func (r *reporter) close() {
	if r.log != nil {
		_ = r.log.Close()
	}
}

// due prints what is due.
func (r *reporter) due(b *balancer) {
	if len(r.sinks) == 0 {
		return
	}
	now := time.Now()
	for _, s := range r.sinks {
		if now.Sub(s.at) >= s.period {
			s.print(b, now)
		}
	}
}

func (s *sink) print(b *balancer, now time.Time) {
	if s.before == nil {
		s.before = make([]counts, len(b.outputs)+1)
	}
	ts, elapsed := float64(now.UnixMicro())/1e6, now.Sub(s.at)
	var all counts
	for i, p := range b.outputs {
		line := pipeLine{TS: ts, Interface: p.name, Ring: i, Forwarded: p.packets, Dropped: p.drops, rates: perSecond(p.counts, s.before[i], elapsed)}
		if p.overflow != nil {
			line.Overflow = p.overflow.n
		}
		s.line(line)
		s.before[i] = p.counts
		all.packets, all.bytes = all.packets+p.packets, all.bytes+p.bytes
		all.drops, all.dropped = all.drops+p.drops, all.dropped+p.dropped
	}
	line := totalLine{
		TS: ts, Interface: b.o.Interface, Received: b.res.Received, Forwarded: all.packets, Dropped: all.drops,
		NonIP: b.res.NonIP, rates: perSecond(all, s.before[len(b.outputs)], elapsed),
	}
	if b.free != nil {
		line.Free = b.free.n
	}
	s.line(line)
	s.before[len(b.outputs)], s.at = all, now
}

func (s *sink) line(v any) {
	if text, err := json.Marshal(v); err == nil { // they marshal
		s.write(string(text))
	}
}
