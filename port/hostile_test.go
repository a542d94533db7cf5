package port_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/port"
)

// A client that asks for an interface that a switch uses is refused, and the
// interface stays where it is, also when it has a port for the switch's sake only.
func TestRefusedOpenLeavesSwitchAlone(t *testing.T) {
	c := newCable(t)
	b := newBed(t, 1, port.Config{})
	_, err := b.reg.CreateSwitch(limited(t), "vale0")
	must(t, err)
	_, err = b.reg.Attach(limited(t), "vale0", ours)
	must(t, err)
	d := b.open("vale0:a")
	for range 3 {
		_, err = b.tryOpen("netmap:" + ours)
		fails(t, err, unix.EBUSY, "vale0")
	}
	if got, want := b.names(), ours+" vale0:a"; got != want {
		t.Errorf("ports are %q, want %q", got, want)
	}
	c.peer.send(t, frame(everyone, 1, 60, 1))
	receiveTest(t, d, 1)
	must(t, b.reg.Detach(limited(t), "vale0", ours))
}
