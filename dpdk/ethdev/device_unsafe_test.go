package ethdev

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/eal"
)

// poll calls done until it is true, for up to ten seconds; the limit only ends a test that has failed.
func poll(t testing.TB, done func() bool) bool {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if done() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return false
}

// testFrame is an Ethernet frame of n bytes between two made-up stations, told apart by seed.
func testFrame(n int, seed uint64) []byte {
	f := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range f {
		f[i] = byte(r.Uint32())
	}
	copy(f, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5})
	return f
}

func TestNullReceivesWhatThePoolHolds(t *testing.T) {
	d, err := Attach("net_null0,size=60")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := d.Configure(Config{}); err != nil {
		t.Fatal(err)
	}
	frame := testFrame(60, 1)
	if err := d.FillPool(frame); err != nil {
		t.Fatal(err)
	}
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	b := NewRxBatch(32)
	defer b.Free()
	for range 1000 { // more than the pool has, so mbufs come back
		got := frames(b, d.RxBurst(0, b))
		if len(got) != 32 {
			t.Fatalf("got %d frames, want a full burst of 32", len(got))
		}
		for _, f := range got {
			if !bytes.Equal(f, frame) {
				t.Fatalf("got %x\nwant %x", f, frame)
			}
		}
	}
	if s, err := d.Stats(); err != nil || s.Ipackets != 32000 {
		t.Errorf("statistics say %d frames (%v), want 32000", s.Ipackets, err)
	}
	if err := d.Close(); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("closing while a batch holds frames gave %v, want EBUSY", err)
	}
	b.Reset()
}

func TestRingGivesBackWhatWasSent(t *testing.T) {
	tests := []struct {
		name string
		cfg  Config
		cuts []int
	}{
		{"one segment, one mbuf", Config{}, nil},
		{"three segments, one mbuf", Config{}, []int{14, 6}},
		{"one segment, many mbufs", Config{BufSize: 256}, nil},
		{"two segments, many mbufs", Config{BufSize: 256}, []int{30}},
		{"segments end where mbufs end", Config{BufSize: 40}, []int{40}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := attach(t, "net_ring0", tt.cfg)
			rx, tx, mem := NewRxBatch(64), NewTxBatch(256), newArena(t, 1<<20)
			defer rx.Free()
			defer tx.Free()
			var want [][]byte
			for i, n := range []int{60, 61, 64, 255, 256, 257, 512, 1000, 1514, 1518} {
				f := testFrame(n, uint64(i))
				want = append(want, f)
				addFrame(t, tx, mem, f, tt.cuts...)
			}
			if n := d.TxBurst(0, tx); n != len(want) || tx.Segments() != 0 {
				t.Fatalf("sent %d frames and %d segments are left, want %d and none", n, tx.Segments(), len(want))
			}
			got := receive(t, d, rx, len(want))
			if len(got) != len(want) {
				t.Fatalf("got %d frames, want %d", len(got), len(want))
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Errorf("frame %d of %d bytes came back as %d bytes, or changed", i, len(want[i]), len(got[i]))
				}
			}
			if n := d.Pool().InUseCount(); n != 0 {
				t.Errorf("%d mbufs did not come back", n)
			}
		})
	}
}

func TestChainsLongerThanABatchComeInParts(t *testing.T) {
	d := attach(t, "net_ring0", Config{BufSize: 64, Bufs: 4095})
	rx, tx, mem := NewRxBatch(32), NewTxBatch(32), newArena(t, 1<<20)
	defer rx.Free()
	defer tx.Free()
	var want [][]byte
	for i := range 16 { // 24 mbufs each
		want = append(want, testFrame(1514, uint64(i)))
		addFrame(t, tx, mem, want[i])
	}
	for sent := 0; sent < 16; { // more mbufs than one burst may take
		n := d.TxBurst(0, tx)
		if n == 0 {
			t.Fatalf("no more sent after %d frames", sent)
		}
		sent += n
		for _, f := range want[sent:] {
			addFrame(t, tx, mem, f)
		}
	}
	got := receive(t, d, rx, len(want))
	for i := range want {
		if i >= len(got) || !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d is missing or changed (%d frames came)", i, len(got))
		}
	}
	if rx.Dropped() != 0 {
		t.Errorf("%d frames were dropped", rx.Dropped())
	}
}

