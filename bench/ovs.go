package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Open vSwitch with DPDK: its NORMAL action (a learning switch) between two vhost-user ports, with a database of its own.
// testpmd is what two virtual machines would be: it sends some frames first and then back whatever comes, on the
// clients' CPU, while OVS has the lcore's.

// ovsDaemons are where Debian has the switch built with DPDK.
var ovsDaemons = []string{"/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"}

const (
	ovsSchema = "/usr/share/openvswitch/vswitch.ovsschema"
	ovsPorts  = 2
	ovsMemory = 512 // MiB
)

// ovs is a running switch.
type ovs struct {
	*harness
	dir      string
	vswitchd *proc
}

var ovsCycles = regexp.MustCompile(`avg processing cycles per packet: *([0-9.]+)`)

func ovsNormal(size int) func(*harness) (sample, error) {
	return func(h *harness) (sample, error) {
		o, err := h.ovs()
		if err != nil {
			return nil, err
		}
		gen, err := o.generator(size)
		if err != nil {
			return nil, err
		}
		if err := gen.say("start tx_first"); err != nil {
			return nil, err
		}
		if err := h.wait(2 * settleTime); err != nil {
			return nil, err
		}
		if _, err := o.appctl("dpif-netdev/pmd-stats-clear"); err != nil {
			return nil, err
		}
		if err := gen.say("clear fwd stats all"); err != nil {
			return nil, err
		}
		start := time.Now()
		if err := h.wait(h.o.dur); err != nil {
			return nil, err
		}
		stats, err := o.appctl("dpif-netdev/pmd-stats-show")
		if err != nil {
			return nil, err
		}
		secs := time.Since(start).Seconds()
		if err := gen.say("show fwd stats all"); err != nil {
			return nil, err
		}
		s, err := gen.forwarded(h, secs)
		if err != nil {
			return nil, err
		}
		delete(s, "cycles") // the generator's
		delete(s, "core")
		if m := ovsCycles.FindStringSubmatch(stats); m != nil {
			s["cycles"], _ = strconv.ParseFloat(m[1], 64)
			s["core"] = perCore(s["cycles"])
		}
		return s, nil
	}
}

// ovs starts the switch in a private folder.
func (h *harness) ovs() (*ovs, error) {
	daemon := ""
	for _, path := range ovsDaemons {
		if _, err := os.Stat(path); err == nil {
			daemon = path
		}
	}
	if daemon == "" {
		return nil, missing("no Open vSwitch with DPDK; install the package openvswitch-switch-dpdk")
	}
	if _, err := exec.LookPath("dpdk-testpmd"); err != nil {
		return nil, missing("no dpdk-testpmd to generate traffic; install the package dpdk-dev")
	}
	if os.Geteuid() != 0 {
		return nil, missing("Open vSwitch wants root")
	}
	dir, err := os.MkdirTemp(h.dir, "o")
	if err != nil {
		return nil, err
	}
	o := &ovs{harness: h, dir: dir}
	if _, err := command(h.ctx, 10*time.Second, "ovsdb-tool", "create", o.path("conf.db"), ovsSchema); err != nil {
		return nil, err
	}
	env := []string{"OVS_RUNDIR=" + dir, "OVS_LOGDIR=" + dir, "OVS_DBDIR=" + dir}
	db, err := h.start(procSpec{
		name: "ovsdb-server", env: env, cpus: h.cpu.clients,
		argv: []string{"ovsdb-server", "--remote=punix:" + o.path("db.sock"), "--unixctl=" + o.path("db.ctl"), "-vconsole:warn", o.path("conf.db")},
	})
	if err != nil {
		return nil, err
	}
	if err := h.appears(db, o.path("db.sock")); err != nil {
		return nil, err
	}
	if err := h.hugepages(ovsMemory + 128); err != nil {
		return nil, err
	}
	if err := o.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "other_config:dpdk-init=true",
		fmt.Sprintf("other_config:dpdk-lcore-mask=%#x", 1<<h.cpu.clients[0]), fmt.Sprintf("other_config:pmd-cpu-mask=%#x", 1<<h.cpu.lcore),
		fmt.Sprintf("other_config:dpdk-socket-mem=%d", ovsMemory),
		`other_config:dpdk-extra="--no-pci --in-memory --iova-mode=va --no-telemetry"`); err != nil {
		return nil, err
	}
	o.vswitchd, err = h.start(procSpec{
		name: "ovs-vswitchd", env: env, cpus: h.cpu.all(),
		argv: []string{daemon, "unix:" + o.path("db.sock"), "--unixctl=" + o.path("vs.ctl"), "-vconsole:warn"},
	})
	if err != nil {
		return nil, err
	}
	if err := h.appears(o.vswitchd, o.path("vs.ctl")); err != nil {
		return nil, err
	}
	args := []string{"--timeout=15", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"}
	for i := range ovsPorts {
		name := socketName(i)
		args = append(args, "--", "add-port", "br0", name, "--", "set", "Interface", name, "type=dpdkvhostuserclient", "options:vhost-server-path="+o.path(name))
	}
	return o, o.vsctl(args...)
}

