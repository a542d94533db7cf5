package main

import "fmt"

// What measurements tell.
var (
	cycles  = metric{key: "cycles", unit: "cycles/packet", lower: true}
	rate    = metric{key: "mpps", unit: "Mpps"}
	core    = metric{key: "core", unit: "Mpps per core"}
	dropped = metric{key: "drop", unit: "% dropped", lower: true, info: true}
	busy    = metric{key: "busy", unit: "% busy", info: true}
	perCopy = metric{key: "copy", unit: "cycles/copy", lower: true, info: true}
)

func us(key, unit string) metric { return metric{key: key, unit: "us " + unit, lower: true} }
func ns(key, unit string) metric { return metric{key: key, unit: "ns " + unit, lower: true} }

// allRows is the whole of the benchmark.
func allRows() []row {
	var rows []row
	rows = append(rows, switchRows()...)
	rows = append(rows, probeRows()...)
	rows = append(rows, pipeRows()...)
	rows = append(rows, latencyRows()...)
	rows = append(rows, deviceRows()...)
	return append(rows, controlRows()...)
}

// switchRows: two client processes on one CPU, the switch on another one.
func switchRows() (rows []row) {
	for _, size := range []int{60, 256, 512, 1514} {
		for _, dst := range []string{"unicast", toAll} {
			r := row{
				name:    fmt.Sprintf("switch/%s/%dB/2ports", dst, size),
				about:   "one process sends through a switch what another one can receive; cycles are the lcore's for each packet",
				quick:   true,
				metrics: []metric{cycles, core, rate, dropped, busy},
				ours:    subject{"netmapd", switchFlood(size, 2, dst, false)},
			}
			if dst == "unicast" {
				r.peers = []subject{{"linux bridge", linuxBridge(size)}, {"ovs-dpdk", ovsNormal(max(size, 64))}}
			}
			if size == 256 || size == 512 && dst == "unicast" {
				r.quick = false
			}
			rows = append(rows, r)
		}
	}
	rows = append(rows, row{
		name:    "switch/flood/60B/2ports",
		about:   "the same with a sender that does not care whether anything arrives",
		metrics: []metric{cycles, perCopy, core, rate, dropped, busy},
		ours:    subject{"netmapd", switchFlood(60, 2, "unicast", true)},
	})
	for _, dst := range []string{"unicast", toAll} {
		rows = append(rows, row{
			name:    fmt.Sprintf("switch/%s/60B/8ports", dst),
			about:   "one process sends through a switch, another one receives on seven ports",
			quick:   true,
			metrics: []metric{cycles, perCopy, rate, dropped, busy},
			ours:    subject{"netmapd", switchFlood(60, 8, dst, false)},
		})
	}
	return append(rows, scaleRows()...)
}

// scaleRows: how the cost grows with ports and addresses.
func scaleRows() (rows []row) {
	few := subject{"2 ports, 1 station", flood{size: 60, ports: 2, slots: 256, stations: 1}.measure}
	for _, c := range []struct{ ports, stations int }{{2, 1}, {2, 100}, {2, 10_000}, {2, 1_000_000}, {64, 63}, {64, 100_000}} {
		r := row{
			name:    fmt.Sprintf("scale/%dports/%dstations", c.ports, c.stations),
			about:   "rings of 256 slots, a process that sends to stations by chance, another one that receives on all other ports, each in a goroutine that sleeps; the peer is netmapd with two ports",
			metrics: []metric{cycles, rate, dropped, busy},
			ours:    subject{"netmapd", flood{size: 60, ports: c.ports, slots: 256, stations: c.stations}.measure},
		}
		if c.ports+c.stations > 3 {
			r.peers = []subject{few}
		}
		rows = append(rows, r)
	}
	return rows
}

