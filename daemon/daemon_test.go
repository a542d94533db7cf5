package daemon_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/rundir"
	"github.com/netmapd/netmapd/test/netns"
)

func frame(length int) []byte {
	f := make([]byte, length)
	copy(f, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5")
	return f
}

// passes checks that a frame gets from one new port of a switch to another.
func (p *process) passes() {
	p.t.Helper()
	from, to := p.open("vale9:from"), p.open("vale9:to")
	from.TxRings()[0].Send(frame(60))
	must(p.t, from.TxSync())
	for f, err := range to.Frames(limited(p.t)) {
		must(p.t, err)
		if len(f) != 60 {
			p.t.Errorf("a frame of %d bytes", len(f))
		}
		break
	}
	must(p.t, from.Close())
	must(p.t, to.Close())
}

// When netmapd says that it is ready, it is; when it is told to stop, it says
// so, and leaves nothing. The same directory can be used again.
func TestStartAndStop(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("knows the modes that root's files have")
	}
	defer unix.Umask(unix.Umask(0))         // which the daemon inherits: it must not depend on it
	dir := filepath.Join(tempDir(t), "run") // netmapd makes it
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := start(t, dir, "")
		if got := sockets(t, dir); !slices.Equal(got, []string{"control.sock", "netmap.sock"}) {
			t.Errorf("sockets %v", got)
		}
		// Root's directory is open to all, its sockets are not; others' are checked by package rundir.
		for path, want := range map[string]os.FileMode{dir: 0o755, rundir.AttachSocket(dir): 0o600, rundir.ControlSocket(dir): 0o600} {
			st, err := os.Stat(path)
			must(t, err)
			if st.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", path, st.Mode().Perm(), want)
			}
		}
		p.passes()
		info, err := pb.NewSystemServiceClient(p.api()).GetInfo(limited(t), &pb.GetInfoRequest{})
		must(t, err)
		if got := int(info.GetInfo().GetPid()); got != p.cmd.Process.Pid {
			t.Errorf("GetInfo says pid %d, want %d", got, p.cmd.Process.Pid)
		}
		p.signal(how)
		if got := p.told(); got != "STOPPING=1" {
			t.Errorf("netmapd tells systemd %q, want STOPPING=1", got)
		}
		p.exits(0)
		p.noErrors()
		if got := sockets(t, dir); len(got) != 0 {
			t.Errorf("sockets %v are left", got)
		}
	}
}

// A runtime directory belongs to one daemon, until that is gone, whichever way.
func TestSecondDaemon(t *testing.T) {
	dir := tempDir(t)
	first := start(t, dir, "")
	second := launch(t, dir, "")
	second.exits(1)
	for _, words := range []string{fmt.Sprintf("another netmapd (pid %d) runs in %s", first.cmd.Process.Pid, dir), "--runtime-dir"} {
		if !strings.Contains(second.out.String(), words) {
			t.Errorf("the second daemon does not say %q:\n%s", words, &second.out)
		}
	}
	first.passes()
	first.signal(syscall.SIGKILL)
	first.ends()
	if len(sockets(t, dir)) == 0 {
		t.Error("a killed daemon leaves no socket: the next line tests nothing")
	}
	start(t, dir, "").passes()
}

const configured = `
version: 1
ports:
  - name: null0
    kind: device
    devargs: net_null_cfg,size=64
    slots: 256
  - name: loop
    kind: device
    devargs: net_ring_cfg
switches:
  - name: vale1
    ports: [loop]
  - name: vale2
`

