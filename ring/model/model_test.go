package model

import (
	"fmt"
	"strings"
	"testing"
)

func (md model) String() string {
	kind := "tx"
	if md.rx {
		kind = "rx"
	}
	return fmt.Sprintf("%s, %d slots, %d items, %d client(s)", kind, md.slots, md.items, md.clients)
}

// run checks md for the violation sought, or for any when sought is empty.
func (md model) run(t *testing.T, sought violation) result {
	t.Helper()
	m := md.machine()
	m.sought = sought
	got := m.check()
	t.Logf("%d states", got.states)
	return got
}

func TestProtocol(t *testing.T) {
	bounds := []model{
		{slots: 2, items: 3, clients: 1},
		{slots: 3, items: 3, clients: 1},
		{slots: 3, items: 5, clients: 1}, // wraps; batches of two
		{slots: 2, items: 2, clients: 2},
		{slots: 3, items: 3, clients: 2},
	}
	for _, md := range bounds {
		for _, md.rx = range []bool{false, true} {
			t.Run(md.String(), func(t *testing.T) {
				if testing.Short() && md.clients > 1 {
					t.Skip("a quarter of a million states: not with -short")
				}
				if got := md.run(t, ""); got.bad != "" {
					t.Errorf("%s:\n%s", got.bad, strings.Join(got.trace, "\n"))
				}
			})
		}
	}
}

// Every part is needed: without it the checker finds a counterexample, on a TX ring
// (the client waits for space) and on an RX ring (it waits for packets). -v prints them.
func TestWithoutAPart(t *testing.T) {
	one := model{slots: 2, items: 3, clients: 1}
	two := model{slots: 2, items: 2, clients: 2}
	// A slot handed back is used again under the same publication only if that gave back
	// two or more, since one slot is always unused.
	batch := model{slots: 3, items: 4, clients: 1}
	tests := []struct {
		name   string
		bounds model
		remove []part
		want   violation
	}{
		{"client head barrier", one, []part{clientHeadBarrier}, indexOrder},
		{"client store barriers", batch, []part{clientSlotBarrier, clientHeadBarrier}, slotData},
		{"client kick barrier", one, []part{clientKickBarrier}, lostWakeup},
		{"client tail barrier, indices", one, []part{clientTailBarrier}, indexOrder},
		{"client tail barrier, slots", batch, []part{clientTailBarrier}, slotData},
		{"client sleep barrier", one, []part{clientSleepBarrier}, lostWakeup},
		{"client re-check", one, []part{clientRecheck}, lostWakeup},
		{"client leaves mark", two, []part{clientLeavesMark}, lostWakeup},
		{"daemon head barrier, indices", one, []part{daemonHeadBarrier}, indexOrder},
		{"daemon head barrier, slots", batch, []part{daemonHeadBarrier}, slotData},
		{"daemon tail barrier", one, []part{daemonTailBarrier}, indexOrder},
		{"daemon store barriers", batch, []part{daemonSlotBarrier, daemonTailBarrier}, slotData},
		{"daemon wake barrier", one, []part{daemonWakeBarrier}, lostWakeup},
		{"daemon clears first", one, []part{daemonClearFirst}, lostWakeup},
		{"daemon clear barrier", one, []part{daemonClearBarrier}, lostWakeup},
		{"daemon wakes all", two, []part{daemonWakesAll}, lostWakeup},
		{"daemon sleep barrier", one, []part{daemonSleepBarrier}, lostWakeup},
		{"daemon re-check", one, []part{daemonRecheck}, lostWakeup},
	}
	for _, tt := range tests {
		md := tt.bounds
		md.without = tt.remove
		for _, md.rx = range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/rx=%t", tt.name, md.rx), func(t *testing.T) {
				got := md.run(t, tt.want)
				if got.bad != tt.want {
					t.Fatalf("without %q no %s was found: the part is superfluous, or the model too strong or too small",
						md.without, tt.want)
				}
				t.Logf("without %q: %s\n%s", md.without, got.bad, strings.Join(got.trace, "\n"))
			})
		}
	}
}

// Some parts can go as long as others stay; the reason is part of the contract, because
// whoever changes the other part needs this one back.
func TestHarmlessRemovals(t *testing.T) {
	tests := []struct {
		remove part
		why    string
	}{
		{clientSlotBarrier, "the barrier before head orders the slots too, and nobody reads slots on the strength of cur"},
		{daemonSlotBarrier, "the barrier before hwtail orders the slots too, and nobody reads slots on the strength of hwcur"},
		{clientLeavesMark, "alone on a ring, a client takes back only its own mark, and arms it again before it blocks"},
	}
	for _, tt := range tests {
		md := model{slots: 2, items: 3, clients: 1, without: []part{tt.remove}}
		for _, md.rx = range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/rx=%t", tt.remove, md.rx), func(t *testing.T) {
				if got := md.run(t, ""); got.bad != "" {
					t.Errorf("should be harmless (%s) but: %s\n%s", tt.why, got.bad, strings.Join(got.trace, "\n"))
				}
			})
		}
	}
}
