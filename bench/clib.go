package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/rundir"
)

// The C library's cost over that of the Go client, by a netmap program in C.

func clibRows() (rows []row) {
	for _, size := range []int{60, 1514} {
		rows = append(rows, row{
			name:    fmt.Sprintf("interposer/%dB", size),
			about:   "onethread/unicast by a netmap program in C, under the interposer, and by the same linked with libnetmap; the last peer is the Go client",
			quick:   size == 60,
			metrics: cycleMetrics("TxSync that waits", "RxSync"),
			bars:    oneThreadBars(size),
			ours:    subject{"interposer", probe(size, true)},
			peers:   []subject{{"libnetmap", probe(size, false)}, {"Go client", oneThread(size, "unicast")}},
		})
	}
	return rows
}

// batches are the numbers of frames that are timed.
var batches = []int{1, 16, 64, 128, 192, 256, 384, 512}

// probe times a program in C, under the interposer or linked with the library.
func probe(size int, preload bool) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		dir, err := h.clib()
		if err != nil {
			return nil, err
		}
		d, err := h.daemon(daemonSpec{poll: true})
		if err != nil {
			return nil, err
		}
		s := procSpec{name: "probe", cpus: h.cpu.clients, env: []string{rundir.Env + "=" + d.dir}, argv: []string{filepath.Join(dir, "probe-linked")}}
		if preload {
			s.argv[0] = filepath.Join(dir, "probe")
			s.env = append(s.env, "LD_PRELOAD="+filepath.Join(dir, "libnetmapd-preload.so"))
		}
		s.argv = append(s.argv, "vale0:s", "vale0:r", fmt.Sprint(size))
		for _, n := range batches {
			s.argv = append(s.argv, fmt.Sprint(n))
		}
		p, err := h.start(s)
		if err != nil {
			return nil, err
		}
		if _, err := p.until(h.ctx, "line "+ready, startLimit, func(l string) bool { return l == ready }); err != nil {
			return nil, err
		}
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		_ = p.in.Close()
		var x, tx, rx []float64
		scale := 1e9 / float64(lcore.TSCHz())
		_, err = p.until(h.ctx, "result", stopLimit, func(l string) bool {
			var n, t, r float64
			if k, _ := fmt.Sscan(l, &n, &t, &r); k == 3 {
				x, tx, rx = append(x, n), append(tx, t*scale), append(rx, r*scale)
			}
			return l == "done"
		})
		return fitted(x, tx, rx), err
	}
}

// clib builds the C library and the probe, linked and not, once.
func (h *harness) clib() (dir string, err error) {
	dir = filepath.Join(h.dir, "clib")
	if _, err := os.Stat(filepath.Join(dir, "probe")); err == nil {
		return dir, nil
	}
	cc := []string{"cc", "-O2", "-std=gnu11", "-Iclib/include", "bench/probe/probe.c", "-o"}
	for _, argv := range [][]string{
		{"make", "-s", "clib", "BIN=" + dir},
		append(cc, filepath.Join(dir, "probe-linked"), filepath.Join(dir, "libnetmap.a"), "-pthread", "-ldl"),
		append(cc, filepath.Join(dir, "probe")), // the last: it says that all is there
	} {
		if out, err := command(h.ctx, 2*time.Minute, argv[0], argv[1:]...); err != nil {
			return "", missing("the C library and its probe cannot be built: %s", strings.TrimSpace(out))
		}
	}
	return dir, nil
}
