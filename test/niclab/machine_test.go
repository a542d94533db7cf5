package niclab

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/netmapd/netmapd/test/niclab/talk"
)

// patience bounds what takes a moment, in a machine that is emulated beside other work; what passes never needs it.
const patience = 60 * time.Second

// A machine is the guest as seen from outside.
type machine struct {
	dir   string
	nics  []*nic
	cmd   *exec.Cmd
	done  chan struct{} // closed when cmd has ended
	where net.Addr      // where the agent is reached
	guest string        // the agent's program, as it is called there
	runs  string        // folder for runtime directories there
	qmp   *monitor
	agent *rpc.Client
}

// A nic is one that QEMU plays, and the far end of its cable.
type nic struct {
	name   string         // of the port that is made of it
	model  string         // of QEMU
	more   map[string]any // properties that QEMU gives it
	driver string         // of DPDK
	pci    string
	mac    string
	cable  *cable
}

// freePort is a root port, and the bus below it, for a NIC that a test plugs in.
const freePort = 5

// newNICs are the NICs of the machine. The n-th one sits alone on PCI bus n, below a root port that it can be pulled out of.
func newNICs() []*nic {
	all := []*nic{
		{name: "virtio", model: "virtio-net-pci", more: map[string]any{"disable-legacy": "on", "iommu_platform": true}, driver: "net_virtio"}, // DMA through the IOMMU
		{name: "e1000", model: "e1000", driver: "net_e1000_em"},
		{name: "e1000e", model: "e1000e", driver: "net_e1000_em"},
		{name: "vmxnet3", model: "vmxnet3", driver: "net_vmxnet3"},
	}
	for i, n := range all {
		n.pci = fmt.Sprintf("0000:%02x:00.0", i+1)
		n.mac = fmt.Sprintf("52:54:00:00:01:%02x", i+1)
	}
	return all
}

// properties are what QEMU makes the NIC of.
func (n *nic) properties(bus int) map[string]any {
	p := map[string]any{
		"driver": n.model, "id": n.name, "netdev": "net-" + n.name, "bus": fmt.Sprintf("port%d", bus), "mac": n.mac, "romfile": "",
	}
	for name, value := range n.more {
		p[name] = value
	}
	return p
}

// device is the same for QEMU's command line.
func (n *nic) device(bus int) string {
	arg := n.model
	for name, value := range n.properties(bus) {
		if name != "driver" {
			arg += fmt.Sprintf(",%s=%v", name, value)
		}
	}
	return arg
}

// boot starts the machine and waits until the guest answers.
func boot(image, kernel string) (m *machine, err error) {
	m = &machine{nics: newNICs(), done: make(chan struct{}), guest: "/init", runs: "/run"}
	if m.dir, err = os.MkdirTemp("", "nic"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe end of the guest's console:\n%s", err, m.console(30))
			m.stop()
		}
	}()
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	m.where = addr
	args := []string{
		"-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768",
		"-nodefaults", "-display", "none", "-no-reboot", "-serial", "file:" + m.file("console"),
		"-qmp", "unix:" + m.file("qmp") + ",server=on,wait=off",
		"-kernel", kernel, "-initrd", image,
		// The last four: beside other work, time does not pass in here as the kernel expects.
		"-append", "console=ttyS0 quiet panic=-1 intel_iommu=on iommu=pt mitigations=off nokaslr " +
			"tsc=reliable no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1",
		"-device", "intel-iommu,intremap=on,aw-bits=48",
		"-netdev", fmt.Sprintf("user,id=control,restrict=on,hostfwd=tcp:%s-:%d", m.where, talk.Port),
		"-device", "virtio-net-pci,netdev=control,addr=0x10,disable-legacy=on,mac=52:54:00:00:00:01,romfile=",
	}
	for i, n := range m.nics {
		args = append(args,
			"-netdev", fmt.Sprintf("dgram,id=net-%s,local.type=unix,local.path=%s,remote.type=unix,remote.path=%s", n.name, m.file(n.name+".in"), m.file(n.name+".out")),
			"-device", fmt.Sprintf("pcie-root-port,id=port%d,chassis=%d,slot=%d,addr=0x%x", i+1, i+1, i+1, i+2),
			"-device", n.device(i+1))
	}
	args = append(args, "-device", fmt.Sprintf("pcie-root-port,id=port%d,chassis=%d,slot=%d,addr=0x%x", freePort, freePort, freePort, freePort+1))
	if err := m.start("qemu-system-x86_64", args...); err != nil {
		return nil, err
	}
	return m, m.connect()
}

func (m *machine) file(name string) string { return filepath.Join(m.dir, name) }

func freeAddr() (net.Addr, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close() //nolint:errcheck // it is not used
	return ln.Addr(), nil
}

// start runs the program that is the machine.
func (m *machine) start(name string, args ...string) error {
	words, err := os.Create(m.file("words"))
	if err != nil {
		return err
	}
	defer words.Close() //nolint:errcheck // the program has its own
	m.cmd = exec.Command(name, args...)
	m.cmd.Stdout, m.cmd.Stderr = words, words
	// A test that is itself killed shall not leave a machine behind.
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = m.cmd.Wait()
		close(m.done)
	}()
	return nil
}

// connect takes up the cables, the monitor and the agent.
func (m *machine) connect() (err error) {
	for _, n := range m.nics {
		if err := m.wait("QEMU's end of a cable", func() error {
			n.cable, err = plugCable(m.file(n.name+".out"), m.file(n.name+".in"))
			return err
		}); err != nil {
			return err
		}
	}
	if err := m.wait("QEMU's monitor", func() error {
		m.qmp, err = dialMonitor(m.file("qmp"))
		return err
	}); err != nil {
		return err
	}
	return m.meet()
}

// meet waits for the agent.
func (m *machine) meet() error {
	return m.wait("the agent", func() error {
		c, err := m.dial(talk.Hello{RPC: true})
		if err != nil {
			return err
		}
		m.agent = rpc.NewClient(c)
		// QEMU takes connections before the guest does; only an answer counts.
		var r talk.Result
		call := m.agent.Go("Agent.Run", talk.Command{Argv: []string{"true"}, Limit: patience}, &r, nil)
		select {
		case <-call.Done:
			return call.Error
		case <-time.After(2 * time.Second):
			_ = m.agent.Close()
			return errors.New("no answer")
		}
	})
}

// dial makes a connection to the guest.
func (m *machine) dial(hello talk.Hello) (net.Conn, error) {
	c, err := net.Dial(m.where.Network(), m.where.String())
	if err != nil {
		return nil, err
	}
	if err := hello.Send(c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// errHopeless ends a wait: trying again cannot help.
var errHopeless = errors.New("it ended")

// wait tries again until there is no error, as long as the machine runs.
func (m *machine) wait(what string, try func() error) error {
	for deadline := time.Now().Add(3 * patience); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-m.done:
			words, _ := os.ReadFile(m.file("words"))
			return fmt.Errorf("the machine ended (%v): %s", m.cmd.ProcessState, words)
		default:
		}
		if time.Now().After(deadline) || errors.Is(err, errHopeless) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}

// console is the end of what the guest's kernel and agent said.
func (m *machine) console(lines int) string {
	text, err := os.ReadFile(m.file("console"))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text), lines)
}

func (m *machine) stop() {
	if m.cmd != nil && m.cmd.Process != nil {
		_ = m.cmd.Process.Kill()
		<-m.done
	}
	_ = os.RemoveAll(m.dir)
}
