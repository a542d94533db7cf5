package conformance

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// newif makes a VALE_NEWIF, delif a VALE_DELIF.
func (e *env) newif(want unix.Errno, p program, name string, b abi.ValeNewif) abi.ValeNewif {
	e.Helper()
	q := newRequest(abi.ReqValeNewif, name, b)
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, q)
	return decode[abi.ValeNewif](e, q)
}

func (e *env) delif(want unix.Errno, p program, name string) {
	e.Helper()
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, newRequest(abi.ReqValeDelif, name, nil))
}

// persistent makes a port that lasts until the end of the test.
func (e *env) persistent(p program, b abi.ValeNewif) (name string, got abi.ValeNewif) {
	e.Helper()
	name = "p" + e.vale()[len("vale"):]
	got = e.newif(0, p, name, b)
	return name, got
}

func per01(e *env) {
	p, sw := e.program(), e.vale()
	name, b := e.persistent(p, abi.ValeNewif{TxSlots: 64, RxSlots: 5000, TxRings: 2, RxRings: 99})
	if b.TxSlots != 64 || b.RxSlots != 4096 || b.TxRings != 2 || b.RxRings != 16 || b.MemID < 2 {
		e.Errorf("made with %+v", b)
	}
	if l := e.find(unix.ENOENT, p, sw+":"+name); l.PortIdx != 0 {
		e.Errorf("listed as %+v", l)
	}
	other := e.openPort(p, sw+":other")
	// Open before it is attached: what it sends goes nowhere, and it is not to be attached.
	d := e.openPort(p, name)
	d.tx[0].send(flood(1), flood(2))
	other.rx[0].receives()
	e.attach(unix.EBUSY, p, sw+":"+name)
	e.delif(unix.EBUSY, p, name)
	e.refused(unix.EINVAL, p, sw+":"+name)
	d.close()
	e.waitFor("the port to be free", func() error {
		fd := p.open()
		defer p.close(fd)
		if errno := p.control(fd, registration(name, exclusive)); errno != 0 {
			return errno
		}
		return nil
	})

	index := uint32(0)
	e.waitFor("the port to be attached", func() error {
		fd := p.open()
		defer p.close(fd)
		q := newRequest(abi.ReqValeAttach, sw+":"+name, abi.ValeAttach{Register: abi.Register{Mode: 9, RingID: 7}}) // neither is looked at
		errno := p.control(fd, q)
		if errno != 0 {
			return errno
		}
		index = decode[abi.ValeAttach](e, q).PortIndex
		return nil
	})
	if l := e.find(0, p, sw+":"+name); l.PortIdx != index {
		e.Errorf("attached as %d, listed as %d", index, l.PortIdx)
	}
	for _, form := range []string{name, sw + ":" + name} { // both are good
		d := e.openPort(p, form)
		if d.reg.MemID != b.MemID || d.reg.TxSlots != 64 {
			e.Errorf("opened as %s: %+v", form, d.reg)
		}
		d.tx[0].send(flood(3))
		other.rx[0].receives(flood(3))
		other.tx[0].send(flood(4))
		d.polls(unix.POLLIN, unix.POLLIN)
		d.rx[0].receives(flood(4))
		if i := e.portInfo(p, form, abi.PortInfo{}); i.MemID != b.MemID {
			e.Errorf("info about %s: %+v", form, i)
		}
		d.close()
	}
	// Detached while a client has it open: it goes on, into nothing, and comes back.
	d = e.openPort(p, name)
	if gone := e.detach(0, p, sw+":"+name); gone != index {
		e.Errorf("detached %d, want %d", gone, index)
	}
	d.tx[0].send(flood(5))
	other.rx[0].receives()
	d.close()
	e.deleted(p, name)
	e.refused(unix.ENXIO, p, name)
}

// deleted removes a persistent port as soon as its last client is gone.
func (e *env) deleted(p program, name string) {
	e.Helper()
	e.waitFor("the end of "+name, func() error {
		fd := p.open()
		defer p.close(fd)
		if errno := p.control(fd, newRequest(abi.ReqValeDelif, name, nil)); errno != 0 {
			return errno
		}
		return nil
	})
}

