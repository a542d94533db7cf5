package daemon

import (
	"context"
	"os"
	"time"

	"github.com/netmapd/netmapd/daemon/attach"
	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/dpdk/eal"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/port"
)

// Version of netmapd; set by the build.
var Version = "dev"

// plane is what the gRPC services see of the daemon: the registry, and what
// only the daemon knows.
type plane struct {
	*port.Registry
	d *Daemon
}

// Ticket stores a registration for the attach socket to carry out.
func (p plane) Ticket(_ context.Context, uid uint32, req control.TicketRequest) (token [16]byte, expires time.Time, err error) {
	return p.d.tickets.Issue(attach.Ticket{UID: uid, Name: req.Name, Register: req.Register})
}

// Info describes the daemon.
func (p plane) Info() control.Info {
	d := p.d
	return control.Info{
		Version: Version, DPDKVersion: eal.Version(), PID: os.Getpid(), Started: d.started,
		EALArgs: d.ealArgs, Notes: d.notes, RuntimeDir: d.dir, AttachSocket: rundir.AttachSocket(d.dir),
	}
}
