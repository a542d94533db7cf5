package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"

	"github.com/netmapd/netmapd/daemon/fdstore"
	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/port"
)

// statusInterval is how often systemd is told what goes on.
const statusInterval = 5 * time.Second

// notify tells systemd something, which is nothing to do where it is not there.
func notify(state string) { _, _ = sd.SdNotify(false, state) }

// openStore finds who keeps ports for the next daemon, nil where nobody does.
func (d *Daemon) openStore() port.Keeper {
	store, err := fdstore.Open(d.log)
	if err != nil {
		d.log.Warn("the service manager does not listen; a restart takes ports from clients", "err", err)
	}
	if store == nil {
		return nil
	}

	d.onStop(func() { store.Close(stopTimeout) })
	return store
}

// tellSystemd feeds systemd's watchdog, if it has one for us, and tells it what
// goes on, until the daemon stops. Neither waits for the other, or for Run: an
// lcore that does not answer is to be told of, and stops the feeding, by itself.
func (d *Daemon) tellSystemd() {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var both sync.WaitGroup
	d.onStop(func() {
		cancel()
		both.Wait()
	})
	if limit, err := sd.SdWatchdogEnabled(false); err != nil {
		d.log.Warn("systemd's watchdog is not fed", "err", err)
	} else if limit > 0 {
		both.Go(func() { every(ctx, limit/3, d.feedWatchdog) })
	}
	s := status{d: d, since: time.Now()}
	both.Go(func() { every(ctx, statusInterval, func() { s.tell(ctx) }) })
}

// every calls fn at once and then once in each interval.
func every(ctx context.Context, interval time.Duration, fn func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		fn()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// feedWatchdog tells systemd that all lcores make progress, if they do.
func (d *Daemon) feedWatchdog() {
	if !slices.ContainsFunc(d.lcores, stands) {
		notify(sd.SdNotifyWatchdog)
	}
}

// stands says that an lcore moves no packets although it should.
func stands(l *lcore.Lcore) bool { return l.Stuck() || !l.Alive() }

// status is the line about the daemon in systemctl status.
type status struct {
	d       *Daemon
	told    string
	packets uint64 // moved until since
	since   time.Time
}

// tell sends the line if it is another than before.
func (s *status) tell(ctx context.Context) {
	if line := s.line(ctx); line != s.told {
		notify("STATUS=" + line)
		s.told = line
	}
}

func (s *status) line(ctx context.Context) string {
	var parts []string
	for _, l := range s.d.lcores {
		if stands(l) {
			parts = append(parts, fmt.Sprintf("lcore %d makes no progress", l.ID()))
		}
	}
	if parts == nil { // else the numbers would be waited for in vain
		ctx, cancel := context.WithTimeout(ctx, statusInterval)
		defer cancel()
		if snap, err := s.d.reg.Snapshot(ctx); err == nil {
			parts = append(parts, s.numbers(&snap, time.Now()))
		}
	}
	if s.d.conf.failed() {
		parts = append(parts, "the last configuration was refused, see the log")
	}
	return strings.Join(parts, "; ")
}

// numbers says how much there is and how much of it moves.
func (s *status) numbers(snap *port.Snapshot, now time.Time) string {
	ports := 0
	for i := range snap.Ports {
		if !snap.Ports[i].Gone {
			ports++
		}
	}
	var packets uint64
	for i := range snap.Lcores {
		packets += snap.Lcores[i].Packets
	}
	rate := float64(packets-s.packets) / max(now.Sub(s.since).Seconds(), 1e-3) / 1e6
	s.packets, s.since = packets, now
	return fmt.Sprintf("%d ports, %d clients, %.3f Mpps", ports, snap.Sessions, rate)
}

// failed says that the last configuration that was given could not be applied; not while one is being applied.
func (c *configuration) failed() bool {
	if !c.mu.TryLock() {
		return false
	}
	defer c.mu.Unlock()
	return c.err != nil
}
