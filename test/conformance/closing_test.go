package conformance

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// cls07Monitors closes a port, its monitors and its pipe in every order. What is left works
// meanwhile, and in the end nothing is left.
func cls07Monitors(e *env) {
	p, sw := e.program(), e.vale()
	peer := e.openPort(p, sw+":peer", slots(64, 64))
	for _, order := range permutations(4) {
		a := e.openPort(p, sw+":a", slots(64, 64), extraBufs(3))
		set := []*port{
			a, e.openPort(p, a.name, flags(abi.FlagMonitorTx|abi.FlagMonitorRx)),
			e.openPort(p, a.name, flags(zeroCopy)), e.openPort(p, a.name, flags(zeroCopy)),
		}
		open := true
		for step, i := range order {
			if open {
				a.tx[0].send(flood(uint32(step)))
				peer.rx[0].receives(flood(uint32(step)))
				peer.tx[0].send(flood(uint32(step)))
				a.rx[0].receives(flood(uint32(step)))
			} else {
				set[i].polls(unix.POLLIN, unix.POLLERR)
			}
			if set[i].close(); i == 0 {
				open = false
				e.isGone(a.name)
			}
		}
		e.nothingLeft(fmt.Sprintf("closing order %v of a port, a copy and two zero-copy monitors", order), a.reg.MemID)
	}
	for _, order := range permutations(4) {
		a := e.openPort(p, sw+":a", slots(64, 64))
		master, slave := e.openPort(p, a.name+"{1"), e.openPort(p, a.name+"}1")
		set := []*port{a, master, slave, e.openPort(p, master.name, flags(zeroCopy))}
		for step, i := range order {
			if closed := order[:step]; !slices.Contains(closed, 1) && !slices.Contains(closed, 2) {
				master.tx[0].fill(flood(uint32(step)))
				master.sync()
				slave.rx[0].arrives(flood(uint32(step)))
				slave.sync()
			}
			set[i].close()
		}
		e.nothingLeft(fmt.Sprintf("closing order %v of a port, both ends of its pipe, and a monitor", order), a.reg.MemID)
	}
}

// nothingLeft waits until a private region has gone, with all that lived in it.
func (e *env) nothingLeft(what string, mem uint16) {
	e.Helper()
	e.waitFor("the end of region "+fmt.Sprint(mem)+" after "+what, func() error {
		if r := e.region(mem); r != nil {
			return fmt.Errorf("%d ports live in it: %v", r.GetUsers(), r)
		}
		return nil
	})
}
