package port_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

var (
	admin    = port.Caller{UID: os.Geteuid()}
	stranger = port.Caller{UID: os.Geteuid() + 1}
)

func TestSetParam(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for _, c := range []struct {
		who        port.Caller
		name, text string
		want       error
		value      string // afterwards
	}{
		{admin, "verbose", "1\n", nil, "1"},
		{admin, "verbose", "-1", nil, "-1"},
		{admin, "verbose", "0x7fffffff", nil, "2147483647"},
		{admin, "verbose", "010", nil, "8"},
		{admin, "verbose", "2147483648", unix.EINVAL, "8"},
		{admin, "verbose", "", unix.EINVAL, "8"},
		{admin, "verbose", "\n", unix.EINVAL, "8"},
		{admin, "verbose", "5 ", unix.EINVAL, "8"},
		{admin, "verbose", "1_0", unix.EINVAL, "8"},
		{stranger, "verbose", "1", unix.EACCES, "8"},
		{admin, "buf_num", "4294967295", nil, "4294967295"},
		{admin, "buf_num", "4294967296", unix.EINVAL, "4294967295"},
		{admin, "buf_num", "-1", unix.EINVAL, "4294967295"},
		{admin, "buf_num", "20000", nil, "20000"},
		{admin, "if_curr_num", "7", unix.EACCES, "12"}, // of 10: whole pages
		{admin, "max_bridges", "7", unix.EACCES, "8"},
	} {
		if err := b.reg.SetParam(c.who, c.name, c.text); !errors.Is(err, c.want) {
			t.Errorf("set %s to %q: %v, want %v", c.name, c.text, err, c.want)
		}
		if got, _, err := b.reg.Param(admin, c.name); got != c.value || err != nil {
			t.Errorf("%s after %q is %q, %v, want %q", c.name, c.text, got, err, c.value)
		}
	}
	for name, want := range map[string][2]bool{"verbose": {true, false}, "ring_curr_size": {false, false}, "max_bridges": {false, false}} {
		for i, who := range []port.Caller{admin, stranger} {
			if _, writable, err := b.reg.Param(who, name); writable != want[i] || err != nil {
				t.Errorf("uid %d may write %s: %v, %v, want %v", who.UID, name, writable, err, want[i])
			}
		}
	}
	for _, name := range []string{"", "no_such", "VERBOSE", "verbose\n", "zzz"} {
		if err := b.reg.SetParam(admin, name, "1"); !errors.Is(err, unix.ENOENT) {
			t.Errorf("set %q: %v, want ENOENT", name, err)
		}
		if _, _, err := b.reg.Param(admin, name); !errors.Is(err, unix.ENOENT) {
			t.Errorf("read %q: %v, want ENOENT", name, err)
		}
	}
}

// NC A.10 and E.14 say which there are, and their defaults.
func TestParamDefaults(t *testing.T) {
	list := newBed(t, 1, port.Config{}).reg.Params()
	for _, want := range []string{
		"priv_if_size 1024", "priv_if_num 2", "priv_ring_size 20480", "priv_ring_num 4", "priv_buf_size 2048", "priv_buf_num 4098",
		"if_num 10", "if_curr_num 12", "if_curr_size 1024", "ring_num 40", "ring_curr_num 40", "ring_curr_size 36864",
		"buf_num 20000", "buf_curr_num 20000", "buf_curr_size 2048", // of the bed
		"bridge_batch 1024", "generic_ringsize 1024", "max_bridges 8", "generic_mit 100000", "generic_hwcsum 0", "generic_rings 1",
		"generic_txqdisc 1", "no_pendintr 1", "default_pipes 0", "ptnet_vnet_hdr 1", "verbose 0", "fwd 0", "no_timestamp 0", "admode 0",
	} {
		if !strings.Contains("\n"+list, "\n"+want+"\n") {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
}

func (b *bed) set(name, text string) {
	b.t.Helper()
	if err := b.reg.SetParam(admin, name, text); err != nil {
		b.t.Fatal(err)
	}
}

// The rings of a NIC-like port have as many slots as the parameter says, when
// nobody says otherwise.
func TestGenericRingsize(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for _, c := range []struct {
		text        string
		slots, want int
	}{
		{"256", 0, 256}, {"256", 512, 512}, {"2", 0, abi.DefaultSlots}, {"-5", 0, abi.DefaultSlots},
	} {
		b.set("generic_ringsize", c.text)
		info, err := b.reg.CreatePort(t.Context(), port.Spec{Name: "null0", Kind: port.KindDevice, Devargs: "net_null_param", Slots: c.slots})
		if err != nil {
			t.Fatal(err)
		}
		if info.RxSlots != c.want || info.TxSlots != c.want {
			t.Errorf("generic_ringsize %s, asked for %d: %d and %d slots, want %d", c.text, c.slots, info.TxSlots, info.RxSlots, c.want)
		}
		if err := b.reg.DeletePort(t.Context(), "null0"); err != nil {
			t.Fatal(err)
		}
	}
}

// A new switch takes as many slots at a time as the parameter says, within its
// limits (NC E.5.2).
func TestBridgeBatch(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	for text, want := range map[string]int{
		"-1": vale.MaxBatch, "0": vale.MaxBatch, "1": vale.MaxFrags, "100": 100, "2147483647": vale.MaxBatch,
	} {
		b.set("bridge_batch", text)
		if got, err := b.reg.NewSwitchBatch(); got != want || err != nil {
			t.Errorf("bridge_batch %s: batches of %d, %v, want %d", text, got, err, want)
		}
	}
}