func TestTxBurstRefusesWhatCannotBeSent(t *testing.T) {
	d := attach(t, "net_ring0", Config{})
	rx, tx, mem := NewRxBatch(32), NewTxBatch(32), newArena(t, 1<<20)
	defer rx.Free()
	defer tx.Free()
	good := testFrame(60, 1)
	addFrame(t, tx, mem, good)
	tx.Add(mem.put(nil), 0, false)               // empty
	addFrame(t, tx, mem, testFrame(1519, 2))     // above the MTU
	addFrame(t, tx, mem, testFrame(3000, 2), 60) // the same in two segments
	addFrame(t, tx, mem, good)
	tx.Add(mem.put(good), 60, true) // not finished
	if n := d.TxBurst(0, tx); n != 6 {
		t.Errorf("consumed %d frames, want all 6", n)
	}
	if tx.Refused() != 4 {
		t.Errorf("refused %d frames, want 4", tx.Refused())
	}
	if got := receive(t, d, rx, 2); len(got) != 2 || !bytes.Equal(got[0], good) || !bytes.Equal(got[1], good) {
		t.Errorf("got %d frames, want the two good ones", len(got))
	}
}

func TestTxBurstOnAFullQueueOrAnEmptyPool(t *testing.T) {
	t.Run("queue", func(t *testing.T) {
		d := attach(t, "net_ring0", Config{Bufs: 4095})
		fill(t, d, func(tx *TxBatch) bool { return tx.NoMbuf() == 0 })
	})
	t.Run("pool", func(t *testing.T) {
		d := attach(t, "net_ring0", Config{Bufs: 255})
		fill(t, d, func(tx *TxBatch) bool { return tx.NoMbuf() > 0 })
	})
}

// fill sends until nothing is taken, and checks that as many frames arrive as were reported sent.
func fill(t *testing.T, d *Device, asExpected func(*TxBatch) bool) {
	t.Helper()
	rx, tx, mem := NewRxBatch(64), NewTxBatch(64), newArena(t, 1<<20)
	defer rx.Free()
	defer tx.Free()
	p, sent := mem.put(testFrame(60, 1)), 0
	for {
		for range 48 {
			tx.Add(p, 60, false)
		}
		n := d.TxBurst(0, tx)
		if n == 0 {
			break
		}
		sent += n
	}
	if sent == 0 || !asExpected(tx) {
		t.Errorf("sent %d frames, %d bursts without an mbuf", sent, tx.NoMbuf())
	}
	if got := receive(t, d, rx, sent); len(got) != sent {
		t.Errorf("%d frames arrived, %d were reported as sent", len(got), sent)
	}
	if n := d.Pool().InUseCount(); n != 0 {
		t.Errorf("%d mbufs did not come back", n)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	tx := NewTxBatch(2)
	defer tx.Free()
	for i, want := range []bool{true, true, false} {
		if got := tx.Add(unsafe.Pointer(nil), 60, false); got != want {
			t.Errorf("Add number %d is %v, want %v", i, got, want)
		}
	}
	if tx.Room() != 0 || tx.Segments() != 2 {
		t.Errorf("room for %d, %d segments; want 0 and 2", tx.Room(), tx.Segments())
	}
	if tx.Reset(); tx.Room() != 2 {
		t.Errorf("room for %d after Reset, want 2", tx.Room())
	}
}

func TestErrorsNameTheCause(t *testing.T) {
	d := attach(t, "net_null7", Config{})
	tests := []struct {
		name    string
		attempt func() error
		errno   error
		says    []string
	}{
		{"no such driver", attachErr("net_nonsense0"), syscall.ENODEV, []string{"rte_dev_probe", "net_nonsense0"}},
		{"bad parameter", attachErr("net_null8,size=abc,colour=red"), nil, []string{"rte_dev_probe", "net_null8,size=abc"}},
		{"name taken", attachErr("net_null7,size=60"), syscall.EEXIST, []string{"net_null7", "of this name"}},
		{"no interface", attachErr("net_af_packet_x,iface=nowhere0"), syscall.ENODEV, []string{"no interface nowhere0"}},
		{"configured twice", func() error { return d.Configure(Config{}) }, syscall.EINVAL, []string{"net_null7", "is started"}},
		{"started twice", d.Start, syscall.EINVAL, []string{"start net_null7", "configured or stopped"}},
		{"no memory", configureErr(t, "net_null9", Config{Bufs: 1 << 20}), syscall.ENOMEM, []string{"net_null9", "MiB of EAL memory"}},
		{"too many queues", configureErr(t, "net_ring9", Config{RxQueues: 999}), syscall.EINVAL, []string{"999 receive", "device has"}},
		{"no such port", func() error { _, err := GetPortByName("absent"); return err }, syscall.ENODEV, []string{"absent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.attempt()
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			if tt.errno != nil && !errors.Is(err, tt.errno) {
				t.Errorf("the errno is not %v", tt.errno)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the message does not say %q", s)
				}
			}
		})
	}
}

