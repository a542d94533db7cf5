package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// extmem is the option for memory of a program, all of a mapping.
func extmemOption(p program, base int, pools abi.PoolsInfo) option {
	return option{typ: abi.OptExtmem, body: abi.Encode(nil, abi.Extmem{UsrPtr: p.address(base), Pools: pools})}
}

func extmemReply(e *env, q *request) (x abi.Extmem) {
	e.Helper()
	e.must(abi.Decode(q.options[0].body, &x))
	return x
}

const extSize = 16 << 20

var extPools = abi.PoolsInfo{
	MemSize: extSize, IfCount: 2, IfSize: 1024, RingCount: 64, RingSize: 512, BufCount: 4096, BufSize: 2048,
}

func opt08(e *env) {
	p, sw := e.loopProgram(), e.vale()
	mem := p.alloc(extSize)
	const mark = extSize - 5000 // in a buffer of the last ones, which nobody gets
	p.store(mem, mark, []byte("mine"))
	opt := extmemOption(p, mem, extPools)
	a, q := e.openWith(p, sw+":a", []option{opt}, slots(16, 16))
	x := extmemReply(e, q)
	if x.UsrPtr != p.address(mem) || x.Pools.MemSize != extSize || a.reg.MemSize != extSize {
		e.Errorf("address %#x, sizes %d and %d; want %#x and %d", x.UsrPtr, x.Pools.MemSize, a.reg.MemSize, p.address(mem), extSize)
	}
	if x.Pools.BufCount <= 4096 || x.Pools.RingCount != 64 || x.Pools.RingSize != 512 || x.Pools.MemID != a.reg.MemID {
		e.Errorf("the pools are %+v: what is left over becomes buffers", x.Pools)
	}
	if got := p.load(mem, mark, 4); string(got) != "mine" {
		e.Errorf("what was in the memory is %q", got)
	}
	if a.netif.Flags&abi.IfPrivate == 0 {
		e.Error("the region is not private")
	}
	// The same memory, wherever it is looked at, and it works as any other.
	b := e.openPort(e.program(), sw+":b")
	tx := *a.tx[0]
	view := *a
	view.base = mem
	tx.port = &view
	tx.send(flood(1), flood(2))
	b.rx[0].receives(flood(1), flood(2))
	b.tx[0].send(flood(3))
	a.rx[0].receives(flood(3))
	if tx.head() != a.tx[0].head() || tx.head() != 2 {
		e.Errorf("the ring in the program's memory has head %d, the region's %d", tx.head(), a.tx[0].head())
	}
	a.close()
	e.isGone(a.name)
	if got := p.load(mem, mark, 4); string(got) != "mine" {
		e.Errorf("after the last close the memory has %q", got)
	}
}

func opt09(e *env) {
	p, name := e.loopProgram(), e.vale()+":a"
	mem := p.alloc(extSize)
	p.store(mem, 100, []byte("mine"))
	fd := p.open()
	for _, edit := range []func(*abi.PoolsInfo){
		func(i *abi.PoolsInfo) { i.RingSize = 1 << 20 },
		func(i *abi.PoolsInfo) { i.IfCount, i.IfSize = ^uint32(0), ^uint32(0) },
		func(i *abi.PoolsInfo) { i.BufCount = 8192 },
	} {
		pools := extPools
		edit(&pools)
		q := registration(name, slots(16, 16)).with(extmemOption(p, mem, pools))
		e.expect(unix.ENOMEM, p, fd, q)
		e.statuses(q, unix.ENOMEM)
	}
	// Outside the mapping, in part or whole; not at a page; and rings that do not fit their objects.
	for _, bad := range []struct {
		off, size uint64
		want      unix.Errno
	}{{0, extSize + 4096, unix.EFAULT}, {extSize - 4096, 2 * 4096, unix.EFAULT}, {1 << 44, extSize, unix.EFAULT}, {8, 4096, unix.EINVAL}, {0, 0, unix.EINVAL}, {0, ^uint64(0), unix.EFAULT}} {
		if e.half == goHalf && bad.want == unix.EFAULT {
			continue // a slice is there
		}
		pools := extPools
		pools.MemSize = bad.size
		opt := option{typ: abi.OptExtmem, body: abi.Encode(nil, abi.Extmem{UsrPtr: p.address(mem) + bad.off, Pools: pools})}
		q := registration(name).with(opt)
		e.expect(bad.want, p, fd, q)
		e.statuses(q, bad.want)
	}
	e.expect(unix.ENOMEM, p, fd, registration(name, slots(1024, 1024)).with(extmemOption(p, mem, extPools)))
	if got := p.load(mem, 100, 4); string(got) != "mine" {
		e.Errorf("after refusals the memory has %q", got)
	}
	e.expect(0, p, fd, registration(name, slots(16, 16)).with(extmemOption(p, mem, extPools)))
}

func opt10(e *env) {
	p, sw := e.loopProgram(), e.vale()
	mem := p.alloc(extSize)
	pools := extPools
	pools.IfCount = 8
	a, _ := e.openWith(p, sw+":a", []option{extmemOption(p, mem, pools)}, slots(16, 16))
	other := pools
	other.RingCount, other.RingSize = 7, 4096 // ignored: the region is there
	b, q := e.openWith(p, sw+":b", []option{extmemOption(p, mem, other)}, slots(16, 16))
	if a.reg.MemID != b.reg.MemID || extmemReply(e, q).Pools.RingCount != 64 {
		e.Errorf("memory ids %d and %d, %d rings; want one id, and the geometry of the first", a.reg.MemID, b.reg.MemID, extmemReply(e, q).Pools.RingCount)
	}
	if a.tx[0].off == b.tx[0].off {
		e.Error("both have one ring")
	}
	a.tx[0].send(flood(1))
	b.rx[0].receives(flood(1))
	// By its id the region can be had too, and other memory is another region.
	c := e.openPort(p, sw+":c", memID(a.reg.MemID), slots(16, 16))
	d, _ := e.openWith(p, sw+":d", []option{extmemOption(p, p.alloc(extSize), pools)}, slots(16, 16))
	if c.reg.MemID != a.reg.MemID || d.reg.MemID == a.reg.MemID {
		e.Errorf("by id region %d, of other memory %d; the first is %d", c.reg.MemID, d.reg.MemID, a.reg.MemID)
	}
	// A part of a region is none.
	part := option{typ: abi.OptExtmem, body: abi.Encode(nil, abi.Extmem{UsrPtr: p.address(mem) + 4096, Pools: abi.PoolsInfo{MemSize: extSize - 4096}})}
	e.expect(unix.EBUSY, p, p.open(), registration(sw+":e").with(part))
}

func opt11(e *env) {
	p := e.loopProgram()
	mem := p.alloc(extSize)
	a, q := e.openWith(p, e.vale()+":a", []option{extmemOption(p, mem, abi.PoolsInfo{MemSize: extSize})})
	i := extmemReply(e, q).Pools
	if i.IfCount != 2 || i.IfSize != 1024 || i.RingCount != 4 || i.RingSize != 20480 || i.BufSize != 2048 || i.BufCount < 4098 {
		e.Errorf("the pools are %+v, want netmap's defaults of private regions", i)
	}
	if i.RingOffset != 4096 || i.BufOffset != 4096+4*20480 || a.tx[0].off < i.RingOffset || a.tx[0].off >= i.BufOffset {
		e.Errorf("pools begin at %d and %d, a ring lies at %d", i.RingOffset, i.BufOffset, a.tx[0].off)
	}
}
