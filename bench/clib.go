package main

import (
	"fmt"
	"os"
	"path/filepath"
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
			bars:    oneThreadBars(size, "unicast"),
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
		d, err := h.daemon(daemonSpec{poll: true})
		if err != nil {
			return nil, err
		}
		args := []string{"vale0:s", "vale0:r", fmt.Sprint(size)}
		for _, n := range batches {
			args = append(args, fmt.Sprint(n))
		}
		p, err := h.program("probe", preload, h.cpu.last(), d, args...)
		if err != nil {
			return nil, err
		}
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		lines, err := p.numbers(h)
		var x, tx, rx []float64
		for _, l := range lines {
			x, tx, rx = append(x, l[0]), append(tx, nanoseconds(l[1])), append(rx, nanoseconds(l[2]))
		}
		return fitted(x, tx, rx), err
	}
}

// wokenProgram is wakeUp of a program in C under the interposer.
func wokenProgram(h *harness) (sample, error) {
	d, err := h.daemon(daemonSpec{poll: true})
	if err != nil {
		return nil, err
	}
	p, err := h.program("woken", true, h.cpu.last(), d, "vale0:r")
	if err != nil {
		return nil, err
	}
	if err := h.wake(d); err != nil {
		return nil, err
	}
	return p.ages(h)
}

// bareProgram is the same without netmapd: processes, as netmapd and its clients are, or threads of one.
func bareProgram(how string) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		c := h.cpu
		args := []string{how, fmt.Sprint(wakeGap.Nanoseconds())}
		for _, cpu := range []int{c.clients[0], c.last()[0], c.lcore} {
			args = append(args, fmt.Sprint(cpu))
		}
		p, err := h.program("bare", false, c.all(), nil, args...)
		if err != nil {
			return nil, err
		}
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		return p.ages(h)
	}
}

// ages ends a program that was woken and reads how old what woke it was.
func (p *proc) ages(h *harness) (sample, error) {
	lines, err := p.numbers(h)
	if err != nil || len(lines) != 1 {
		return nil, fmt.Errorf("%d results: %w; its output ends with:\n%s", len(lines), err, p.tail())
	}
	us := func(i int) float64 { return nanoseconds(lines[0][i]) / 1e3 }
	return sample{"p50": us(0), "p99": us(1), "p999": us(2)}, nil
}

// nanoseconds of TSC cycles.
func nanoseconds(cycles float64) float64 { return cycles * 1e9 / float64(lcore.TSCHz()) }

// program starts one of bench/probe, under the interposer or linked with the library, and waits until it is ready. Without a
// daemon it is one that needs none.
func (h *harness) program(name string, preload bool, cpus []int, d *daemon, args ...string) (*proc, error) {
	dir, err := h.clib()
	if err != nil {
		return nil, err
	}
	s := procSpec{name: name, cpus: cpus}
	if d != nil {
		s.env = append(s.env, rundir.Env+"="+d.dir)
	}
	if preload {
		s.env = append(s.env, "LD_PRELOAD="+filepath.Join(dir, "libnetmapd-preload.so"))
	} else {
		name += "-linked"
	}
	s.argv = append([]string{filepath.Join(dir, name)}, args...)
	p, err := h.start(s)
	if err != nil {
		return nil, err
	}
	_, err = p.until(h.ctx, "line "+ready, startLimit, func(l string) bool { return l == ready })
	return p, err
}

// numbers ends such a program and reads its results, three numbers a line.
func (p *proc) numbers(h *harness) (lines [][3]float64, err error) {
	_ = p.in.Close()
	_, err = p.until(h.ctx, "result", stopLimit, func(l string) bool {
		var n [3]float64
		if k, _ := fmt.Sscan(l, &n[0], &n[1], &n[2]); k == len(n) {
			lines = append(lines, n)
		}
		return l == "done"
	})
	return lines, err
}

// clib builds the C library and the programs, under the name of each for the interposer, once.
func (h *harness) clib() (dir string, err error) {
	dir = filepath.Join(h.dir, "clib")
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return dir, nil
	}
	build := func(argv ...string) {
		if err == nil {
			_, err = command(h.ctx, 2*time.Minute, argv[0], argv[1:]...)
		}
	}
	build("make", "-s", "clib", "BIN="+dir)
	for _, name := range []string{"probe", "woken", "waker", "bare"} {
		cc := []string{"cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-pthread", "-Iclib/include", "bench/probe/" + name + ".c", "-o", filepath.Join(dir, name)}
		build(cc...)
		cc[len(cc)-1] += "-linked"
		build(append(cc, filepath.Join(dir, "libnetmap.a"), "-ldl")...)
	}
	if err != nil {
		return "", missing("the C library and its programs cannot be built: %v", err)
	}
	return dir, os.WriteFile(done, nil, 0o600)
}