func attachErr(devargs string) func() error {
	return func() error {
		d, err := Attach(devargs)
		if err == nil {
			_ = d.Close()
		}
		return err
	}
}

func configureErr(t *testing.T, devargs string, cfg Config) func() error {
	return func() error {
		d, err := Attach(devargs)
		if err != nil {
			return err
		}
		defer func() {
			if err := d.Close(); err != nil {
				t.Errorf("close after a failed configure: %v", err)
			}
		}()
		return d.Configure(cfg)
	}
}

func TestDeviceDescribesItself(t *testing.T) {
	before := CountAvail()
	d := attach(t, "net_null3,size=128", Config{RxQueues: 2, TxQueues: 2})
	if CountAvail() != before+1 {
		t.Errorf("%d ports, want %d", CountAvail(), before+1)
	}
	if p, err := GetPortByName("net_null3"); err != nil || p != d.Port() {
		t.Errorf("GetPortByName gave %d (%v), want %d", p, err, d.Port())
	}
	info := d.Info()
	if info.Driver != "net_null" || info.Bus != "vdev" || info.Device != "net_null3" || info.IfIndex != 0 {
		t.Errorf("info is %+v", info)
	}
	if mac, err := d.MAC(); err != nil || len(mac) != 6 {
		t.Errorf("MAC is %v (%v)", mac, err)
	}
	if mtu, err := d.MTU(); err != nil || mtu != 1500 {
		t.Errorf("MTU is %d (%v), want 1500", mtu, err)
	}
	if link, err := d.Link(); err != nil || !link.Up {
		t.Errorf("link is %+v (%v), want it up", link, err)
	}
	if xs, err := d.Xstats(); err != nil || len(xs) == 0 || xs[0].Name == "" {
		t.Errorf("extended statistics are %v (%v)", xs, err)
	}
	if got := d.Sockets(); len(got) != 0 {
		t.Errorf("net_null has sockets: %v", got)
	}
	if err := d.Stop(); err != nil {
		t.Error(err)
	}
	if err := d.Start(); err != nil {
		t.Errorf("start again: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Stats(); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("statistics of a closed device: %v, want ENODEV", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if CountAvail() != before {
		t.Errorf("%d ports after close, want %d", CountAvail(), before)
	}
}

func TestInterfaceDevargs(t *testing.T) {
	tests := []struct {
		driver, ifname string
		queues, slots  int
		want, err      string
	}{
		{"af_packet", "eth0", 0, 0, "net_af_packet_eth0,iface=eth0,qpairs=1,blocksz=65536,framesz=2048,framecnt=1024,qdisc_bypass=1", ""},
		{"net_af_packet", "eth0.5", 2, 600, "net_af_packet_eth0.5,iface=eth0.5,qpairs=2,blocksz=65536,framesz=2048,framecnt=1024,qdisc_bypass=1", ""},
		{"af_packet", "e", 1, 1, "net_af_packet_e,iface=e,qpairs=1,blocksz=65536,framesz=2048,framecnt=32,qdisc_bypass=1", ""},
		{"af_xdp", "eth0", 4, 0, "net_af_xdp_eth0,iface=eth0,start_queue=0,queue_count=4,force_copy=1,busy_budget=0", ""},
		{"pcap", "eth0", 1, 0, "", "want af_packet or af_xdp"},
		{"af_packet", "", 1, 0, "", "interface name"},
		{"af_packet", "a,qpairs=9", 1, 0, "", "interface name"},
		{"af_packet", "a-name-too-long-", 1, 0, "", "interface name"},
	}
	for _, tt := range tests {
		got, err := InterfaceDevargs(tt.driver, tt.ifname, tt.queues, tt.slots)
		if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s %q: got %q, %v", tt.driver, tt.ifname, got, err)
		}
	}
}

func TestLinkedDPDK(t *testing.T) {
	if !strings.HasPrefix(eal.Version(), "DPDK 22.11") {
		t.Errorf("linked with %s, the drivers' facts are those of 22.11", eal.Version())
	}
}
