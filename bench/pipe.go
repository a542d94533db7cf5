package main

import "time"

// The measurements of pipes, on a parent that does not exist.

// pipeRows: the daemon has no part in them.
func pipeRows() []row {
	return []row{
		{
			name:    "pipe/onethread",
			about:   "time of TX sync and RX sync by one thread on both ends of a pipe, as for onethread; b for each packet, both ends together",
			quick:   true,
			metrics: []metric{ns("sum", "per packet"), ns("tx", "of it in TxSync"), ns("rx", "of it in RxSync"), ns("fixed_tx", "fixed, a TxSync"), ns("fixed_rx", "fixed, an RxSync")},
			ours:    subject{"netmapd", pipeOneThread},
		},
		{
			name:    "pipe/twoprocesses",
			about:   "one process sends, another one on another CPU receives; sleeps are times that either went to sleep, the lcore's packets should be none",
			quick:   true,
			metrics: []metric{rate, {key: "sleeps", unit: "sleeps/1000 packets", lower: true, info: true}, {key: "lcore", unit: "packets on the lcore", lower: true, info: true}},
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
	return h.timed(roleSpec{
		Role: "cycle", Dir: d.dir, Ports: pipeEnds, Size: 60, Pipe: true,
		Dst: []string{receiverMAC(0)}, Src: senderMAC, Batch: []int{1, 16, 64, 128, 192, 256, 384, 512},
	}, h.cpu.clients)
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
	tx, err := h.role(roleSpec{Role: "send", Dir: d.dir, Ports: pipeEnds[:1], Size: 60, Dst: []string{broadcast}, Src: senderMAC}, []int{h.cpu.lcore}, "")
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
	start, before := time.Now(), l.counter(0).Load()
	i, err := h.over(d, h.o.dur)
	if err != nil {
		return nil, err
	}
	moved := float64(l.counter(0).Load() - before)
	out := sample{"mpps": moved / time.Since(start).Seconds() / 1e6, "lcore": i.packets}
	waits := 0.0
	for _, p := range []*proc{tx, rx} {
		s, err := p.result(h.ctx)
		if err != nil {
			return nil, err
		}
		waits += s["waits"]
	}
	out["sleeps"] = 1000 * waits / float64(l.counter(0).Load())
	return out, nil
}
