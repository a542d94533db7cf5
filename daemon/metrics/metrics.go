// Package metrics shows the daemon's counters to Prometheus.
//
// It works on snapshots. Taking one interrupts every lcore between two polls, so
// one serves all scrapes of a second, whoever asks how often.
package metrics

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/netmapd/netmapd/port"
)

// Source is what the metrics are made of.
type Source interface {
	Snapshot(ctx context.Context) (port.Snapshot, error)
	Switches(ctx context.Context) ([]port.SwitchInfo, error)
}

const (
	freshness = time.Second     // a snapshot this young is used again
	patience  = 5 * time.Second // for one to be taken
)

// Names keep Prometheus' rules: base units, _total for counters. Labels have as
// many values as there are ports, switches, regions and lcores now; addresses are
// never labels, and ports that went are forgotten.
var (
	info = desc("build_info", "netmapd and its DPDK; always 1.", "version", "dpdk")

	portFrames  = desc("port_frames_total", "Frames that the port's clients or device sent (tx), or that were delivered to and taken by them (rx).", "port", "switch", "direction")
	portBytes   = desc("port_bytes_total", "Bytes of those frames, without checksum and preamble.", "port", "switch", "direction")
	portDrops   = desc("port_drops_total", "Frames lost at the port, by reason.", "port", "switch", "reason")
	portBad     = desc("port_bad_rings_total", "Illegal indices that clients wrote to rings of the port.", "port", "switch")
	portDevice  = desc("port_device_total", "The driver's own counters of the device, by its names.", "port", "counter")
	addresses   = desc("switch_addresses", "Addresses in the forwarding table.", "switch", "kind")
	tableSlots  = desc("switch_table_slots", "Slots of the forwarding table.", "switch")
	displaced   = desc("switch_table_displaced_addresses", "Addresses that collide with others in the forwarding table.", "switch")
	evicted     = desc("switch_table_evicted_total", "Addresses that lost their place in the forwarding table to others.", "switch")
	switchPorts = desc("switch_ports", "Ports attached to the switch.", "switch")

	lcorePackets = desc("lcore_packets_total", "Packets that the lcore moved.", "lcore", "cpu")
	lcoreSeconds = desc("lcore_polling_seconds_total", "Time spent in polls that moved packets (busy) or none (idle). Time asleep is in neither.", "lcore", "cpu", "state")
	lcoreCycles  = desc("lcore_busy_cycles_total", "Cycles of the time stamp counter in polls that moved packets; by packets they are the cycles per packet.", "lcore", "cpu")
	lcoreStages  = desc("lcore_stage_cycles_total", "The busy cycles by the stage of a packet (poll, classify, forward, copy, notify), by samples.", "lcore", "cpu", "stage")
	lcoreSleeps  = desc("lcore_sleeps_total", "Times that the lcore went to sleep.", "lcore", "cpu")
	lcoreWakeups = desc("lcore_wakeups_total", "Times that the lcore was woken.", "lcore", "cpu")
	lcoreStuck   = desc("lcore_stuck", "1 while the lcore makes no progress.", "lcore", "cpu")

	regionBytes   = desc("region_size_bytes", "Size of the memory region.", "region", "name")
	regionObjects = desc("region_objects", "Objects of the region's pools (if, ring, buf), by state (used, free).", "region", "name", "pool", "state")
	regionOrphans = desc("region_orphaned_buffers", "Buffers that dead clients left in no slot and no list, until they are swept.", "region", "name")
	regionLent    = desc("region_lent_buffers", "Buffers that devices receive into.", "region", "name")

	sessions    = desc("sessions", "Client processes that are connected.")
	descriptors = desc("descriptors", "Descriptors that they hold.")
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("netmapd_"+name, help, labels, nil)
}

// NewRegistry makes a registry with the metrics of the daemon, of its process and
// of Go, whose collector tells the garbage collector's pauses.
func NewRegistry(src Source, version, dpdk string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		&collector{src: src, version: version, dpdk: dpdk},
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(),
	)
	return r
}

// collector turns a snapshot into metrics.
type collector struct {
	src           Source
	version, dpdk string

	mu       sync.Mutex
	snap     port.Snapshot
	switches []port.SwitchInfo
	taken    time.Time
}

