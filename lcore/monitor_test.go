package lcore

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMonitorJudgesWithoutAClock(t *testing.T) {
	type look struct {
		beat           uint64
		asleep         bool
		changed, stuck bool
	}
	for name, looks := range map[string][]look{
		"progress":               {{beat: 1}, {beat: 2}, {beat: 3}},
		"sleeps for long":        {{beat: 1}, {1, true, false, false}, {1, true, false, false}, {1, true, false, false}},
		"one slow look":          {{beat: 1}, {beat: 1}, {beat: 2}, {beat: 2}, {beat: 3}},
		"stuck, told once":       {{beat: 1}, {beat: 1}, {1, false, true, true}, {1, false, false, true}},
		"stuck and recovered":    {{beat: 1}, {beat: 1}, {1, false, true, true}, {2, false, true, false}, {beat: 3}},
		"stuck, then asleep":     {{beat: 1}, {beat: 1}, {1, false, true, true}, {1, true, true, false}},
		"stuck twice":            {{beat: 1}, {beat: 1}, {1, false, true, true}, {2, false, true, false}, {beat: 2}, {2, false, true, true}},
		"stuck from the start":   {{beat: 0}, {0, false, true, true}},
		"asleep between the two": {{beat: 1}, {beat: 1}, {1, true, false, false}, {beat: 1}, {1, false, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			var m monitor
			for i, want := range looks {
				if changed := m.look(want.beat, want.asleep); changed != want.changed || m.stuck.Load() != want.stuck {
					t.Errorf("look %d: changed %v, stuck %v; want %v, %v", i, changed, m.stuck.Load(), want.changed, want.stuck)
				}
			}
		})
	}
}

func TestStuckLcoreIsReportedAndRecovers(t *testing.T) {
	type report struct {
		l    *Lcore
		hint string
	}
	var reports []report
	l := start(t, Config{
		ID: 4, CPU: -1, StuckInterval: time.Hour, // the test looks
		OnStuck: func(l *Lcore, hint string) { reports = append(reports, report{l, hint}) },
	})
	gate, entered := make(chan struct{}), make(chan struct{})
	u := &unit{}
	u.poll = func() int {
		if u.polls.Load() == 1 {
			close(entered)
			<-gate
		}
		return 1
	}
	must(t, l.Add(deadline(t), u))
	<-entered
	for range 5 {
		l.look()
	}
	if !l.Stuck() || !l.Alive() || len(reports) != 1 {
		t.Fatalf("stuck %v, alive %v, %d reports; want true, true, 1", l.Stuck(), l.Alive(), len(reports))
	}
	r := reports[0]
	if r.l != l || !strings.Contains(r.hint, fmt.Sprintf("thread %d: state ", l.tid)) || strings.Contains(r.hint, "state unknown") {
		t.Errorf("reported lcore %d with hint %q", r.l.ID(), r.hint)
	}
	close(gate)
	before, _ := l.Progress()
	eventually(t, "progress", func() bool { now, _ := l.Progress(); return now > before })
	l.look()
	if l.Stuck() || len(reports) != 1 {
		t.Errorf("stuck %v, %d reports after progress resumed; want false, 1", l.Stuck(), len(reports))
	}
}

func TestUnitHangingInArmIsStuck(t *testing.T) {
	l := start(t, Config{CPU: -1, Spin: -1, StuckInterval: time.Hour})
	gate, entered := make(chan struct{}), make(chan struct{})
	first := true
	must(t, l.Add(deadline(t), &unit{arm: func() bool {
		if first {
			first = false
			close(entered)
			<-gate
		}
		return true
	}}))
	<-entered
	for range 3 {
		l.look()
	}
	if !l.Stuck() {
		t.Error("an lcore hanging in Arm does not count as stuck")
	}
	close(gate)
}

func TestTheMonitorLooksByItself(t *testing.T) {
	stuck := make(chan string, 1)
	l := start(t, Config{CPU: -1, StuckInterval: time.Millisecond, OnStuck: func(_ *Lcore, hint string) {
		select {
		case stuck <- hint:
		default:
		}
	}})
	release := hang(t, l)
	<-stuck
	release()
	eventually(t, "recovery", func() bool { return !l.Stuck() })
}