func TestConfiguredPorts(t *testing.T) {
	p := start(t, tempDir(t), configured)
	ports, err := pb.NewPortServiceClient(p.api()).ListPorts(limited(t), &pb.ListPortsRequest{})
	must(t, err)
	var got []string
	for _, port := range ports.GetPorts() {
		got = append(got, fmt.Sprintf("%s on %q by %s, %d slots", port.GetName(), port.GetSwitch(), port.GetDriver(), port.GetTxSlots()))
	}
	slices.Sort(got)
	if want := []string{`loop on "vale1" by net_ring, 1024 slots`, `null0 on "" by net_null, 256 slots`}; !slices.Equal(got, want) {
		t.Errorf("ports %q, want %q", got, want)
	}
	switches, err := pb.NewSwitchServiceClient(p.api()).ListSwitches(limited(t), &pb.ListSwitchesRequest{})
	must(t, err)
	got = nil
	for _, s := range switches.GetSwitches() {
		got = append(got, fmt.Sprintf("%s with %d ports", s.GetName(), len(s.GetPorts())))
	}
	if want := []string{"vale1 with 1 ports", "vale2 with 0 ports"}; !slices.Equal(got, want) {
		t.Errorf("switches %q, want %q", got, want)
	}
	for f, err := range p.open("netmap:null0").Frames(limited(t)) {
		must(t, err)
		if len(f) != 64 {
			t.Errorf("a frame of %d bytes, want 64", len(f))
		}
		break
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)
	p.noErrors()
}

// A configuration that is well formed and cannot be had: the place is named,
// what came up before is taken down, and the exit code says failure.
func TestImpossibleConfiguration(t *testing.T) {
	const loop = "version: 1\nports:\n  - name: loop\n    kind: device\n    devargs: net_ring_bad\n"
	const usage, failure = 2, 1 // found before anything was touched, or while starting
	for _, c := range []struct {
		what, yaml   string
		code         int
		place, words string
	}{
		{"no interface", "version: 1\nports:\n  - name: lan\n    kind: interface\n    ifname: nosuch0\n", usage, "netmapd.yaml:5", "nosuch0"},
		{"no interface for a switch", loop + "switches:\n  - name: vale1\n    ports: [loop]\n  - name: vale2\n    ports: [nosuch0]\n", usage, "netmapd.yaml:10", "nosuch0"},
		{"no device", loop + "  - name: bad\n    kind: device\n    devargs: net_nosuch0\n", failure, "netmapd.yaml:6", "net_nosuch0"},
		{"MTU", "version: 1\nports:\n  - name: lo\n    kind: interface\n", failure, "netmapd.yaml:3", "65536"},
		{"MTU on a switch", loop + "switches:\n  - name: vale1\n    ports: [loop, lo]\n", failure, "netmapd.yaml:7", "65536"},
		{"no room", loop + "memory:\n  global:\n    buf-num: 100\n", failure, "netmapd.yaml:3", "need 1024"},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := tempDir(t)
			p := launch(t, dir, c.yaml)
			p.exits(c.code)
			for _, w := range []string{c.place, c.words} {
				if !strings.Contains(p.out.String(), w) {
					t.Errorf("netmapd does not say %q:\n%s", w, &p.out)
				}
			}
			if got := sockets(t, dir); len(got) != 0 {
				t.Errorf("sockets %v are left", got)
			}
			for line := range strings.Lines(p.out.String()) {
				if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "from=dpdk") && !strings.Contains(line, c.words) {
					t.Errorf("netmapd also logged %s", line)
				}
			}
		})
	}
}