// Describe sends nothing: which metrics there are depends on what there is.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics of a fresh snapshot.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	snap, switches, err := c.fresh()
	if err != nil {
		out <- prometheus.NewInvalidMetric(info, err)
		return
	}
	e := emitter(out)
	e.gauge(info, 1, c.version, c.dpdk)
	e.gauge(sessions, float64(snap.Sessions))
	e.gauge(descriptors, float64(snap.Descriptors))
	for i := range snap.Ports {
		e.port(&snap.Ports[i])
	}
	for i := range switches {
		e.vale(&switches[i])
	}
	for i := range snap.Lcores {
		e.lcore(&snap.Lcores[i], float64(snap.TSCHz))
	}
	for i := range snap.Regions {
		e.region(&snap.Regions[i])
	}
}

func (c *collector) fresh() (port.Snapshot, []port.SwitchInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.taken) < freshness {
		return c.snap, c.switches, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	snap, err := c.src.Snapshot(ctx)
	if err != nil {
		return snap, nil, fmt.Errorf("take a snapshot of the counters: %w", err)
	}
	switches, err := c.src.Switches(ctx)
	if err != nil {
		return snap, nil, fmt.Errorf("list the switches: %w", err)
	}
	c.snap, c.switches, c.taken = snap, switches, time.Now()
	return snap, switches, nil
}

// emitter sends metrics.
type emitter chan<- prometheus.Metric

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (e emitter) counter(d *prometheus.Desc, v uint64, labels ...string) {
	e.seconds(d, float64(v), labels...)
}

func (e emitter) seconds(d *prometheus.Desc, v float64, labels ...string) {
	e <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}

func (e emitter) port(p *port.Stats) {
	if p.Gone {
		return
	}
	// Clients choose names of ports; what is no UTF-8 would spoil the whole scrape.
	name := strconv.QuoteToASCII(p.Name)
	name = name[1 : len(name)-1]
	e.counter(portFrames, p.Tx.Frames, name, p.Switch, "tx")
	e.counter(portFrames, p.Rx.Frames, name, p.Switch, "rx")
	e.counter(portBytes, p.Tx.Bytes, name, p.Switch, "tx")
	e.counter(portBytes, p.Rx.Bytes, name, p.Switch, "rx")
	e.counter(portBad, p.BadRings, name, p.Switch)
	for reason, n := range p.Drops {
		e.counter(portDrops, n, name, p.Switch, reason)
	}
	for counter, n := range p.Device {
		e.counter(portDevice, n, name, counter)
	}
}

func (e emitter) vale(s *port.SwitchInfo) {
	e.gauge(switchPorts, float64(len(s.Ports)), s.Name)
	e.gauge(addresses, float64(s.Table.Used-s.Table.Static), s.Name, "learned")
	e.gauge(addresses, float64(s.Table.Static), s.Name, "static")
	e.gauge(tableSlots, float64(s.Table.Size), s.Name)
	e.gauge(displaced, float64(s.Table.Displaced), s.Name)
	e.counter(evicted, s.Table.Evicted, s.Name)
}

func (e emitter) lcore(l *port.LcoreStats, hz float64) {
	id, cpu := strconv.Itoa(l.ID), strconv.Itoa(l.CPU)
	stuck := 0.0
	if l.Stuck {
		stuck = 1
	}
	e.counter(lcorePackets, l.Packets, id, cpu)
	e.counter(lcoreCycles, l.BusyCycles, id, cpu)
	for stage, n := range map[string]uint64{
		"poll": l.Stages.Poll, "classify": l.Stages.Classify, "forward": l.Stages.Forward, "copy": l.Stages.Copy, "notify": l.Stages.Notify,
	} {
		e.counter(lcoreStages, n, id, cpu, stage)
	}
	if hz > 0 {
		e.seconds(lcoreSeconds, float64(l.BusyCycles)/hz, id, cpu, "busy")
		e.seconds(lcoreSeconds, float64(l.IdleCycles)/hz, id, cpu, "idle")
	}
	e.counter(lcoreSleeps, l.Sleeps, id, cpu)
	e.counter(lcoreWakeups, l.Wakeups, id, cpu)
	e.gauge(lcoreStuck, stuck, id, cpu)
}

func (e emitter) region(r *port.RegionStats) {
	id := strconv.Itoa(int(r.ID))
	e.gauge(regionBytes, float64(r.Size), id, r.Name)
	e.gauge(regionOrphans, float64(r.Orphans), id, r.Name)
	e.gauge(regionLent, float64(r.Lent), id, r.Name)
	for pool, st := range map[string]port.PoolStats{"if": r.If, "ring": r.Ring, "buf": r.Buf} {
		e.gauge(regionObjects, float64(st.Total-st.Free), id, r.Name, pool, "used")
		e.gauge(regionObjects, float64(st.Free), id, r.Name, pool, "free")
	}
}
