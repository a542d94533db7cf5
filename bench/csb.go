package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// What a program in CSB mode spends: with lcores that serve its arrays, and with the sync loop, which is a thread of its own.

func csbRows() (rows []row) {
	for _, awake := range []bool{false, true} {
		name, lcore := "csb/60B", "an lcore that sleeps"
		if awake {
			name, lcore = "csb/60B/awake", "an lcore that never sleeps"
		}
		rows = append(rows, row{
			name:    name,
			about:   fmt.Sprintf("a program in CSB mode publishes %d frames every %v, to a switch without a receiver and %s; CPU time is the program's, its timer included", csbBatch, csbGap, lcore),
			metrics: []metric{ns("frame", "of the program's CPU for a frame"), {key: "kpps", unit: "kpps", info: true}},
			ours:    subject{"lcores", csb(false, awake)},
			peers:   []subject{{"sync loop", csb(true, awake)}},
		})
	}
	return rows
}

const (
	csbBatch = 32
	csbGap   = 100 * time.Microsecond
)

func csb(loop, awake bool) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		d, err := h.daemon(daemonSpec{poll: awake})
		if err != nil {
			return nil, err
		}
		return h.timed(roleSpec{Role: "csb", Dir: d.dir, Ports: []string{"vale0:s/T"}, Size: 60, Dst: []string{receiverMAC(0)}, Src: senderMAC(0), Block: loop}, h.cpu.clients)
	}
}

// roleCSB publishes batches in the pace of a timer; with Block through a sync loop.
func roleCSB(s *roleSpec) (sample, error) {
	start := openCSB
	if s.Block {
		start = openLoop
	}
	d, app, kern, kick, err := start(s)
	if err != nil {
		return nil, err
	}
	f, err := newFlooder(d, s)
	if err != nil {
		return nil, err
	}
	amReady()
	gap, before, sent, begin, head := unix.NsecToTimespec(int64(csbGap)), cpuOfSelf(), 0, time.Now(), app.Head
	for !stopped.Load() {
		_ = unix.Nanosleep(&gap, nil)
		tail := atomic.LoadUint32(&kern.HwTail)
		for n := 0; n < csbBatch && head != tail; n++ {
			f.slots.Store(head, f.words[head])
			head = f.Next(head)
			sent++
		}
		atomic.StoreUint32(&app.Cur, head)
		atomic.StoreUint32(&app.Head, head)
		if atomic.LoadUint32(&kern.NeedKick) != 0 {
			kick()
		}
	}
	spent, took := cpuOfSelf()-before, time.Since(begin)
	if sent == 0 {
		return nil, fmt.Errorf("no frame was sent in %v", took)
	}
	return sample{"frame": float64(spent.Nanoseconds()) / float64(sent), "kpps": float64(sent) / took.Seconds() / 1e3}, nil
}

func cpuOfSelf() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openCSB has lcores serve the ring.
func openCSB(s *roleSpec) (*netmap.Desc, *netmap.CSBApp, *netmap.CSBKern, func(), error) {
	f, app, kern, err := netmap.NewCSBFile(1)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	d, err := netmap.Open(context.Background(), s.Ports[0], netmap.WithRuntimeDir(s.Dir), netmap.WithCSB(f, app, kern))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return d, &d.CSB().App[0], &d.CSB().Kern[0], d.CSB().Kick, nil
}

// openLoop starts a sync loop.
func openLoop(s *roleSpec) (*netmap.Desc, *netmap.CSBApp, *netmap.CSBKern, func(), error) {
	d, err := netmap.Open(context.Background(), s.Ports[0], netmap.WithRuntimeDir(s.Dir), netmap.WithFlags(abi.FlagExclusive))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	app, kern := netmap.NewCSB(1)
	if err := d.EnableCSB(app, kern); err != nil {
		return nil, nil, nil, nil, err
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, nil, nil, nil, fmt.Errorf("eventfd: %w", err)
	}
	app[0].NeedKick = 0
	go func() { _ = d.SyncLoop(netmap.LoopConfig{Kick: []int{fd}, Irq: []int{-1}}) }()
	one := binary.NativeEndian.AppendUint64(nil, 1)
	return d, &app[0], &kern[0], func() { _, _ = unix.Write(fd, one) }, nil
}
