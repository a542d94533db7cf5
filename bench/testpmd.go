package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/netmapd/netmapd/lcore"
)

// DPDK's testpmd between two devices, its forwarding thread on the lcore's CPU.

// pcapBurst is how many frames a preloaded device has; a power of two.
const pcapBurst = 256

// pcapFiles writes what two devices receive: frames from a station behind each to the one behind the other.
func (h *harness) pcapFiles(size int) (files [2]string, err error) {
	macs := [2]string{receiverMAC(0), receiverMAC(1)}
	for i := range files {
		frame, err := newFrame(macs[1-i], macs[i], size)
		if err != nil {
			return files, err
		}
		le := binary.LittleEndian
		b := le.AppendUint32(nil, 0xa1b2c3d4) // magic, version 2.4, zone, accuracy, longest, Ethernet
		b = le.AppendUint16(le.AppendUint16(b, 2), 4)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(le.AppendUint32(b, 0), 0), 65535), 1)
		for range pcapBurst {
			b = le.AppendUint32(le.AppendUint32(b, 0), 0)
			b = le.AppendUint32(le.AppendUint32(b, uint32(size)), uint32(size))
			b = append(b, frame...)
		}
		files[i] = filepath.Join(h.dir, fmt.Sprintf("nic%d.pcap", i))
		if err := os.WriteFile(files[i], b, 0o600); err != nil {
			return files, err
		}
	}
	return files, nil
}

// pcapArgs makes a device that receives the frames of a file over and over, from memory, and drops what it is to send.
func pcapArgs(i int, file string) string {
	return fmt.Sprintf("net_pcap%d,rx_pcap=%s,infinite_rx=1", i, file)
}

func nullArgs(size int) func(*harness) ([2]string, error) {
	return func(*harness) (a [2]string, err error) {
		for i := range a {
			a[i] = fmt.Sprintf("net_null%d,size=%d", i, size)
		}
		return a, nil
	}
}

func preloaded(h *harness) (a [2]string, err error) {
	files, err := h.pcapFiles(60)
	for i, f := range files {
		a[i] = pcapArgs(i, f)
	}
	return a, err
}

var (
	testpmdCycles = regexp.MustCompile(`CPU cycles/packet=([0-9.]+)`)
	testpmdTotal  = regexp.MustCompile(`RX-packets: *(\d+)`)
)

// testpmdArgs starts testpmd with one core that forwards between devices; cores are the option that says which, and its
// value, prefix tells several of them apart.
func testpmdArgs(cores [2]string, prefix, mode string, devs [2]string, more ...string) ([]string, error) {
	path, err := exec.LookPath("dpdk-testpmd")
	if err != nil {
		return nil, missing("no dpdk-testpmd; install the package dpdk-dev")
	}
	argv := []string{
		"stdbuf", "-oL", path, // it answers by lines, and not only at a terminal
		cores[0], cores[1], "--no-huge", "--no-shconf", "-m", "256", "--no-pci", "--no-telemetry",
		"--file-prefix", fmt.Sprintf("%s%d", prefix, os.Getpid()), "--vdev", devs[0], "--vdev", devs[1],
		"--", "-i", "--forward-mode=" + mode, "--nb-cores=1", "--disable-link-check", "--total-num-mbufs=16384", "--record-core-cycles",
	}
	return append(argv, more...), nil
}

// startTestpmd starts it on the lcore's CPU, to forward between two devices in one of its modes.
func (h *harness) startTestpmd(mode string, devs [2]string) (*proc, error) {
	cores := [2]string{"-l", fmt.Sprintf("%d,%d", h.cpu.clients[0], h.cpu.lcore)}
	argv, err := testpmdArgs(cores, "nmbenchsw", mode, devs)
	if err != nil {
		return nil, err
	}
	p, err := h.start(procSpec{name: "testpmd", argv: argv, cpus: h.cpu.all()})
	if err != nil {
		return nil, err
	}
	return p, p.prompt(h)
}

// testpmd forwards between two devices in one of its modes.
func testpmd(mode string, devices func(*harness) ([2]string, error)) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		devs, err := devices(h)
		if err != nil {
			return nil, err
		}
		p, err := h.startTestpmd(mode, devs)
		if err != nil {
			return nil, err
		}
		for _, step := range []struct {
			line string
			wait time.Duration
		}{{"start", settleTime}, {"clear fwd stats all", 0}} {
			if err := p.say(step.line); err != nil {
				return nil, err
			}
			if err := h.wait(step.wait); err != nil {
				return nil, err
			}
		}
		start := time.Now()
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		secs := time.Since(start).Seconds()
		if err := p.say("show fwd stats all"); err != nil {
			return nil, err
		}
		return p.forwarded(h, secs)
	}
}

// prompt waits until testpmd takes commands.
func (p *proc) prompt(h *harness) error {
	// Its prompt has no new line, but the answer to a command does.
	if err := p.say("show config fwd"); err != nil {
		return err
	}
	_, err := p.until(h.ctx, "answer", startLimit, func(l string) bool { return strings.Contains(l, "packet forwarding") })
	return err
}

// forwarded reads the statistics: the sums of all ports, then cycles.
func (p *proc) forwarded(h *harness, secs float64) (sample, error) {
	sums, packets := false, 0.0
	l, err := p.until(h.ctx, "statistics", 10*time.Second, func(l string) bool {
		if strings.Contains(l, "Accumulated forward statistics") {
			sums = true
			return false
		}
		if m := testpmdTotal.FindStringSubmatch(l); sums && m != nil {
			packets, _ = strconv.ParseFloat(m[1], 64)
		}
		// Without packets the line with the cycles does not come.
		return testpmdCycles.MatchString(l) || sums && packets == 0 && strings.Contains(l, "++++")
	})
	if err != nil {
		return nil, err
	}
	if packets == 0 {
		return nil, fmt.Errorf("testpmd forwarded nothing:\n%s", p.tail())
	}
	cycles, _ := strconv.ParseFloat(testpmdCycles.FindStringSubmatch(l)[1], 64)
	return sample{"cycles": cycles, "mpps": packets / secs / 1e6, "core": perCore(cycles)}, nil
}

// perCore is how many million packets a CPU moves in a second that it does nothing else.
func perCore(cycles float64) float64 { return float64(lcore.TSCHz()) / cycles / 1e6 }
