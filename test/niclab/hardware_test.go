package niclab

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

// nicsEnv names NICs of this machine, in pairs that a cable joins: PCI addresses, or whatever else devargs can be.
const nicsEnv = "NETMAPD_NICS"

// TestHardware does with NICs of this machine what TestVFIO does with emulated ones, as far as it takes no hand that pulls a
// cable. Of each pair netmapd drives both: one end is tested, the other is the far end.
func TestHardware(t *testing.T) {
	nics := strings.Fields(os.Getenv(nicsEnv))
	if len(nics) == 0 {
		t.Skipf("%s is not set: make test-hardware NICS='ADDRESS ADDRESS' runs this test", nicsEnv)
	}
	if len(nics)%2 != 0 {
		t.Fatalf("%s has %d devices, expected pairs that a cable joins", nicsEnv, len(nics))
	}
	m := thisMachine(t)
	var ports []string
	for i, devargs := range nics {
		ports = append(ports, fmt.Sprintf("- {name: nic%d, kind: device, devargs: %q, slots: 512}", i, devargs))
	}
	d := m.startDaemon(t, "version: 1\nlog: {level: debug}\ndpdk: {pci: true}\nports:\n"+strings.Join(ports, "\n")+"\n")
	for side := range 2 {
		t.Run(fmt.Sprintf("side %d", side), func(t *testing.T) { d.oneSide(t, len(nics), side) })
	}
	t.Run("after a crash", func(t *testing.T) {
		d.kill(t)
		d.start(t)
		for _, u := range d.paired(t, len(nics), 0) {
			framesBothWays(t, u)
		}
	})
}

// oneSide tests one end of each pair.
func (d *daemon) oneSide(t *testing.T, nics, side int) {
	suite(t, d, d.paired(t, nics, side))
}

// paired are the ports of one end of each pair, until the end of the test with the others as far ends.
func (d *daemon) paired(t *testing.T, nics, side int) (duts []*dut) {
	t.Helper()
	for i := side; i < nics; i += 2 {
		name := fmt.Sprintf("nic%d", i)
		duts = append(duts, &dut{d, name, d.port(t, name).GetMac(), d.openPeer(t, fmt.Sprintf("nic%d", i^1))})
		d.waitLink(t, name, true)
	}
	return duts
}

// A peer is a port of the same daemon as a far end.
type peer struct {
	inbox
	tx *client
}

func (d *daemon) openPeer(t *testing.T, port string) *peer {
	t.Helper()
	p := &peer{newInbox(), d.open(t, "netmap:"+port+"/T", 0)}
	rx := d.open(t, "netmap:"+port+"/R", 0)
	go func() {
		for {
			var got []talk.Got
			if err := rx.rpc.Call("Client.Recv", talk.Want{Count: 1, Limit: 100 * time.Millisecond}, &got); err != nil {
				return // it is closed, or its daemon is gone
			}
			for _, g := range got {
				p.add(g.Frame)
			}
		}
	}()
	return p
}

func (p *peer) send(t *testing.T, frames ...[]byte) {
	t.Helper()
	p.tx.send(t, 0, frames)
}

// thisMachine runs the agent right here.
func thisMachine(t *testing.T) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "nic")
	must(t, err)
	m := &machine{
		dir: dir, done: make(chan struct{}), guest: filepath.Join(dir, "guest"), runs: dir,
		where: &net.UnixAddr{Name: filepath.Join(dir, "agent"), Net: "unix"},
	}
	t.Cleanup(m.stop)
	must(t, build(dir))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	must(t, m.start(m.guest, "serve", m.where.String()))
	must(t, m.meet())
	return m
}
