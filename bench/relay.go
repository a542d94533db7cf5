package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// roleRelay is what a round trip costs without rings, frames and switch: three threads, the middle one on the lcore's
// CPU. The outer ones leave a number in memory; the relay sees it and passes it on, by another word in memory or, when
// they sleep, by an eventfd. CPUs are those of the outer threads and of the relay.
func roleRelay(s *roleSpec) (sample, error) {
	if s.Block {
		return relayBlocked(s)
	}
	var words [4]padded // a's, relayed; b's, relayed: both ends are one thread, as in pingself
	go relay(s.CPUs[1], func() {
		for i := 0; i < 4; i += 2 {
			if v := words[i].v.Load(); v != words[i+1].v.Load() {
				words[i+1].v.Store(v)
			}
		}
	})
	if err := settle(s.CPUs[0]); err != nil {
		return nil, err
	}
	amReady()
	t := trips{skip: warmup}
	for n := uint64(1); t.more(); n++ {
		start := time.Now()
		for i := 0; i < 4; i += 2 {
			words[i].v.Store(n)
			for words[i+1].v.Load() != n {
			}
		}
		t.add(time.Since(start))
	}
	return t.sample()
}

// padded is a word with a cache line, and its neighbour, for itself.
type padded struct {
	v atomic.Uint64
	_ [15]uint64
}

func relayBlocked(s *roleSpec) (sample, error) {
	var words [2]padded // what ping and pong have sent
	var fds [2]int      // wake pong, wake ping
	for i := range fds {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("eventfd: %w", err)
		}
		fds[i] = fd
	}
	var seen [2]uint64
	one := binary.NativeEndian.AppendUint64(nil, 1)
	go relay(s.CPUs[1], func() {
		for i := range seen {
			if v := words[i].v.Load(); v != seen[i] {
				seen[i] = v
				_, _ = unix.Write(fds[i], one)
			}
		}
	})
	go func() {
		_ = settle(s.CPUs[0])
		var b [8]byte
		for n := uint64(1); ; n++ {
			if _, err := unix.Read(fds[0], b[:]); err != nil {
				return
			}
			words[1].v.Store(n)
		}
	}()
	if err := settle(s.CPUs[0]); err != nil {
		return nil, err
	}
	amReady()
	t := trips{skip: warmup}
	var b [8]byte
	for n := uint64(1); t.more(); n++ {
		start := time.Now()
		words[0].v.Store(n)
		if _, err := unix.Read(fds[1], b[:]); err != nil {
			return nil, fmt.Errorf("read an eventfd: %w", err)
		}
		t.add(time.Since(start))
	}
	return t.sample()
}

// settle binds the calling goroutine to a CPU.
func settle(cpu int) error {
	runtime.LockOSThread()
	return pin(cpu)
}

// relay looks again and again, as an lcore does.
func relay(cpu int, look func()) {
	_ = settle(cpu)
	for {
		look()
	}
}