func per02(e *env) {
	p, sw := e.program(), e.vale()
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.newif(unix.EEXIST, p, name, abi.ValeNewif{})
	e.attach(0, p, sw+":"+name)
	e.newif(unix.EEXIST, p, name, abi.ValeNewif{})
	e.detach(0, p, sw+":"+name)
	e.delif(0, p, name)
	ifname, _ := e.veth()
	e.newif(unix.EEXIST, p, ifname, abi.ValeNewif{})
}

func per03(e *env) {
	p, one, two := e.program(), e.vale(), e.vale()
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.attach(0, p, one+":"+name)
	e.delif(unix.EBUSY, p, name)
	e.attach(0, p, two+":"+name)
	e.delif(unix.EBUSY, p, name)
	e.detach(0, p, two+":"+name)
	e.delif(unix.EBUSY, p, name)
	e.detach(0, p, one+":"+name)
	e.delif(0, p, name)
}

func per04(e *env) {
	p, one, two := e.program(), e.vale(), e.vale()
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.attach(0, p, one+":"+name)
	e.attach(unix.EBUSY, p, one+":"+name)
	a, b := e.openPort(p, one+":a"), e.openPort(p, two+":b")
	e.attach(0, p, two+":"+name)
	for _, sw := range []string{one, two} {
		e.attach(unix.EBUSY, p, sw+":"+name)
		e.refused(unix.EBUSY, p, sw+":"+name)
	}
	e.refused(unix.EBUSY, p, name)
	e.attach(unix.EBUSY, p, e.vale()+":"+name)
	// The port ties the two switches together.
	a.tx[0].send(frame(broadcast, mac(1), 1))
	b.polls(unix.POLLIN, unix.POLLIN)
	b.rx[0].receives(frame(broadcast, mac(1), 1))
	b.tx[0].send(frame(mac(1), mac(2), 2))
	a.polls(unix.POLLIN, unix.POLLIN)
	a.rx[0].receives(frame(mac(1), mac(2), 2))
	e.detach(0, p, two+":"+name)
	a.tx[0].send(frame(broadcast, mac(1), 3))
	d := e.openPort(p, name)
	d.tx[0].send(flood(4))
	a.rx[0].receives(flood(4))
	b.rx[0].receives()
	d.close()
	e.detach(0, p, one+":"+name)
	e.deleted(p, name)
}

func per05(e *env) {
	p, one, two := e.program(), e.vale(), e.vale()
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.attach(0, p, one+":"+name)
	e.attach(0, p, two+":"+name)
	e.detach(unix.EBUSY, p, one+":"+name)
	e.detach(0, p, two+":"+name)
	e.detach(0, p, one+":"+name)
	e.detach(unix.ENXIO, p, one+":"+name)
	e.delif(0, p, name)
}

func per06(e *env) {
	p := e.program()
	e.newif(unix.EINVAL, p, "valeX", abi.ValeNewif{})
	e.newif(unix.EINVAL, p, "sixteen.letters.", abi.ValeNewif{})
	e.newif(unix.EINVAL, p, "p:q", abi.ValeNewif{})
	e.newif(unix.EINVAL, p, "p{1", abi.ValeNewif{})
	e.newif(unix.EINVAL, p, "", abi.ValeNewif{})
	name := "p" + e.vale()[len("vale"):]
	e.newif(unix.EINVAL, p, name, abi.ValeNewif{MemID: 60000})
	e.newif(0, p, name, abi.ValeNewif{MemID: 1, TxSlots: 16, RxSlots: 16})
	e.delif(0, p, name)
	e.newif(0, p, "fifteen.letters", abi.ValeNewif{})
	e.delif(0, p, "fifteen.letters")
}

func per07(e *env) {
	p := e.program()
	ifname, _ := e.veth()
	e.delif(unix.EINVAL, p, ifname)
	d := e.openPort(p, ifname)
	e.delif(unix.EINVAL, p, ifname)
	e.delif(unix.ENXIO, p, "nosuch")
	e.delif(unix.ENXIO, p, "")
	d.close()
}

func per13(e *env) {
	p, sw := e.program(), e.vale()
	var ports [3]*port
	var names [3]string
	for i := range ports {
		names[i], _ = e.persistent(p, abi.ValeNewif{})
		e.attach(0, p, sw+":"+names[i])
		ports[i] = e.openPort(p, sw+":"+names[i])
	}
	for i, d := range ports {
		f := frame(broadcast, mac(byte(i+1)), uint32(i))
		d.tx[0].send(f)
		for k, other := range ports {
			if k != i {
				other.rx[0].receives(f)
			}
		}
		d.rx[0].receives()
	}
	f := frame(mac(3), mac(1), 9)
	ports[0].tx[0].send(f)
	ports[1].rx[0].receives()
	ports[2].rx[0].receives(f)
	for i, d := range ports {
		d.close()
		e.detach(0, p, sw+":"+names[i])
		e.deleted(p, names[i])
	}
}

