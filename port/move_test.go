package port_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/port"
)

// A port that nobody uses moves, and works where it is then.
func TestMovePort(t *testing.T) {
	b := newBed(t, 2, port.Config{})
	_, err := b.reg.CreatePort(limited(t), port.Spec{Name: "loop", Kind: port.KindDevice, Devargs: "net_ring_move"})
	must(t, err)
	at := func() int {
		info, err := b.reg.Port(limited(t), "loop")
		must(t, err)
		return info.Lcore
	}
	to := 1 - at()
	must(t, b.reg.MovePort(limited(t), "loop", to))
	must(t, b.reg.MovePort(limited(t), "loop", to)) // it is there
	if at() != to {
		t.Errorf("the port is on lcore %d, want %d", at(), to)
	}
	d := b.open("netmap:loop")
	sent := frame(1, 2, 60, 0)
	send(t, d, 0, sent)
	same(t, receive(t, d, 1), [][]byte{sent})
	fails(t, b.reg.MovePort(limited(t), "loop", 1-to), unix.EBUSY, "open")
	fails(t, b.reg.MovePort(limited(t), "loop", 2), unix.ENXIO, "0 to 1")
	fails(t, b.reg.MovePort(limited(t), "none", 0), unix.ENXIO)
	b.close(d)
	must(t, b.reg.MovePort(limited(t), "loop", 1-to))
	_, err = b.reg.CreateSwitch(limited(t), port.SwitchSpec{Name: "vale0"})
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", "loop")
	must(t, err)
	fails(t, b.reg.MovePort(limited(t), "loop", to), unix.EBUSY, "vale0")
	if got := b.stats("loop"); got.Tx.Frames == 0 || got.Rx.Frames != 1 {
		t.Errorf("the counters are %+v", got)
	}
	must(t, b.reg.Detach(limited(t), "vale0", "loop"))
}
