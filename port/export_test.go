package port

import (
	"github.com/netmapd/netmapd/lcore"
	vale "github.com/netmapd/netmapd/switch"
)

// SwitchParts are what the tests break: the poller of a switch on an lcore, and
// one of its ports.
func (g *Registry) SwitchParts(swName, portName string, l *lcore.Lcore) (*vale.Poller, *vale.Port) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.switches[swName].pollers[l], g.ports[portName].vp
}