// Clients of a daemon that goes see it in poll, and keep their memory.
func TestClientsOutliveTheDaemon(t *testing.T) {
	for name, how := range map[string]syscall.Signal{"stopped": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			p := start(t, tempDir(t), configured)
			clients := []*netmap.Desc{p.open("vale0:a"), p.open("vale0:b"), p.open("netmap:null0"), p.open("vale1:c")}
			type result struct {
				re  netmap.Events
				err error
			}
			results := make(chan result)
			ctx := limited(t)
			for _, d := range clients {
				go func() {
					var r result
					for r.err == nil && r.re&netmap.PollErr == 0 {
						if r.re, r.err = d.Poll(ctx, netmap.PollIn); r.re&netmap.PollIn != 0 {
							for _, ring := range d.RxRings() {
								ring.Advance(ring.Tail())
							}
						}
					}
					results <- r
				}()
			}
			// They are blocked, or busy, when it happens.
			clients[0].TxRings()[0].Send(frame(60))
			must(t, clients[0].TxSync())
			p.signal(how)
			p.ends()
			p.manager.Discard() // else it would be started again
			for range clients {
				if r := <-results; r.re&netmap.PollErr == 0 || !errors.Is(r.err, unix.EIO) {
					t.Errorf("poll says %#x, %v; want POLLERR and EIO", r.re, r.err)
				}
			}
			for _, d := range clients {
				touch(t, d)
				if err := d.TxSync(); !errors.Is(err, unix.EIO) {
					t.Errorf("TxSync says %v, want EIO", err)
				}
				must(t, d.Close())
			}
			if how == syscall.SIGTERM {
				p.exits(0)
				p.noErrors()
			}
		})
	}
}

// touch writes to every buffer and slot of a port: a missing page would be a
// SIGBUS.
func touch(t *testing.T, d *netmap.Desc) {
	t.Helper()
	for _, r := range d.TxRings() {
		for i := range r.NumSlots() {
			s := r.Slot(i)
			s.Len++
			buf := r.Buf(s) // once: a daemon that is still stopping may renew the ring
			for j := range buf {
				buf[j]++
			}
		}
	}
	for idx := uint32(2); ; idx += 97 {
		buf := d.Region().Buf(idx)
		if buf == nil {
			break
		}
		buf[0]++
	}
}

// A kernel interface in the configuration: up with the daemon, given back at
// its end.
func TestConfiguredInterface(t *testing.T) {
	far := netns.New(t)
	host := netns.Current(t)
	netns.Veth(t, host, "nmcfg", far, "nmfar")
	before := host.State(t, "nmcfg")
	p := start(t, tempDir(t), "version: 1\nports:\n  - name: lan\n    kind: interface\n    ifname: nmcfg\n"+
		"switches:\n  - name: vale1\n    ports: [lan]\n")
	if now := host.State(t, "nmcfg"); now == before {
		t.Errorf("the interface does not show that it is used: %s", now)
	}
	p.signal(syscall.SIGTERM)
	p.exits(0)
	p.noErrors()
	if now := host.State(t, "nmcfg"); now != before {
		t.Errorf("the interface is now %s, was %s", now, before)
	}
}

// The machine says that there are hugepages and there are none: they went to
// somebody else between the look and the start. Auto does without.
func TestHugepagesThatAreGone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root only: it takes a mount namespace to pretend that there are hugepages")
	}
	fake := tempDir(t)
	pages := filepath.Join(fake, "hugepages-2048kB")
	must(t, os.Mkdir(pages, 0o755))
	for _, name := range []string{"nr_hugepages", "free_hugepages", "resv_hugepages", "surplus_hugepages"} {
		value := "100000\n"
		if name != "nr_hugepages" && name != "free_hugepages" {
			value = "0\n"
		}
		must(t, os.WriteFile(filepath.Join(pages, name), []byte(value), 0o644))
	}
	dir := tempDir(t)
	// More memory than other tests may have reserved pages for just now.
	cmd := exec.Command("unshare", "-m", "sh", "-c",
		`mount --bind "$1" /sys/kernel/mm/hugepages && exec "$2" --runtime-dir "$3" --dpdk-memory-mb 2000`, "sh", fake, netmapd, dir)
	if err := exec.Command("unshare", "-m", "true").Run(); err != nil {
		t.Skipf("no mount namespaces here: %v", err)
	}
	p := launchCommand(t, dir, cmd)
	if got := p.told(); got != "READY=1" {
		t.Errorf("netmapd tells systemd %q, want READY=1", got)
	}
	if !p.logs("starts again without hugepages") {
		t.Errorf("the log does not say that it started again: %s", &p.out)
	}
	p.passes()
	p.signal(unix.SIGTERM)
	p.exits(0)
}