func per14(e *env) {
	p, sw := e.program(), e.vale()
	name, _ := e.persistent(p, abi.ValeNewif{})
	e.attach(0, p, sw+":"+name)
	d := e.openPort(p, sw+":"+name, exclusive)
	e.refused(unix.EBUSY, p, sw+":"+name)
	e.refused(unix.EBUSY, p, name)
	d.close()
	e.detach(0, p, sw+":"+name)
	e.deleted(p, name)
}

func per15(e *env) {
	p := e.program()
	name, b := e.persistent(p, abi.ValeNewif{})
	d := e.openPort(p, name)
	id := d.reg.MemID
	if id != b.MemID {
		e.Errorf("made in region %d, opened in %d", b.MemID, id)
	}
	d.close()
	if got := e.openPort(p, e.vale()+":a", memID(id), slots(64, 64)); got.reg.MemID != id {
		e.Errorf("a port asked for in region %d is in %d", id, got.reg.MemID)
	}
	again := e.openPort(p, name)
	if again.reg.MemID != id {
		e.Errorf("opened again in region %d, want %d", again.reg.MemID, id)
	}
	again.close()
	e.deleted(p, name)
}

// polling makes a VALE_POLLING_ENABLE, or the other one.
func (e *env) polling(want unix.Errno, p program, typ uint16, name string, b abi.ValePolling) {
	e.Helper()
	fd := p.open()
	defer p.close(fd)
	e.expect(want, p, fd, newRequest(typ, name, b))
}

func per16(e *env) {
	if runtime.NumCPU() < 2 {
		e.Skip("one CPU is not below the number of CPUs here")
	}
	p, sw := e.program(), e.vale()
	ifname, peer := e.veth()
	full := sw + ":" + ifname
	single := abi.ValePolling{Mode: abi.PollingSingleCPU, CPUs: 1}
	e.polling(unix.ENXIO, p, abi.ReqValePollingEnable, full, single)
	e.attach(0, p, full)
	a := e.openPort(p, sw+":a")
	for cpu := range uint32(2) { // on whichever an lcore is, or is not
		single.FirstCPU = cpu
		e.polling(0, p, abi.ReqValePollingEnable, full, single)
		e.polling(unix.EFAULT, p, abi.ReqValePollingEnable, full, single)
		e.detach(unix.EBUSY, p, full)
		before := received(e, peer)
		a.tx[0].send(flood(1))
		e.waitFor("a frame at the other end", func() error {
			if received(e, peer) == before {
				return errPending
			}
			return nil
		})
		e.polling(0, p, abi.ReqValePollingDisable, full, abi.ValePolling{})
		e.polling(unix.EFAULT, p, abi.ReqValePollingDisable, full, abi.ValePolling{})
	}
	e.detach(0, p, full)
}

func per17(e *env) {
	p, sw := e.program(), e.vale()
	single := abi.ValePolling{Mode: abi.PollingSingleCPU, CPUs: 1}
	d := e.openPort(p, sw+":a")
	e.polling(unix.EOPNOTSUPP, p, abi.ReqValePollingEnable, d.name, single)
	e.polling(unix.EOPNOTSUPP, p, abi.ReqValePollingDisable, d.name, single)
	ifname, _ := e.veth()
	e.polling(unix.EINVAL, p, abi.ReqValePollingEnable, ifname, single)
	full := sw + ":" + ifname
	e.attach(0, p, full)
	for _, b := range []abi.ValePolling{
		{Mode: abi.PollingSingleCPU},
		{Mode: abi.PollingSingleCPU, CPUs: 2},
		{Mode: abi.PollingSingleCPU, CPUs: 1 << 31},
		{Mode: abi.PollingMultiCPU, FirstCPU: 1, CPUs: 1},
		{Mode: abi.PollingMultiCPU, FirstCPU: 1<<32 - 1, CPUs: 1},
		{Mode: 3, CPUs: 1},
	} {
		e.polling(unix.EINVAL, p, abi.ReqValePollingEnable, full, b)
	}
	e.detach(0, p, full)
}
