package niclab

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	pb "github.com/netmapd/netmapd/api/proto/netmapd/v1"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// TestHostStackWays: the guest's kernel is reached through vhost-net; and, where that does not work, through a tap that is
// read and written, with a word of warning.
func TestHostStackWays(t *testing.T) {
	m := theMachine(t)
	m.hugepages(t, 96)
	m.bind(t, "vfio-pci")
	d := m.startDaemon(t, twoLcores+yaml("buf-num: 16384", legacy))
	for _, vhost := range []bool{true, false} {
		name := "tap"
		if vhost {
			name = "vhost-net"
		}
		t.Run(name, func(t *testing.T) {
			if !vhost {
				m.run(t, "sh", "-c", "mv /dev/vhost-net /dev/vhost-net.away && ln -s /dev/null /dev/vhost-net")
				t.Cleanup(func() { m.run(t, "mv", "/dev/vhost-net.away", "/dev/vhost-net") })
			}
			t.Run("rings", func(t *testing.T) { hostRings(t, d, vhost) })
			if vhost { // it takes its time, and is no different without
				t.Run("link", func(t *testing.T) { hostLink(t, d) })
			}
			t.Run("TCP", func(t *testing.T) { hostTCP(t, d) })
			t.Run("crash", func(t *testing.T) { hostCrash(t, d) })
		})
	}
}

// TestHostStackVhost: the rings that the kernel shares with us, by themselves.
func TestHostStackVhost(t *testing.T) {
	m := theMachine(t)
	if out := m.run(t, hostifTest, "-test.v", "-test.run", "^TestVhost$"); !strings.Contains(out, "--- PASS: TestVhost") {
		t.Error(out)
	}
}

// hostRings has a client with several host rings talk to the kernel, after the kernel answered from the wire.
func hostRings(t *testing.T, d *daemon, vhost bool) {
	const rings = 3
	warned := strings.Count(d.log(), "a system call each")
	s := d.withStack(t, 0, &pb.PortSpec{})
	s.answers(t)
	if warned = strings.Count(d.log(), "a system call each") - warned; vhost == (warned == 1) {
		t.Errorf("there were %d warnings", warned)
	}
	c := d.open(t, fmt.Sprintf("netmap:%s*@conf:host-rings=%d", s.name, rings), 0)
	hw := c.TxRings - rings
	if want := map[bool]string{true: fmt.Sprint(rings), false: "0"}[vhost]; hw < 1 || d.vhosts(t) != want {
		t.Errorf("%d rings, and %s queues of vhost-net, want %s", c.TxRings, d.vhosts(t), want)
	}
	for ring := range rings {
		for range 8 {
			s.seq++
			ping := echoRequest(mustMAC(s.mac), theFarEnd, s.address, s.seq)
			c.send(t, hw+ring, [][]byte{ping})
			c.recvReply(t, hw, ping)
		}
	}
	c.close(t)
	s.answers(t)
}

// vhosts is how many queues of vhost-net the daemon has.
func (d *daemon) vhosts(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(d.m.run(t, "sh", "-c", fmt.Sprintf("ls -l /proc/%d/fd | grep -c vhost-net || true", d.pid)))
}

// recvReply waits for the answer to a ping on a host ring.
func (c *client) recvReply(t *testing.T, hw int, ping []byte) {
	t.Helper()
	for {
		var got []talk.Got
		c.call(t, "Recv", talk.Want{Count: 1, Limit: patience}, &got)
		if len(got) == 0 {
			t.Fatal("the kernel did not answer")
		}
		for _, g := range got {
			if isEchoReply(g.Frame, ping) && g.Ring >= hw {
				return
			}
		}
	}
}

// hostLink pulls a cable, which the kernel's interface shows.
func hostLink(t *testing.T, d *daemon) {
	s := d.withStack(t, 0, &pb.PortSpec{})
	for _, up := range []bool{false, true} {
		must(t, d.m.qmp.link(s.name, up))
		d.waitLink(t, s.name, up)
		d.waitFor(t, "the link of the kernel's interface", func() error {
			if got := strings.TrimSpace(d.m.run(t, "cat", "/sys/class/net/host0/carrier")); (got == "1") != up {
				return errors.New("its carrier is " + got)
			}
			return nil
		})
	}
	s.answers(t)
}

// hostTCP has two host stacks of the guest, each behind its own NIC, fetch a file from each other through a switch.
func hostTCP(t *testing.T, d *daemon) {
	m := d.m
	var pid int
	must(t, m.call("Agent.Start", talk.Command{Argv: []string{"unshare", "-n", "sleep", "3600"}, Log: d.dir + "/namespace"}, &pid))
	t.Cleanup(func() { must(t, m.call("Agent.Signal", talk.Signal{PID: pid, Number: int(syscall.SIGKILL)}, nil)) })
	a, b := d.withStack(t, 0, &pb.PortSpec{}), d.withStack(t, 1, &pb.PortSpec{})
	there := fmt.Sprintf("nsenter -t %d -n ", pid)
	script := func(lines ...string) string { return m.run(t, "sh", "-ec", strings.Join(lines, "\n")) }
	script(
		"ip address add 198.51.100.1/24 dev host0",
		fmt.Sprintf("ip link set host1 netns %d", pid),
		there+"ip address add 198.51.100.2/24 dev host1",
		there+"ip link set host1 up",
		"dd if=/dev/urandom of=/tmp/sent bs=1024 count=2048 2>/dev/null",
	)
	d.attached(t, "vale5", a.name+"*", b.name+"*")
	for _, way := range []struct{ from, to, address string }{{"", there, "198.51.100.2"}, {there, "", "198.51.100.1"}} {
		script(
			way.from+"ping -c 1 -w 10 "+way.address+" >/dev/null",
			way.to+"httpd -f -p 7000 -h /tmp & server=$!",
			"until "+way.to+"netstat -tln | grep -q :7000; do usleep 100000; done",
			way.from+"wget -q -O /tmp/got http://"+way.address+":7000/sent",
			"kill $server",
			"cmp /tmp/sent /tmp/got",
		)
	}
}

// hostCrash kills the daemon, after which the kernel's interface is gone, and serves it again.
func hostCrash(t *testing.T, d *daemon) {
	d.withStack(t, 0, &pb.PortSpec{}).answers(t)
	d.kill(t)
	d.waitFor(t, "the kernel to forget the interface", func() error {
		if d.m.run(t, "sh", "-c", "ls /sys/class/net | grep host || true") != "" {
			return errors.New("it is there")
		}
		return nil
	})
	d.start(t)
	d.withStack(t, 0, &pb.PortSpec{}).answers(t)
}