// hugepages sees to it that so many MiB of hugepages are free until the next cleanup: OVS insists on them.
func (h *harness) hugepages(mb int) error {
	const file = "/proc/sys/vm/nr_hugepages"
	size, _ := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "Hugepagesize"), " kB"))
	free, _ := strconv.Atoi(field("/proc/meminfo", "HugePages_Free"))
	total, _ := strconv.Atoi(field("/proc/meminfo", "HugePages_Total"))
	if size == 0 {
		return missing("the kernel has no hugepages")
	}
	need := mb * 1024 / size
	if free >= need {
		return nil
	}
	set := func(n int) { _ = os.WriteFile(file, []byte(strconv.Itoa(n)), 0) }
	more := need - free
	set(total + more)
	h.later(func() { // others may have changed the number meanwhile
		now, _ := strconv.Atoi(field("/proc/meminfo", "HugePages_Total"))
		set(max(0, now-more))
	})
	if free, _ = strconv.Atoi(field("/proc/meminfo", "HugePages_Free")); free < need {
		return missing("Open vSwitch needs %d hugepages, %d can be had", need, free)
	}
	return nil
}

// generator starts testpmd as two virtual machines and waits until OVS has connected to both.
func (o *ovs) generator(size int) (*proc, error) {
	p, err := o.startGenerator(vhost, o.dir, size)
	if err != nil {
		return nil, err
	}
	for limit := time.Now().Add(startLimit); ; {
		out, err := o.appctl("dpif-netdev/pmd-rxq-show")
		if err != nil {
			return nil, err
		}
		if strings.Count(out, "(enabled)") == ovsPorts {
			break
		}
		if time.Now().After(limit) {
			return nil, fmt.Errorf("the switch of Open vSwitch did not connect to both ports:\n%s\n%s\n%s", out, o.vswitchd.tail(), p.tail())
		}
		if err := o.wait(50 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	return p, p.prompt(o.harness)
}

func (o *ovs) path(name string) string { return filepath.Join(o.dir, name) }

func (o *ovs) vsctl(args ...string) error {
	_, err := command(o.ctx, 20*time.Second, "ovs-vsctl", append([]string{"--db=unix:" + o.path("db.sock")}, args...)...)
	return err
}

func (o *ovs) appctl(args ...string) (string, error) {
	return command(o.ctx, 10*time.Second, "ovs-appctl", append([]string{"-t", o.path("vs.ctl")}, args...)...)
}

// appears waits for a socket of a process.
func (h *harness) appears(p *proc, path string) error {
	for limit := time.Now().Add(startLimit); ; {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while starting:\n%s", p.name, p.tail())
		default:
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s: no %s after %v:\n%s", p.name, filepath.Base(path), startLimit, p.tail())
		}
		if err := h.wait(10 * time.Millisecond); err != nil {
			return err
		}
	}
}