// probeRows: one thread on both ends, nothing overlaps.
func probeRows() (rows []row) {
	for _, size := range []int{60, 512, 1514} {
		for _, dst := range []string{"unicast", toAll} {
			rows = append(rows, row{
				name:  fmt.Sprintf("onethread/%s/%dB", dst, size),
				about: "time of TX sync and RX sync by one thread on both ends: a + b*n, fitted to the 10th percentile; b for each packet, a for each sync",
				quick: size != 512,
				metrics: []metric{
					ns("sum", "per packet"), ns("tx", "of it in TxSync"), ns("rx", "of it in RxSync"),
					ns("fixed_tx", "fixed, a TxSync that waits"), ns("fixed_rx", "fixed, an RxSync"),
				},
				ours: subject{"netmapd", oneThread(size, dst)},
			})
		}
	}
	return append(rows, row{
		name:    "sync/empty",
		about:   "a sync with nothing new while the lcore is awake",
		quick:   true,
		metrics: []metric{ns("tx", "a TxSync"), ns("rx", "an RxSync")},
		ours:    subject{"netmapd", emptySync},
	})
}

func latencyRows() []row {
	times := []metric{us("p50", "p50"), us("p99", "p99"), us("p999", "p99.9")}
	return []row{
		{
			name:    "roundtrip/polling",
			about:   "one thread sends a frame and takes it on another port, to and fro; the peer passes a word of memory through a relay on the lcore's CPU",
			quick:   true,
			metrics: times,
			ours:    subject{"netmapd", roundTrip(false)},
			peers:   []subject{{"shared memory", bareRoundTrip(false)}},
		},
		{
			name:    "roundtrip/blocked",
			about:   "two processes that sleep in Poll send a frame to and fro; the peer wakes two threads by eventfds from a relay on the lcore's CPU",
			quick:   true,
			metrics: times,
			ours:    subject{"netmapd", roundTrip(true)},
			peers:   []subject{{"bare eventfd", bareRoundTrip(true)}},
		},
	}
}

func deviceRows() []row {
	forwarding := []metric{cycles, core, rate, dropped, busy}
	rows := []row{
		{
			name:    "nic/null-client/60B",
			about:   "net_null, which never has nothing, to a client; testpmd receives and sends on two of them",
			quick:   true,
			metrics: forwarding,
			ours:    subject{"netmapd", nullToClient},
			peers:   []subject{{"testpmd io", testpmd("io", nullArgs(60))}},
		},
		{
			name:    "nic/null-switch-null/60B",
			about:   "two net_null devices, their buffers filled with frames for the other one, joined by a switch; testpmd rewrites the addresses",
			quick:   true,
			metrics: forwarding,
			ours:    subject{"netmapd", nullSwitch},
			peers:   []subject{{"testpmd mac", testpmd("mac", nullArgs(60))}, {"testpmd io", testpmd("io", nullArgs(60))}},
		},
		{
			name:    "nic/pcap-switch-pcap/60B",
			about:   "two net_pcap devices with preloaded frames (a copy each, by the driver), joined by a switch; testpmd rewrites the addresses",
			quick:   true,
			metrics: forwarding,
			ours:    subject{"netmapd", pcapSwitch},
			peers:   []subject{{"testpmd mac", testpmd("mac", preloaded)}, {"testpmd io", testpmd("io", preloaded)}},
		},
	}
	for _, driver := range []string{"af_packet", "af_xdp"} {
		for _, size := range []int{60, 1514} {
			rows = append(rows, row{
				name:    fmt.Sprintf("interface/%s/%dB", driver, size),
				about:   "frames from a packet socket on one end of a veth pair to a client on the other one",
				quick:   size == 60,
				metrics: forwarding,
				ours:    subject{"netmapd", vethToClient(driver, size)},
			})
		}
	}
	return rows
}

func controlRows() []row {
	return []row{
		{
			name:    "attach",
			about:   "opening a port of a switch that a daemon has, with its memory",
			quick:   true,
			metrics: []metric{us("p50", "p50"), us("p99", "p99"), {key: "close", unit: "us Close", lower: true}},
			ours:    subject{"netmapd", attachTime},
		},
		{
			name:    "idle",
			about:   "a daemon with two silent clients",
			quick:   true,
			metrics: []metric{{key: "cpu", unit: "% of a CPU", lower: true}, {key: "wakeups", unit: "lcore wake-ups/s", lower: true}},
			ours:    subject{"netmapd", idleCPU},
		},
	}
}
