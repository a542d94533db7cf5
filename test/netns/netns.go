// Package netns gives tests network namespaces of their own: anonymous ones, which end with the test, with veth pairs
// between them. Tests that may not make them are skipped, with the reason.
//
// A namespace belongs to a thread. A function that shall run in one is given to [NS.Do]; a process is started in one by
// [NS.Start]. Code that looks interfaces up on goroutines of its own (a server) needs a whole process: [Isolate].
package netns

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NS is a network namespace.
type NS struct{ handle netns.NsHandle }

// New makes a namespace with only a loopback interface, which is up. It skips the test where that is not allowed.
func New(tb testing.TB) *NS {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("making a network namespace needs root")
	}
	n := &NS{}
	err := onThread(func() (err error) {
		n.handle, err = netns.New()
		return err
	})
	if err != nil {
		tb.Skipf("no network namespaces here: %v", err)
	}
	tb.Cleanup(func() { _ = n.handle.Close() })
	n.Up(tb, "lo")
	return n
}

// Current is the namespace that the caller is in.
func Current(tb testing.TB) *NS {
	tb.Helper()
	h, err := netns.Get()
	if err != nil {
		tb.Fatalf("open the current network namespace: %v", err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return &NS{h}
}

// onThread runs fn on a thread of its own, which fn may move to another namespace.
//
// The thread goes back to where it was and lives on: one that ended would take along the processes that were started
// on it with a parent-death signal.
func onThread(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("open the current network namespace: %w", err)
			return
		}
		defer home.Close() //nolint:errcheck // only read
		err = fn()
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread() // otherwise it ends after all
		}
		done <- err
	}()
	return <-done
}

// Try runs fn on a thread in the namespace. fn must not use the test's FailNow, Fatal or Skip.
func (n *NS) Try(fn func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter a network namespace: %w", err)
		}
		return fn()
	})
}

// Do is Try; the test fails when fn does.
func (n *NS) Do(tb testing.TB, fn func() error) {
	tb.Helper()
	if err := n.Try(fn); err != nil {
		tb.Fatal(err)
	}
}

// Start starts a process in the namespace. Its parent-death signal must not be set: the thread that starts it ends.
func (n *NS) Start(cmd *exec.Cmd) error { return n.Try(cmd.Start) }

// Run runs a process in the namespace and returns what it wrote.
func (n *NS) Run(name string, args ...string) (output string, err error) {
	err = n.Try(func() error {
		out, err := exec.Command(name, args...).CombinedOutput()
		output = string(out)
		return err
	})
	return output, err
}

// Enter moves the test's goroutine, and with it the processes that it starts, into the namespace until the test ends.
// Subtests and other goroutines stay outside.
func (n *NS) Enter(tb testing.TB) {
	tb.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine, after its cleanups
	if err := netns.Set(n.handle); err != nil {
		tb.Fatalf("enter a network namespace: %v", err)
	}
}

// Veth connects two namespaces by a pair of interfaces, which are up, without offloads, which would leave checksums
// and segmentation to a device that is not there, and without IPv6, which would send frames of its own.
func Veth(tb testing.TB, a *NS, aName string, b *NS, bName string) {
	tb.Helper()
	a.Do(tb, func() error {
		// One queue each: what several CPUs send must stay in order.
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: aName, NumTxQueues: 1, NumRxQueues: 1},
			PeerName:  bName, PeerNamespace: netlink.NsFd(b.handle), PeerNumTxQueues: 1, PeerNumRxQueues: 1,
		})
	})
	for _, end := range []struct {
		ns   *NS
		name string
	}{{a, aName}, {b, bName}} {
		end.ns.Do(tb, func() error {
			// The namespace's own /proc/sys: that of the thread.
			_ = os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv6/conf/"+end.name+"/disable_ipv6", []byte("1"), 0o600)
			return offloadsOff(end.name)
		})
		end.ns.Up(tb, end.name)
	}
	tb.Cleanup(func() { _ = a.Try(func() error { return del(aName) }) })
}

