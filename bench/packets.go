package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// packetBurst is how many frames one sendmmsg hands to the kernel.
const packetBurst = 64

// rolePackets floods the interface Ports[0] through an AF_PACKET socket, in the network namespace that it was started in.
// With Count it tells how many frames that interface received meanwhile.
func rolePackets(s *roleSpec) (sample, error) {
	fd, err := packetSocket(s.Ports[0])
	if err != nil {
		return nil, err
	}
	if s.Count != "" { // a bridge learns where the frames are to go
		if err := introduce(s.Count, s.Dst[0]); err != nil {
			return nil, err
		}
	}
	frame, err := newFrame(s.Dst[0], s.Src, s.Size)
	if err != nil {
		return nil, err
	}
	b := newBurst(frame, packetBurst)
	amReady()
	before, start, sent := received(s.Count), time.Now(), 0
	for !stopped.Load() {
		n, err := b.send(fd)
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
			return nil, fmt.Errorf("sendmmsg on %s: %w", s.Ports[0], err)
		}
		sent += n
	}
	secs := time.Since(start).Seconds()
	return sample{"sent": float64(sent) / secs / 1e6, "mpps": (received(s.Count) - before) / secs / 1e6}, nil
}

// packetSocket sends on an interface, without the queueing discipline, and receives nothing.
func packetSocket(ifname string) (int, error) {
	ifi, err := net.InterfaceByName(ifname)
	if err != nil {
		return -1, fmt.Errorf("interface %s: %w", ifname, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("a packet socket: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return -1, fmt.Errorf("PACKET_QDISC_BYPASS: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifi.Index}); err != nil {
		return -1, fmt.Errorf("bind a packet socket to %s: %w", ifname, err)
	}
	return fd, nil
}

// introduce sends one frame from an interface, with an address as its source.
func introduce(ifname, mac string) error {
	fd, err := packetSocket(ifname)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // nothing can be done
	frame, err := newFrame(broadcast, mac, 60)
	if err != nil {
		return err
	}
	return unix.Send(fd, frame, 0)
}

// received is the number of frames that an interface has received.
func received(ifname string) float64 {
	b, _ := os.ReadFile(filepath.Join("/sys/class/net", ifname, "statistics/rx_packets"))
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	return n
}

// yield lets others run on this CPU.
func yield() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
