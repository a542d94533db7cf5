package daemon_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
	"github.com/netmapd/netmapd/shm"
	"github.com/netmapd/netmapd/test/servicemanager"
)

// keeps waits until systemd keeps what is wanted, and nothing else.
func (p *process) keeps(want ...string) {
	p.t.Helper()
	slices.Sort(want)
	var got []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if got = p.manager.Kept(); slices.Equal(got, want) {
			return
		}
	}
	p.t.Fatalf("systemd keeps %q, want %q", got, want)
}

// What the next daemon needs is kept as long as there is something to go on with.
func TestKeeping(t *testing.T) {
	p := start(t, tempDir(t), "")
	p.keeps()
	a := p.open("vale0:a")
	session := []string{"session.1", "kick.1", "token.1"}
	p.keeps(append(session, "region.2", "control.2", "claim.2", "port.1", "sync.1", "desc.1", "conn.1", "wake.1.1", "hangup.1.1")...)
	b := p.open("vale0:b{1") // nothing of a pipe can be taken over; its clients are told
	p.keeps(append(session, "region.2", "control.2", "claim.2", "port.1", "sync.1", "desc.1", "conn.1", "wake.1.1", "hangup.1.1", "sync.3")...)
	must(t, b.Close())
	must(t, a.Close())
	p.keeps()
	p.signal(unix.SIGTERM)
	p.exits(0)
	p.noErrors()
}

// restart starts netmapd again, with what systemd kept of the one that ended.
func (p *process) restart(args ...string) *process {
	p.t.Helper()
	p.ends()
	args = append([]string{"--runtime-dir", p.dir, "--dpdk-hugepages=never"}, args...)
	n := launchUnder(p.t, p.manager, p.dir, p.manager.Command(netmapd, args...))
	got := n.told()
	if got == "STOPPING=1" { // of the one before
		got = n.told()
	}
	if got != "READY=1" {
		p.t.Fatalf("netmapd tells systemd %q, want READY=1; log:\n%s", got, &n.out)
	}
	return n
}

// exchange has two ports of a switch send each other a frame.
func exchange(t *testing.T, a, b *netmap.Desc) {
	t.Helper()
	for _, way := range [][2]*netmap.Desc{{a, b}, {b, a}} {
		frame := make([]byte, 60)
		for i := range 6 {
			frame[i] = 0xff
		}
		frame[11] = 1
		if !way[0].TxRings()[0].Send(frame) {
			t.Fatal("no room for a frame")
		}
		must(t, way[0].TxSync())
		if re, err := way[1].PollTimeout(patience, netmap.PollIn); err != nil || re != netmap.PollIn {
			t.Fatalf("wait for a frame: events %#x, %v", re, err)
		}
		for {
			if _, ok := way[1].RxRings()[0].Recv(frame); !ok {
				break
			}
		}
		must(t, way[1].RxSync())
	}
}

// isGone says whether the client of a port is told that it is there no more.
func isGone(d *netmap.Desc) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		re, err := d.PollTimeout(time.Second, netmap.PollIn)
		if err != nil || re&netmap.PollIn == 0 {
			return errors.Is(err, unix.EIO)
		}
		for _, r := range d.RxRings() { // what came before
			r.Advance(r.Tail())
		}
	}
	return false
}

// memory makes a memfd.
func memory(t *testing.T, size int64, seals int) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	must(t, err)
	f := os.NewFile(uintptr(fd), "test")
	t.Cleanup(func() { _ = f.Close() })
	must(t, f.Truncate(size))
	_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	must(t, err)
	return f
}

// takeoverCase is something that the next netmapd does not find as it was.
type takeoverCase struct {
	what  string
	lose  string   // a word of package port's names
	get   *os.File // in its place
	opens string   // something beside the port; it does not stay
	flags uint64
	stays bool // the port

	// Everything that its client can write is written over; what becomes of the port is
	// its client's business.
	scribble byte

	port, beside *netmap.Desc
	names        []string // of what is kept of it
}

// spoil is what happens while no netmapd runs.
func (c *takeoverCase) spoil(m *servicemanager.Manager) {
	for _, name := range c.names {
		switch word, _, _ := strings.Cut(name, "."); {
		case word == c.lose:
			m.Replace(name, c.get)
		case c.scribble != 0 && (word == "region" || word == "sync"):
			f := m.File(name)
			junk := bytes.Repeat([]byte{c.scribble}, 1<<20)
			if st, err := f.Stat(); err == nil {
				_, _ = f.WriteAt(junk[:min(st.Size(), int64(len(junk)))], 0)
			}
			_ = f.Close()
		}
	}
}

