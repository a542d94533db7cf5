package hostif

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/test/netns"
)

func TestMain(m *testing.M) {
	netns.Isolate()
	os.Exit(m.Run())
}

const testMark = 0x1234

// lan is the test's own host with interface eth, joined to a peer.
type lan struct {
	peer *netns.NS
	eth  *net.Interface
}

// newLan leaves the offloads of the own side on: what the host sends there is
// neither segmented nor has it checksums.
func newLan(t *testing.T) lan {
	t.Helper()
	peer, here := netns.New(t), netns.Current(t)
	netns.Veth(t, here, "eth", peer, "far")
	netns.OffloadsOn(t, here, "eth")
	here.Addr(t, "eth", "10.9.0.1/24")
	peer.Addr(t, "far", "10.9.0.2/24")
	eth, err := net.InterfaceByName("eth")
	if err != nil {
		t.Fatal(err)
	}
	return lan{peer, eth}
}

func openTap(t *testing.T, c TapConfig) *Tap {
	t.Helper()
	tap, err := OpenTap(c)
	if err != nil {
		t.Skipf("no tap interfaces here: %v", err)
	}
	t.Cleanup(tap.Close)
	return tap
}

// wire is a packet socket that sees and sends what passes on an interface, as
// the devices of netmapd's ports do.
func wire(t *testing.T, ifi *net.Interface) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	prog, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtMark},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: testMark, SkipTrue: 3},
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 18},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	filter := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		filter[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	for _, err := range []error{
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300, Ifindex: ifi.Index}), // ETH_P_ALL in network order
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

// relay copies frames both ways until the test ends, as a client that joins the
// HW and the host rings does.
func relay(t *testing.T, wire int, tap *Tap) (longest *atomic.Int64) {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	longest = new(atomic.Int64)
	go func() {
		defer close(done)
		buf := make([]byte, 70000)
		for {
			select {
			case <-stop:
				return
			default:
			}
			fds := []unix.PollFd{{Fd: int32(wire), Events: unix.POLLIN}}
			for _, q := range tap.Queues() {
				fds = append(fds, unix.PollFd{Fd: int32(q), Events: unix.POLLIN})
			}
			_, _ = unix.Poll(fds, 10)
			if n, err := unix.Read(wire, buf); err == nil {
				_, _ = unix.Write(tap.Queues()[0], buf[:n])
			}
			for _, q := range tap.Queues() {
				if n, err := unix.Read(q, buf); err == nil {
					longest.Store(max(longest.Load(), int64(n)))
					_, _ = unix.Write(wire, buf[:n])
				}
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	return longest
}

// exchange sends data to a server at the peer and reads it back.
func (l lan) exchange(data []byte, wait time.Duration) error {
	var srv net.Listener
	if err := l.peer.Try(func() (err error) {
		srv, err = net.Listen("tcp4", "10.9.0.2:0")
		return err
	}); err != nil {
		return err
	}
	defer srv.Close()
	go func() {
		if c, err := srv.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			_ = c.Close()
		}
	}()
	c, err := net.DialTimeout("tcp4", srv.Addr().String(), wait)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(wait))
	go func() {
		_, _ = c.Write(data)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("%d bytes came back, not as they were sent (%d)", len(got), len(data))
	}
	return nil
}

const (
	soon  = 5 * time.Second
	never = 300 * time.Millisecond // for what must not happen
)

// TestTakeover walks through what can be taken, on both kinds of hook.
func TestTakeover(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(map[bool]string{false: "links", true: "filters"}[old], func(t *testing.T) {
			l := newLan(t)
			here := netns.Current(t)
			before := here.State(t, "eth")
			tap := openTap(t, TapConfig{Name: "nmh%d", Queues: 2, MTU: 1500, Hidden: true})
			over := NewTakeover(l.eth.Index, testMark)
			over.on.old = old
			data := make([]byte, 1<<20)
			_, _ = rand.Read(data)
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(l.exchange(data[:100], soon)) // the host has it

			must(over.Ingress(true))
			must(over.Egress(nil))
			if err := l.exchange(data[:100], never); err == nil {
				t.Fatal("the host reached its peer while both directions were taken")
			}

			must(over.Join(tap))
			must(over.Egress(tap))
			longest := relay(t, wire(t, l.eth), tap)
			must(l.exchange(data, soon))
			if n := longest.Load(); n > 1514 {
				t.Errorf("a frame of %d bytes came from the host: it was not segmented", n)
			}

			must(over.Close())
			must(over.Close()) // no harm
			must(l.exchange(data[:100], soon))
			if after := here.State(t, "eth"); after != before {
				t.Errorf("left behind: %s; before: %s", after, before)
			}
		})
	}
}

// TestHiddenTapIsSilent: what arrives in host rings comes from the interface.
func TestHiddenTapIsSilent(t *testing.T) {
	netns.New(t) // or skip
	tap := openTap(t, TapConfig{Name: "nmh%d", Queues: 1, Hidden: true})
	time.Sleep(never) // what the stack sends to a new interface, it sends at once
	buf := make([]byte, 2048)
	if n, err := unix.Read(tap.Queues()[0], buf); err == nil {
		t.Errorf("the host sent %x on its own", buf[:n])
	}
}

// TestTap is the counterpart of a device.
func TestTap(t *testing.T) {
	netns.New(t) // or skip
	mac := net.HardwareAddr{2, 0, 0, 1, 2, 3}
	tap := openTap(t, TapConfig{Name: "nic0", Queues: 3, MAC: mac, MTU: 1400})
	attrs := func() *netlink.LinkAttrs {
		t.Helper()
		l, err := netlink.LinkByName("nic0")
		if err != nil {
			t.Fatal(err)
		}
		return l.Attrs()
	}
	if a := attrs(); a.HardwareAddr.String() != mac.String() || a.MTU != 1400 || a.Index != tap.Index() || tap.Name() != "nic0" {
		t.Errorf("the interface is %+v", a)
	}
	if attrs().Flags&net.FlagUp != 0 {
		t.Error("it is up without anybody having said so")
	}
	netns.Current(t).Up(t, "nic0")
	for _, up := range []bool{false, true} {
		if err := tap.SetCarrier(up); err != nil {
			t.Fatal(err)
		}
		if got := attrs().RawFlags&unix.IFF_LOWER_UP != 0; got != up {
			t.Errorf("carrier %t was set, the host sees %t", up, got)
		}
	}
	for _, n := range []int{1, 4, 2} {
		if err := tap.SetQueues(n); err != nil || len(tap.Queues()) != n {
			t.Errorf("%d queues, want %d: %v", len(tap.Queues()), n, err)
		}
	}
	tap.Close()
	if _, err := netlink.LinkByName("nic0"); err == nil {
		t.Error("the interface is there after its tap was closed")
	}
}

func TestTapNameTaken(t *testing.T) {
	netns.New(t) // or skip
	for _, c := range []struct{ name, want string }{
		{"lo", "kind of interface"},
		{"a name that is longer than names may be", "invalid argument"},
	} {
		_, err := OpenTap(TapConfig{Name: c.name})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("tap %q: %v, want %q", c.name, err, c.want)
		}
	}
}
