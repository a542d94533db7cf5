package model

import (
	"fmt"
	"strings"
	"testing"
)

// Two polls of one process, each asleep on a ring of its own, whose marks say that to be woken for one of them will do.

const (
	lcoreLeavesMark part = "daemon: the mark of who is not woken, since its process is, stays"
	lcoreExchanges  part = "daemon: what a mark asks for is read as it is taken"
	leaverRouses    part = "client: who leaves and finds its mark gone looks for others"
	armerRouses     part = "client: so does who woke for nothing, and arms again"
	leaverLowers    part = "client: who leaves lowers its mark"
)

// A poller's variables, and those of its ring.
type poller struct{ mark, tail, wake, listed, pos loc }

var pollers = [2]poller{
	{applNeedKick, hwtail, wake0, head, slot0},
	{kernNeedKick, hwcur, wake1, cur, slot0 + 1},
}

// askProcess is abi.AskProcess. What a mark is lowered to is none: there is nobody else.
const askProcess = 2

// A round is what an lcore publishes before it looks who sleeps: to which rings, in the order in which it looks.
type round []int

type process struct {
	rounds  []round
	without []part
}

func (pr process) has(p part) bool { return model{without: pr.without}.has(p) }

func (pr process) items(ring int) (n word) {
	for _, r := range pr.rounds {
		for _, i := range r {
			if i == ring {
				n++
			}
		}
	}
	return n
}

func (pr process) lcore() *program {
	p := &program{name: "lcore"}
	var tails [2]word
	for n, r := range pr.rounds {
		for _, i := range r {
			tails[i]++
			p.put(pollers[i].tail, tails[i])
		}
		p.barrier(opFullBarrier)
		p.do(func(r *regs) { r.head = 0 }) // the process is told
		for k, i := range r {
			next := fmt.Sprint("next", n, k)
			p.load(pollers[i].mark)
			p.branch(next, func(r *regs) bool {
				return r.v == 0 || pr.has(lcoreLeavesMark) && r.v == askProcess && r.head == askProcess
			})
			if pr.has(lcoreExchanges) {
				p.update(pollers[i].mark, func(word) word { return 0 })
			} else {
				p.do(func(r *regs) { r.limit = r.v })
				p.put(pollers[i].mark, 0)
				p.do(func(r *regs) { r.v = r.limit })
			}
			p.branch(next, func(r *regs) bool { return r.v == 0 || r.v == askProcess && r.head == askProcess })
			p.do(func(r *regs) { r.head = r.v })
			p.barrier(opStoreBarrier)
			p.put(pollers[i].wake, 1)
			p.label(next)
		}
	}
	p.done()
	return p
}

// client is a program that polls its ring until it has everything.
func (pr process) client(id int) *program {
	p := &program{name: [...]string{"a", "b"}[id]}
	me, other, items := pollers[id], pollers[1-id], pr.items(id)
	arm := func() { p.update(me.mark, func(word) word { return askProcess }) }
	news := func(to string) {
		p.load(me.tail)
		p.branch(to, func(r *regs) bool { return r.v > r.pos })
	}

	p.label("sync")
	p.load(me.tail)
	p.do(func(r *regs) { r.pos = r.v })
	p.store(me.pos, position)
	p.branch("done", func(r *regs) bool { return r.pos == items })
	p.lock(busy)
	p.put(me.listed, 1)
	p.unlock(busy)
	arm()
	p.label("look")
	news("leave")
	p.block(me.wake)
	p.barrier(opLoadBarrier)
	news("leave")
	arm()
	p.branch("look", func(r *regs) bool { return r.v != 0 || !pr.has(armerRouses) })
	p.rouse("again", other)
	p.jump("look")

	p.label("leave")
	p.lock(busy)
	p.put(me.listed, 0)
	p.update(me.mark, func(old word) word {
		if pr.has(leaverLowers) {
			return 0
		}
		return old
	})
	p.do(func(r *regs) { r.limit = r.v })
	p.unlock(busy)
	p.branch("sync", func(r *regs) bool { return r.limit != 0 || !pr.has(leaverRouses) })
	p.rouse("left", other)
	p.jump("sync")
	p.label("done")
	p.done()
	return p
}

// rouse wakes the other one if it sleeps and has something to look at.
func (p *program) rouse(name string, other poller) {
	p.lock(busy)
	p.load(other.listed)
	p.branch(name, func(r *regs) bool { return r.v == 0 })
	p.load(other.tail)
	p.do(func(r *regs) { r.limit = r.v })
	p.load(other.pos)
	p.branch(name, func(r *regs) bool { return r.v == r.limit })
	p.put(other.wake, 1)
	p.label(name)
	p.unlock(busy)
}

func (pr process) run(t *testing.T) result {
	t.Helper()
	m := &machine{
		programs: []*program{pr.client(0), pr.client(1), pr.lcore()},
		final: func(m *machine, s *state) violation {
			for t := range m.programs {
				if m.step(s, t).op != opDone {
					return lostWakeup
				}
			}
			return ""
		},
	}
	got := m.check()
	t.Logf("%d states", got.states)
	return got
}

// What an lcore may do: both rings together, in either order, and one of them alone.
var processRounds = [][]round{
	{{0, 1}, {0, 1}},
	{{0, 1}, {1, 0}},
	{{0, 1}, {1}, {1, 0}},
}

func TestProcess(t *testing.T) {
	for _, rounds := range processRounds {
		t.Run(fmt.Sprint(rounds), func(t *testing.T) {
			if testing.Short() && len(rounds) > 2 {
				t.Skip("many states: not with -short")
			}
			if got := (process{rounds: rounds}).run(t); got.bad != "" {
				t.Errorf("%s:\n%s", got.bad, strings.Join(got.trace, "\n"))
			}
		})
	}
}

func TestProcessWithoutAPart(t *testing.T) {
	for _, p := range []part{lcoreLeavesMark, lcoreExchanges, leaverRouses, armerRouses, leaverLowers} {
		t.Run(string(p), func(t *testing.T) {
			for _, rounds := range processRounds {
				if got := (process{rounds: rounds, without: []part{p}}).run(t); got.bad != "" {
					t.Logf("%v: %s\n%s", rounds, got.bad, strings.Join(got.trace, "\n"))
					return
				}
			}
			t.Errorf("nothing is lost without it: it is superfluous, or the model too strong or too small")
		})
	}
}