// What cannot be taken over ends as if nothing had been kept, and nothing else does.
func TestTakeoverOfLess(t *testing.T) {
	const sealed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	record := func(v any) *os.File {
		f, err := shm.NewRecord("test", v)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	p := start(t, tempDir(t), "")
	a, b := p.open("vale0:a"), p.open("vale0:b")
	exchange(t, a, b)
	cases := []takeoverCase{
		{what: "nothing spoiled", stays: true},
		{what: "the connection", lose: "conn"},
		{what: "the record of the descriptor", lose: "desc"},
		{what: "a record that is not sealed", lose: "desc", get: memory(t, 64, 0)},
		{what: "a record of another version", lose: "desc", get: record(map[string]int{"Version": 99, "Protocol": wire.Version})},
		{what: "a descriptor of no port", lose: "desc", get: record(map[string]any{"Version": 1, "Protocol": wire.Version, "Port": 0, "EndTx": 1 << 40})},
		{what: "the record of the port", lose: "port"},
		{what: "a port of other rings", lose: "port", get: record(map[string]any{"Version": 1, "Protocol": wire.Version, "TxRings": -1})},
		{what: "the sync blocks", lose: "sync"},
		{what: "too few sync blocks", lose: "sync", get: memory(t, 256, sealed)},
		{what: "memory that can shrink", lose: "region", get: memory(t, 1<<20, 0)},
		{what: "control memory without a word", lose: "control", get: memory(t, 1<<20, sealed)},
		{what: "whose it was", lose: "claim"},
		{what: "the eventfd that wakes", lose: "wake"},
		{what: "our end of what is hung up", lose: "hangup"},
		{what: "junk in its memory", scribble: 0x5a},
		{what: "ones in its memory", scribble: 0xff},
		{what: "a pipe in its memory", opens: "{1"},
		{what: "a monitor", opens: "/r", flags: abi.FlagMonitorRx, stays: true},
		{what: "a monitor in its memory", opens: "/r", flags: abi.FlagMonitorRx | abi.FlagZcopyMon},
	}
	before := p.manager.Kept()
	for i := range cases {
		c := &cases[i]
		known := p.manager.Kept()
		spec := fmt.Sprintf("vale0:x%d", i)
		c.port = p.open(spec)
		if c.opens != "" {
			d, err := netmap.Open(limited(t), spec+c.opens, netmap.WithRuntimeDir(p.dir), netmap.WithFlags(c.flags))
			must(t, err)
			defer d.Close() //nolint:errcheck // it is gone
			c.beside = d
		}
		for _, name := range p.manager.Kept() {
			if !slices.Contains(known, name) {
				c.names = append(c.names, name)
			}
		}
	}
	p.signal(unix.SIGKILL)
	p.ends()
	for _, c := range cases {
		c.spoil(p.manager)
	}
	p = p.restart()
	exchange(t, a, b)
	for _, c := range cases {
		if c.beside != nil && !isGone(c.beside) {
			t.Errorf("%s: it is there after a restart", c.what)
		}
		switch {
		case c.stays:
			exchange(t, c.port, a)
		case c.scribble == 0 && !isGone(c.port):
			t.Errorf("%s: the port is there after a restart", c.what)
		}
		_ = c.port.Close()
	}
	p.keeps(before...)
	p.noErrors()
}

// Persistent ports that clients have open take the place of those that the configuration makes.
func TestTakeoverOfPersistentPorts(t *testing.T) {
	const yaml = `
version: 1
ports:
  - {name: per0, kind: persistent}
  - {name: per1, kind: persistent, rings: 2}
  - {name: per2, kind: persistent}
switches:
  - {name: vale1, ports: [per0]}
`
	file := writeConfig(t, yaml)
	dir := tempDir(t)
	p := start(t, dir, yaml)
	attached, other, loose, changed := p.open("netmap:per0"), p.open("vale1:c"), p.open("netmap:per1"), p.open("netmap:per2")
	for _, sig := range []syscall.Signal{unix.SIGKILL, unix.SIGTERM} {
		exchange(t, attached, other)
		must(t, loose.Flush(limited(t))) // into nothing
		for range loose.TxRings()[0].Space() {
			loose.TxRings()[0].Send(make([]byte, 60))
		}
		p.signal(sig)
		p = p.restart("--config", file)
		must(t, loose.Flush(limited(t)))
		p.noErrors()
	}
	exchange(t, attached, other)
	p.signal(unix.SIGHUP)
	p.saysSoon("that it reloads", func(said string) bool { return strings.HasPrefix(said, "RELOADING=1") })
	p.saysSoon("that it has", func(said string) bool { return said == "READY=1" })
	if !p.logs("changes=0") {
		t.Errorf("the configuration does not hold; netmapd said:\n%s", &p.out)
	}
	// The configuration has changed meanwhile: it holds, but takes no port away that it has no more.
	next := strings.NewReplacer("per2, kind: persistent", "per2, kind: persistent, slots: 64", "  - {name: per1, kind: persistent, rings: 2}\n", "")
	must(t, os.WriteFile(file, []byte(next.Replace(yaml)), 0o600))
	p.signal(unix.SIGKILL)
	p = p.restart("--config", file)
	exchange(t, attached, other)
	must(t, loose.Flush(limited(t)))
	if !isGone(changed) {
		t.Error("a port is there that the configuration has otherwise")
	}
	p.noErrors()
}

// A netmapd that twice did not get ready with what it was to take over does without.
func TestTakeoverThatFails(t *testing.T) {
	p := start(t, tempDir(t), "")
	a, b := p.open("vale0:a"), p.open("vale0:b")
	for tries, good := range []bool{true, true, false} {
		p.signal(unix.SIGKILL)
		p.ends()
		for i := range tries {
			f := memory(t, 64, 0)
			p.manager.Replace(fmt.Sprintf("try.%d", i+1), f)
		}
		p = p.restart()
		if good {
			exchange(t, a, b)
			continue
		}
		if !isGone(a) || !isGone(b) {
			t.Error("ports are there")
		}
		p.keeps()
		exchange(t, p.open("vale0:a"), p.open("vale0:b"))
	}
}
