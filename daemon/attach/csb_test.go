package attach

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// registerCSB binds the connection with a CSB in memory, and returns the errno and the option's status.
func (c *client) registerCSB(token uint64, name string, flags uint64, at abi.CSBOption, memory ...int) (errno, status unix.Errno) {
	c.t.Helper()
	opts := abi.Encode(abi.Encode(nil, wire.Option{Type: abi.OptCsb, Size: 16}), at)
	q := wire.Control{Token: token, ReqType: abi.ReqRegister, Version: abi.APIVersion, OptionBytes: uint16(len(opts))}
	copy(q.Name[:], name)
	body := abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC, Flags: flags})
	errno, rest, _ := c.ask(wire.TypeControl, q, append(body, opts...), memory...)
	if errno != 0 {
		return errno, 0
	}
	rest, err := wire.Take(rest, &q)
	must(c.t, err)
	if q.Errno == 0 {
		rest = rest[len(rest)-len(body)-len(opts):]
	}
	var o wire.Option
	_, err = wire.Take(rest[len(body):], &o)
	must(c.t, err)
	return unix.Errno(q.Errno), unix.Errno(o.Status)
}

// A registration with a CSB in memory that is refused leaves a descriptor that can be bound, and nobody keeps the memory.
func TestCSBMemory(t *testing.T) {
	b := newBench(t, Limits{})
	token := b.dial(t).session()
	memory := clientMemory(t, 8192)
	defer unix.Close(memory)
	c := b.dial(t)
	for _, r := range []struct {
		what  string
		flags uint64
		at    abi.CSBOption
		errno unix.Errno
	}{
		{"not exclusive", 0, abi.CSBOption{KtoA: 4096}, unix.EINVAL},
		{"unaligned", abi.FlagExclusive, abi.CSBOption{KtoA: 4096 + 8}, unix.EINVAL},
		{"overlapping", abi.FlagExclusive, abi.CSBOption{}, unix.EINVAL},
		{"outside", abi.FlagExclusive, abi.CSBOption{KtoA: 8192}, unix.EINVAL},
		{"good", abi.FlagExclusive, abi.CSBOption{KtoA: 4096}, 0},
		{"bound", abi.FlagExclusive, abi.CSBOption{KtoA: 4096}, unix.EBUSY},
	} {
		want := r.errno
		if r.what == "bound" {
			want = unix.EOPNOTSUPP // nobody came to the option
		}
		if errno, status := c.registerCSB(token, "vale0:a", r.flags, r.at, memory); errno != r.errno || status != want {
			t.Errorf("%s: %v, status %v; want %v", r.what, errno, status, r.errno)
		}
	}
	// Memory comes with an option that takes it, and of a registration only.
	if errno, _, _ := b.dial(t).ask(wire.TypeControl, wire.Control{Token: token, ReqType: abi.ReqRegister, Version: abi.APIVersion},
		abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC}), memory); errno != unix.EINVAL {
		t.Errorf("memory without an option gives %v", errno)
	}
	opts := abi.Encode(abi.Encode(nil, wire.Option{Type: abi.OptCsb, Size: 16}), abi.CSBOption{KtoA: 4096})
	q := wire.Control{Token: token, ReqType: abi.ReqCsbEnable, Version: abi.APIVersion, OptionBytes: uint16(len(opts))}
	if errno, _, _ := b.dial(t).ask(wire.TypeControl, q, opts, memory); errno != unix.EINVAL {
		t.Errorf("memory with another request gives %v", errno)
	}
	// Without memory the option says addresses, as ever.
	if errno, status := b.dial(t).registerCSB(token, "vale0:b", abi.FlagExclusive, abi.CSBOption{AtoK: 1 << 40, KtoA: 1 << 41}); errno != 0 || status != 0 {
		t.Errorf("addresses: %v, status %v", errno, status)
	}
}