// OffloadsOn gives an interface of Veth its offloads for sending back: frames then leave the stack unsegmented and
// without checksums.
func OffloadsOn(tb testing.TB, n *NS, ifname string) {
	tb.Helper()
	n.Do(tb, func() error { return setOffloads(ifname, 1) })
}

func del(ifname string) error {
	l, err := netlink.LinkByName(ifname)
	if err != nil {
		return err
	}
	return netlink.LinkDel(l)
}

// Up brings an interface up.
func (n *NS) Up(tb testing.TB, ifname string) {
	tb.Helper()
	n.withLink(tb, ifname, netlink.LinkSetUp)
}

// Down takes an interface down.
func (n *NS) Down(tb testing.TB, ifname string) {
	tb.Helper()
	n.withLink(tb, ifname, netlink.LinkSetDown)
}

// Addr gives an interface an address, written 10.9.0.1/24.
func (n *NS) Addr(tb testing.TB, ifname, address string) {
	tb.Helper()
	n.withLink(tb, ifname, func(l netlink.Link) error {
		a, err := netlink.ParseAddr(address)
		if err != nil {
			return err
		}
		return netlink.AddrAdd(l, a)
	})
}

// MTU sets the MTU of an interface.
func (n *NS) MTU(tb testing.TB, ifname string, bytes int) {
	tb.Helper()
	n.withLink(tb, ifname, func(l netlink.Link) error { return netlink.LinkSetMTU(l, bytes) })
}

// Delete removes an interface.
func (n *NS) Delete(tb testing.TB, ifname string) {
	tb.Helper()
	n.Do(tb, func() error { return del(ifname) })
}

func (n *NS) withLink(tb testing.TB, ifname string, fn func(netlink.Link) error) {
	tb.Helper()
	n.Do(tb, func() error {
		l, err := netlink.LinkByName(ifname)
		if err == nil {
			err = fn(l)
		}
		if err != nil {
			return fmt.Errorf("interface %s: %w", ifname, err)
		}
		return nil
	})
}

// State describes what a program can leave behind on an interface: XDP programs, traffic control, promiscuity.
func (n *NS) State(tb testing.TB, ifname string) (s string) {
	tb.Helper()
	n.withLink(tb, ifname, func(l netlink.Link) error {
		qdiscs, err := netlink.QdiscList(l)
		if err != nil {
			return err
		}
		xdp := l.Attrs().Xdp
		s = fmt.Sprintf("xdp %t, promiscuous %d, tcx ingress %d egress %d, qdiscs", xdp != nil && xdp.Attached,
			l.Attrs().Promisc, tcxPrograms(l.Attrs().Index, true), tcxPrograms(l.Attrs().Index, false))
		for _, q := range qdiscs {
			s += " " + q.Type()
		}
		return nil
	})
	return s
}

// tcxPrograms counts the programs on an interface's TCX hook; 0 where the kernel has none.
func tcxPrograms(ifindex int, ingress bool) int {
	at := ebpf.AttachTCXEgress
	if ingress {
		at = ebpf.AttachTCXIngress
	}
	r, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: at})
	if err != nil {
		return 0
	}
	return len(r.Programs)
}

// isolated is set in the environment of a process that Isolate started.
const isolated = "NETMAPD_TEST_ISOLATED"

// Isolate is called at the beginning of TestMain. It runs the test binary once more in a network namespace of its own and
// exits with its status; in there it returns at once. Without root it returns too, and New skips.
func Isolate() {
	if os.Geteuid() != 0 || os.Getenv(isolated) != "" {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), isolated+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	runtime.LockOSThread() // the parent-death signal means this thread
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "no network namespace for the tests, those that need one fail: %v\n", err)
		runtime.UnlockOSThread()
		return
	}
	_ = cmd.Wait() // the status says it
	os.Exit(cmd.ProcessState.ExitCode())
}
