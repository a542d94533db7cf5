package main

import (
	"time"

	"github.com/netmapd/netmapd/lcore"
)

// The measurements of pipes, on a parent that does not exist.

// pipeRows: the daemon has no part in them.
func pipeRows() []row {
	calls := metric{key: "calls", unit: "system calls/1000 packets", lower: true}
	return []row{
		{
			name:    "pipe/onethread",
			about:   "time of TX sync and RX sync by one thread on both ends of a pipe, as for onethread; b for each packet, both ends together: at most 15 TSC cycles and no system calls are asked for, these by the client library's own count",
			quick:   true,
			metrics: append(cycleMetrics("TxSync", "RxSync"), cycles, core, calls),
			bars:    []bar{{key: "cycles", plus: 15}, {key: "calls"}},
			ours:    subject{"netmapd", pipeOneThread},
		},
		{
			name:    "pipe/twoprocesses",
			about:   "one process sends, another one on another CPU receives: 100 million packets a second are asked for. Cycles are CPU time of both, with their waiting for each other. Sleeps are times that either went to sleep, the lcore's packets should be none",
			quick:   true,
			metrics: []metric{rate, cycles, calls, {key: "sleeps", unit: "sleeps/1000 packets", lower: true, info: true}, {key: "lcore", unit: "packets on the lcore", lower: true, info: true}},
			bars:    []bar{{key: "mpps", plus: 100}},
			ours:    subject{"netmapd", pipeTwoProcesses},
		},
	}
}

var pipeEnds = []string{"netmap:p{1", "netmap:p}1"}

func pipeOneThread(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	s, err := h.timed(roleSpec{
		Role: "cycle", Dir: d.dir, Ports: pipeEnds, Size: 60, Pipe: true,
		Dst: []string{receiverMAC(0)}, Src: senderMAC(0), Batch: batches,
	}, h.cpu.clients)
	if err == nil {
		s["cycles"] = s["sum"] * float64(lcore.TSCHz()) / 1e9
		s["core"] = perCore(s["cycles"])
	}
	return s, err
}

func pipeTwoProcesses(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{})
	if err != nil {
		return nil, err
	}
	path, err := h.ledger()
	if err != nil {
		return nil, err
	}
	rx, err := h.role(roleSpec{Role: "receive", Dir: d.dir, Ports: pipeEnds[1:], Ledger: path}, h.cpu.clients, "")
	if err != nil {
		return nil, err
	}
	tx, err := h.role(roleSpec{Role: "send", Dir: d.dir, Ports: pipeEnds[:1], Size: 60, Dst: []string{broadcast}, Src: senderMAC(0)}, []int{h.cpu.lcore}, "")
	if err != nil {
		return nil, err
	}
	l, err := openLedger(path, 1)
	if err != nil {
		return nil, err
	}
	if err := h.wait(settleTime); err != nil {
		return nil, err
	}
	ends := []*proc{tx, rx}
	used := func() (sum time.Duration) {
		for _, p := range ends {
			t, _ := cpuTime(p.pid())
			sum += t
		}
		return sum
	}
	start, before, usedBefore := time.Now(), l.counter(0).Load(), used()
	i, err := h.over(d, h.o.dur)
	if err != nil {
		return nil, err
	}
	moved, cpu := float64(l.counter(0).Load()-before), used()-usedBefore
	out := sample{
		"mpps": moved / time.Since(start).Seconds() / 1e6, "lcore": i.packets,
		"cycles": cpu.Seconds() * float64(lcore.TSCHz()) / moved,
	}
	var waits, calls float64
	for _, p := range ends {
		s, err := p.result(h.ctx)
		if err != nil {
			return nil, err
		}
		waits += s["waits"]
		calls += s["calls"]
	}
	all := float64(l.counter(0).Load())
	out["sleeps"], out["calls"] = 1000*waits/all, 1000*calls/all
	return out, nil
}
