package main

import (
	"fmt"
	"slices"
)

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
	for _, part := range [][]row{
		switchRows(), scaleRows(), lcoreRows(), probeRows(), clibRows(), pipeRows(), latencyRows(), deviceRows(), controlRows(),
		featureRows(), validationRows(), csbRows(),
	} {
		rows = append(rows, part...)
	}
	return rows
}

// switchRows: two client processes on one CPU, the switch on another one.
func switchRows() (rows []row) {
	for _, size := range []int{60, 256, 512, 1514} {
		for _, dst := range []string{"unicast", toAll} {
			r := row{
				name:    fmt.Sprintf("switch/%s/%dB/2ports", dst, size),
				about:   "one process sends through a switch what another one can receive; cycles are the lcore's for each packet",
				quick:   size == 60 || size == 1514 && dst == toAll,
				metrics: []metric{cycles, core, rate, dropped, busy},
				ours:    subject{"netmapd", switchFlood(size, 2, dst, false)},
			}
			if dst == "unicast" {
				r.peers = []subject{{"linux bridge", linuxBridge(size)}, {"ovs-dpdk", ovsNormal(max(size, 64))}}
			}
			if dst == "unicast" && size == 60 {
				r.bars = []bar{{key: "cycles", plus: 84}, {key: "core", peer: "ovs-dpdk", times: 2.5}, {key: "core", peer: "linux bridge", times: 30}}
			}
			rows = append(rows, r)
		}
	}
	for _, size := range []int{60, 1514} {
		rows = append(rows, row{
			name:    fmt.Sprintf("switch/unicast/%dB/testpmd", size),
			about:   "the same beside testpmd in the place of the switch, between two virtual machines: it rewrites addresses and looks nothing up",
			metrics: []metric{cycles, core, rate},
			ours:    subject{"netmapd", switchFlood(size, 2, "unicast", false)},
			peers:   []subject{{"testpmd vhost", testpmdSwitch(vhost, max(size, 64))}, {"testpmd memif", testpmdSwitch(memif, max(size, 64))}},
		})
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
	return rows
}

// scaleRows: how the cost grows with ports and addresses.
func scaleRows() (rows []row) {
	const fewPorts = "2 ports, 2 stations"
	for _, inTurn := range []bool{true, false} {
		name, about := "scale", "each in a goroutine that sleeps"
		if inTurn {
			name, about = "scale/inturn", "in turn, in one thread that never sleeps"
		}
		f := func(ports, stations int) func(*harness) (sample, error) {
			return flood{size: 60, ports: ports, slots: 256, stations: stations, inTurn: inTurn}.measure
		}
		for _, c := range []struct{ ports, stations int }{{2, 2}, {2, 100}, {2, 10_000}, {2, 1_000_000}, {64, 63}, {64, 100_000}} {
			r := row{
				name:    fmt.Sprintf("%s/%dports/%dstations", name, c.ports, c.stations),
				about:   "rings of 256 slots, a process that sends to stations by chance, another one that receives on all other ports, " + about + "; the peer is netmapd with two ports",
				quick:   inTurn && c.stations == 100_000,
				metrics: []metric{cycles, rate, dropped, busy},
				ours:    subject{"netmapd", f(c.ports, c.stations)},
			}
			if c.ports+c.stations > 4 {
				r.peers = []subject{{fewPorts, f(2, 2)}}
			}
			if c.ports == 64 && c.stations == 100_000 {
				r.bars = []bar{{key: "cycles", peer: fewPorts, times: 2}}
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// lcoreRows: more than one lcore. Two pairs of programs and two lcores want six CPUs.
func lcoreRows() []row {
	both := []string{"vale0", "vale1"}
	one := []string{"vale0", "vale0"}
	row2 := func(name, about string, switches []string) row {
		f := flood{size: 60, ports: 2, dst: "unicast", switches: switches}
		two := f
		two.daemon.lcores = 2
		return row{
			name:    "lcores/" + name,
			about:   about + "; the peer has one lcore. On two CPUs the second lcore and all programs take turns on one of them, so that cycles contain what others do there: it shows that nothing breaks, and no gain can be seen",
			metrics: []metric{cycles, rate, dropped, busy},
			ours:    subject{"2 lcores", two.measure},
			peers:   []subject{{"1 lcore", f.measure}},
		}
	}
	return []row{
		row2("2switches", "two senders and two receivers, each pair on a switch and an lcore of its own", both),
		row2("1switch", "two senders and two receivers on one switch, whose ports two lcores share", one),
	}
}

// probeRows: one thread on both ends, nothing overlaps.
func probeRows() (rows []row) {
	for _, size := range []int{60, 512, 1514} {
		for _, dst := range []string{"unicast", toAll} {
			rows = append(rows, row{
				name:    fmt.Sprintf("onethread/%s/%dB", dst, size),
				about:   "time of TX sync and RX sync by one thread on both ends: a + b*n, fitted to the 10th percentile; b for each packet, a for each sync",
				quick:   size != 512 && dst == "unicast",
				bars:    oneThreadBars(size, dst),
				metrics: cycleMetrics("TxSync that waits", "RxSync"),
				ours:    subject{"netmapd", oneThread(size, dst)},
			})
		}
	}
	return append(rows, row{
		name:    "sync/empty",
		about:   "a sync with nothing new while the lcore is awake",
		quick:   true,
		metrics: []metric{ns("tx", "a TxSync"), ns("rx", "an RxSync")},
		bars:    []bar{{key: "tx", plus: 100}, {key: "rx", plus: 100}},
		ours:    subject{"netmapd", emptySync},
	})
}

// oneThreadBars are those of the issue for shared/bench's probe, which does the same, and for a sync.
func oneThreadBars(size int, dst string) []bar {
	limit := map[int]float64{60: 40, 1514: 190}[size]
	if limit == 0 || dst == toAll {
		return nil
	}
	bars := []bar{{key: "sum", plus: limit}}
	if size == 60 { // the times of long frames are no straight line
		bars = append(bars, bar{key: "fixed_rx", plus: 100})
	}
	return bars
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
		{
			name:    "roundtrip/polling/half-load",
			about:   "roundtrip/polling while the same thread keeps the lcore half busy with bursts of 32 frames between two other ports; the peer is without these",
			metrics: append(slices.Clone(times), busy),
			ours:    subject{"half load", roundTripUnder(daemonSpec{poll: true})},
			peers:   []subject{{"no load", roundTrip(false)}},
		},
		{
			name:    "roundtrip/adaptive/half-load",
			about:   "the same with an lcore that may sleep; without load it does not get to either, as the thread never waits long",
			metrics: append(slices.Clone(times), busy),
			ours:    subject{"half load", roundTripUnder(daemonSpec{})},
			peers:   []subject{{"no load", adaptiveRoundTrip}},
		},
		{
			name:    "wakeup",
			about:   "from a frame's publication, by a process that goes to sleep at once, to the return of another one from Poll, where it slept; the lcore polls. The peer passes a word of memory through a relay on the lcore's CPU to a thread that reads an eventfd",
			quick:   true,
			metrics: times,
			bars:    []bar{{key: "p99", peer: "bare eventfd", times: 1, plus: 10}},
			ours:    subject{"netmapd", wakeUp},
			peers:   []subject{{"bare eventfd", bareWakeUp}},
		},
		{
			name:    "wakeup/interposer",
			about:   "the same for a netmap program in C that sleeps in poll, under the interposer; the peers are in C too, three processes and three threads",
			metrics: times,
			bars:    []bar{{key: "p99", peer: "bare eventfd", times: 1, plus: 10}},
			ours:    subject{"netmapd", wokenProgram},
			peers:   []subject{{"bare eventfd", bareProgram("processes")}, {"eventfd, threads", bareProgram("threads")}},
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
			bars:    []bar{{key: "cycles", peer: "testpmd io", times: 1, plus: 90}},
			ours:    subject{"netmapd", nullToClient},
			peers:   []subject{{"testpmd io", testpmd("io", nullArgs(60))}},
		},
		{
			name:    "nic/null-switch-null/60B",
			about:   "two net_null devices, their buffers filled with frames for the other one, joined by a switch; testpmd rewrites the addresses",
			quick:   true,
			metrics: forwarding,
			bars:    []bar{{key: "cycles", peer: "testpmd mac", times: 1, plus: 80}},
			ours:    subject{"netmapd", nullSwitch},
			peers:   []subject{{"testpmd mac", testpmd("mac", nullArgs(60))}, {"testpmd io", testpmd("io", nullArgs(60))}},
		},
		{
			name:    "nic/pcap-switch-pcap/60B",
			about:   "two net_pcap devices with preloaded frames (a copy each, by the driver), joined by a switch; testpmd rewrites the addresses",
			metrics: forwarding,
			ours:    subject{"netmapd", pcapSwitch},
			peers:   []subject{{"testpmd mac", testpmd("mac", preloaded)}, {"testpmd io", testpmd("io", preloaded)}},
		},
	}
	for _, k := range []backend{vhost, memif} {
		r := row{
			name:    fmt.Sprintf("nic/%s-switch-%s/64B", k.name, k.name),
			about:   "two ports by DPDK's net_" + k.name + " on a switch, testpmd as two virtual machines; the peers have the same ports and machines",
			metrics: forwarding,
			ours:    subject{"netmapd", backendSwitch(k, 64)},
			peers:   []subject{{"testpmd mac", testpmdSwitch(k, 64)}},
		}
		if k.name == vhost.name {
			r.peers = append(r.peers, subject{"ovs-dpdk", ovsNormal(64)})
		}
		rows = append(rows, r)
	}
	for _, driver := range []string{"af_packet", "af_xdp"} {
		for _, size := range []int{60, 1514} {
			rows = append(rows, row{
				name:    fmt.Sprintf("interface/%s/%dB", driver, size),
				about:   "frames from a packet socket on one end of a veth pair to a client on the other one",
				quick:   size == 60 && driver == "af_packet",
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
			bars:    []bar{{key: "p50", plus: 2000}},
			ours:    subject{"netmapd", attachTime},
		},
		{
			name:    "idle",
			about:   "a daemon with two silent clients",
			quick:   true,
			metrics: []metric{{key: "cpu", unit: "% of a CPU", lower: true}, {key: "wakeups", unit: "lcore wake-ups/s", lower: true}},
			bars:    []bar{{key: "cpu", plus: 1}},
			ours:    subject{"netmapd", idleCPU},
		},
		{
			name:    "memory",
			about:   "what 32 more ports of a switch cost: pages that the daemon has touched for each, shared ones included, and the size of the memory files it maps for each. Pages of buffers come with traffic, up to slots times 2 KiB for each ring",
			quick:   true,
			metrics: []metric{{key: "rss", unit: "KiB resident/port", lower: true}, {key: "mapped", unit: "KiB mapped/port", lower: true}},
			ours:    subject{"netmapd", portMemory},
		},
	}
}
