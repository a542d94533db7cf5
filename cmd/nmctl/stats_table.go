package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (v statsView) table(t *table) {
	t.row("PORT", "SWITCH", "TX FRAMES", "TX BYTES", "RX FRAMES", "RX BYTES", "BAD RINGS", "DROPS", "REASONS")
	for _, p := range v.Ports {
		total, reasons := drops(p.Drops, func(n uint64) string { return strconv.FormatUint(n, 10) })
		t.row(p.label(), dash(p.Switch), p.Tx.Frames, p.Tx.Bytes, p.Rx.Frames, p.Rx.Bytes, p.BadRings, total, reasons)
	}
	v.deviceTable(t)
	v.lcoreTable(t)
	v.stageTable(t)
	v.regionTable(t)
	t.gap()
	t.row(fmt.Sprintf("%d sessions, %d descriptors", v.Sessions, v.Descriptors))
}

func (v ratesView) table(t *table) {
	at := "-"
	if v.Time != nil {
		at = v.Time.Local().Format(time.TimeOnly)
	}
	t.row(fmt.Sprintf("%s, per second over %.2f s", at, v.IntervalSeconds))
	t.gap()
	t.row("PORT", "SWITCH", "TX FRAMES/S", "TX BITS/S", "RX FRAMES/S", "RX BITS/S", "DROPS/S", "REASONS")
	for _, p := range v.Ports {
		if p.Gone && p.Rates.still() {
			continue
		}
		total, reasons := drops(p.Rates.Drops, decimal)
		t.row(p.label(), dash(p.Switch),
			decimal(p.Rates.Tx.Frames), decimal(8*p.Rates.Tx.Bytes),
			decimal(p.Rates.Rx.Frames), decimal(8*p.Rates.Rx.Bytes),
			decimal(total), reasons)
	}
	v.lcoreTable(t)
	v.stageTable(t)
}

// label marks what no longer exists.
func (p portStatsView) label() string {
	if p.Gone {
		return p.Name + " (gone)"
	}
	return p.Name
}

// drops sums up and names the reasons, the most frequent first. Zeros are left out.
func drops[N uint64 | float64](byReason map[string]N, text func(N) string) (total N, list string) {
	reasons := slices.SortedFunc(maps.Keys(byReason), func(a, b string) int {
		return cmp.Or(cmp.Compare(byReason[b], byReason[a]), cmp.Compare(a, b))
	})
	var texts []string
	for _, reason := range reasons {
		if n := byReason[reason]; n > 0 {
			total += n
			texts = append(texts, reason+" "+text(n))
		}
	}
	return total, dash(strings.Join(texts, ", "))
}

// deviceTable shows the drivers' own counters that are not zero.
func (v statsView) deviceTable(t *table) {
	first := true
	for _, p := range v.Ports {
		for _, counter := range slices.Sorted(maps.Keys(p.Device)) {
			if p.Device[counter] == 0 {
				continue
			}
			if first {
				t.gap()
				t.row("PORT", "DEVICE COUNTER", "VALUE")
				first = false
			}
			t.row(p.label(), counter, p.Device[counter])
		}
	}
}

func (v statsView) lcoreTable(t *table) {
	t.gap()
	t.row("LCORE", "CPU", "MODE", "UNITS", "PACKETS", "CYCLES/PACKET", "IDLE", "SLEEPS", "WAKE-UPS", "STATE")
	for _, l := range v.Lcores {
		state, perPacket, idle := "ok", "-", "-"
		if l.Stuck {
			state = "STUCK"
		}
		if l.CyclesPerPacket != nil {
			perPacket = fmt.Sprintf("%.1f", *l.CyclesPerPacket)
		}
		if l.IdleShare != nil {
			idle = fmt.Sprintf("%.1f%%", 100**l.IdleShare)
		}
		t.row(l.ID, l.CPU, dash(l.Mode), l.Units, l.Packets, perPacket, idle, l.Sleeps, l.Wakeups, state)
	}
}

// stageTable says where the cycles of a packet went, on lcores that moved any.
func (v statsView) stageTable(t *table) {
	first := true
	for _, l := range v.Lcores {
		s := l.StagePerPacket
		if s == nil || *s == (stagesView[float64]{}) {
			continue
		}
		if first {
			t.gap()
			t.row("LCORE", "CYCLES/PACKET", "POLL", "CLASSIFY", "FORWARD", "COPY", "NOTIFY")
			first = false
		}
		t.row(l.ID, ratio(l.CyclesPerPacket), ratio(&s.Poll), ratio(&s.Classify), ratio(&s.Forward), ratio(&s.Copy), ratio(&s.Notify))
	}
}

func (v statsView) regionTable(t *table) {
	t.gap()
	t.row("REGION", "NAME", "OWNER", "BYTES", "PORTS", "FREE IFS", "FREE RINGS", "FREE BUFFERS", "LENT", "ORPHANS")
	for _, r := range v.Regions {
		owner := ""
		if r.Owner != nil {
			owner = fmt.Sprint(*r.Owner)
		}
		t.row(r.ID, dash(r.Name), dash(owner), r.Size, r.Users, r.IfPool, r.RingPool, r.BufPool, r.Lent, r.Orphans)
	}
}

// String is "free/total".
func (p poolView) String() string { return fmt.Sprintf("%d/%d", p.Free, p.Total) }

// decimal writes a number without fraction and exponent.
func decimal(n float64) string { return fmt.Sprintf("%.0f", n) }
