package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// What names say of memory and offsets does what the options do.
func TestMemoryByName(t *testing.T) {
	d := startDaemon(t)
	open := func(spec string, opts ...netmap.Option) (*netmap.Desc, error) {
		return netmap.Open(context.Background(), spec, append(opts, netmap.WithRuntimeDir(d.dir))...)
	}
	file := filepath.Join(t.TempDir(), "region")
	must(t, os.WriteFile(file, bytes.Repeat([]byte("x"), 8<<20+100), 0o600))
	a, err := open("vale0:a@extmem:file=" + file + ",ring-num=16,buf-num=600@conf:slots=64")
	must(t, err)
	if p := a.Pools(); p.MemSize != 8<<20 || p.RingCount != 16 || p.BufCount < 600 || a.Region().Size() != 8<<20 {
		t.Errorf("pools are %+v in a region of %d bytes", p, a.Region().Size())
	}
	b, err := open("vale0:b@offset:initial=64,bits=16@conf:slots=64", netmap.WithOffsetOption())
	must(t, err)
	if o := b.Offsets(); o.Max != 64 || b.RxRings()[0].Offset(1) != 64 {
		t.Errorf("offsets are %+v, and %d in a slot", o, b.RxRings()[0].Offset(1))
	}
	frame := bytes.Repeat([]byte{0xff}, 60)
	if !a.TxRings()[0].Send(frame) {
		t.Fatal("no room")
	}
	must(t, a.Flush(context.Background()))
	for f, err := range b.Frames(context.Background()) {
		must(t, err)
		if whole := b.RxRings()[0].Buf(b.RxRings()[0].Slot(0)); !bytes.Equal(f, frame) || !bytes.Equal(whole[64:124], frame) {
			t.Errorf("received % x", f)
		}
		break
	}
	must(t, errors.Join(a.Close(), b.Close()))
	if content, err := os.ReadFile(file); err != nil || content[4096] != 'x' {
		t.Errorf("the file was written to: %v", err)
	}
	for i, c := range []struct {
		spec string
		opts []netmap.Option
		want unix.Errno
	}{
		{"vale0:c@offset=64", nil, unix.EOPNOTSUPP},
		{"vale0:c@offset=64", []netmap.Option{netmap.WithOffsetOption(), netmap.WithOffsets(abi.Offsets{})}, unix.EINVAL},
		{"vale0:c", []netmap.Option{netmap.WithOffsets(abi.Offsets{Max: 1 << 20})}, unix.EINVAL},
		{"vale0:c@extmem=/nonexistent", nil, unix.ENOENT},
		{"vale0:c@extmem=/dev/null", nil, unix.EINVAL},
		{"vale0:c@extmem=" + file, []netmap.Option{netmap.WithExtmem(make([]byte, 4096), abi.PoolsInfo{})}, unix.EINVAL},
		{"vale0:c@extmem:file=" + file + ",ring-num=1000000", nil, unix.ENOMEM},
	} {
		if _, err := open(c.spec, c.opts...); !errors.Is(err, c.want) {
			t.Errorf("case %d, %s: %v, want %s", i, c.spec, err, unix.ErrnoName(c.want))
		}
	}
}

// user (spec...) opens ports by word: "open SPEC" is answered by "region ID", or by
// "error" and why; "send TEXT" by "sent"; "expect TEXT" by "received"; "slots SPEC" by the
// buffers in its TX slots. The last port opened is the one that is meant.
func user(k *talk) error {
	var d *netmap.Desc
	var all []*netmap.Desc // open until the process ends
	for {
		line := k.hear()
		word, arg, _ := strings.Cut(line, " ")
		switch word {
		case "":
			_ = all
			return nil
		case "open":
			next, err := netmap.Open(context.Background(), arg)
			if err != nil {
				k.say("error " + err.Error())
				continue
			}
			d, all = next, append(all, next)
			k.say(fmt.Sprint("region ", d.Region().ID()))
		case "close":
			k.say(fmt.Sprint("closed ", d.Close() == nil))
		case "send":
			if !d.TxRings()[0].Send([]byte(arg)) {
				return errors.New("no room")
			}
			if err := d.TxSync(); err != nil {
				return err
			}
			k.say("sent")
		case "receive":
			if err := await(d, netmap.PollIn); err != nil {
				return err
			}
			buf := make([]byte, 2048)
			n, _ := d.RxRings()[0].Recv(buf)
			if err := d.RxSync(); err != nil { // it is read: whoever opens the port next does not get it
				return err
			}
			k.say("received " + string(buf[:n]))
		}
	}
}

// order says a line to a user and wants an answer with these words in it.
func (c *child) order(t *testing.T, line, want string) {
	t.Helper()
	c.say(t, line)
	if got := c.hear(t); !strings.Contains(got, want) {
		t.Errorf("%s: %s, want %q", line, got, want)
	}
}

func as(uid uint32) *syscall.Credential {
	return &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{packets}}
}

// configured starts a daemon that the users of the tests may connect to.
func configured(t *testing.T, yaml string) *daemon {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root to run programs as other users")
	}
	file := filepath.Join(t.TempDir(), "netmapd.yaml")
	must(t, os.WriteFile(file, []byte("version: 1\n"+yaml), 0o600))
	d := startDaemon(t, "--config", file)
	must(t, os.Chmod(d.dir, 0o755))
	return d
}

// Who shares memory with whom is for its owner and the configuration to say.
func TestMemoryOfUsers(t *testing.T) {
	d := configured(t, `
access: {group: "41100"}
memory:
  regions:
  - {name: ours, ports: ["vale7:*"], users: ["41001"], if-num: 20, ring-num: 40, ring-size: 18432, buf-num: 20000}
  - {name: everybodys, ring-num: 40, ring-size: 18432, buf-num: 20000}
limits: {memory-mb-per-uid: 150}
`)
	a, b := d.startChildAs(t, as(alice), "user"), d.startChildAs(t, as(bob), "user")
	// Named regions: by the name of the port, and by memory id.
	a.order(t, "open vale7:a", "region 2")
	a.order(t, "open vale0:a@2", "region 2")
	b.order(t, "open vale7:b", "uid 41002 is not among the users of region ours (memory id 2) in the configuration (memory.regions)")
	b.order(t, "open vale0:b@2", "EACCES")
	b.order(t, "open vale0:b@3", "region 3")
	a.order(t, "open vale0:c@3", "region 3")
	// Private ones: their owner's.
	a.order(t, "open vale0:own", "region 4")
	b.order(t, "open vale0:d@4", "the region with memory id 4 belongs to uid 41001")
	a.order(t, "open vale0:d@4", "region 4")
	b.order(t, "open vale0:e@99", "EINVAL")
	// Each has so much of its own, and what is named does not count.
	for i, c := range []*child{a, b} {
		full := false
		for n := 0; n < 10 && !full; n++ {
			c.say(t, fmt.Sprintf("open vale1:%c%d", 'a'+i, n))
			answer := c.hear(t)
			full = strings.HasPrefix(answer, "error")
			if full && (n < 2 || !strings.Contains(answer, "raise limits.memory-mb-per-uid") || !strings.Contains(answer, "ENOMEM")) {
				t.Errorf("port %d: %s", n, answer)
			}
		}
		if !full {
			t.Error("10 ports are within 150 MiB")
		}
		c.order(t, "close", "closed true")
		c.order(t, "open vale1:again"+string(rune('a'+i)), "region")
	}
	regions := map[string]string{}
	for _, r := range d.snapshot(t).GetRegions() {
		owner := "-"
		if r.Owner != nil {
			owner = fmt.Sprint(r.GetOwner())
		}
		regions[r.GetName()] = owner
	}
	if regions["ours"] != "-" || regions["everybodys"] != "-" || regions["vale0:own"] != "41001" || regions["vale1:againb"] != "41002" {
		t.Errorf("owners of regions are %v", regions)
	}
}

// memory makes a memfd for a hostile attach.
func memory(t *testing.T, size int64, flags, seals int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("hostile", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|flags)
	if err != nil {
		t.Skipf("memfd_create: %v", err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	must(t, unix.Ftruncate(fd, size))
	if seals != 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals)
		must(t, err)
	}
	return fd
}

// Only memory that nobody can take away is taken, whatever a client says of it,
// and a refusal leaves nothing behind.
func TestHostileMemory(t *testing.T) {
	const (
		mb   = 1 << 20
		good = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL
	)
	d := startDaemon(t)
	s, err := openRawSession(d.dir)
	must(t, err)
	defer s.close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	must(t, err)
	defer file.Close() //nolint:errcheck // nothing in it
	must(t, file.Truncate(16*mb))
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	for _, c := range []struct {
		what string
		size uint64 // as said
		fd   func(t *testing.T) int
		want unix.Errno
	}{
		{"no seals", 16 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, 0) }, unix.EINVAL},
		{"it can shrink", 16 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, unix.F_SEAL_GROW|unix.F_SEAL_SEAL) }, unix.EINVAL},
		{"more seals can follow", 16 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW) }, unix.EINVAL},
		{"read only", 16 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, good|unix.F_SEAL_WRITE) }, unix.EINVAL},
		{"said to be larger", 32 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, good) }, unix.EINVAL},
		{"said to be smaller", 8 * mb, func(t *testing.T) int { return memory(t, 16*mb, 0, good) }, unix.EINVAL},
		{"empty", 0, func(t *testing.T) int { return memory(t, 0, 0, good) }, unix.EINVAL},
		{"said to be something", 16 * mb, func(t *testing.T) int { return memory(t, 0, 0, good) }, unix.EINVAL},
		{"no whole pages", 16*mb + 1, func(t *testing.T) int { return memory(t, 16*mb+1, 0, good) }, unix.EINVAL},
		{"too small for its pools", 8 * mb, func(t *testing.T) int { return memory(t, 8*mb, 0, good) }, unix.ENOMEM},
		{"endless", 1 << 62, func(t *testing.T) int { return memory(t, 1<<62, 0, good) }, unix.ENOMEM},
		{"hugepages that are not there", 16 * mb, func(t *testing.T) int { return memory(t, 16*mb, unix.MFD_HUGETLB, good) }, unix.EINVAL},
		{"a file", 16 * mb, func(*testing.T) int { return int(file.Fd()) }, unix.EINVAL},
		{"no file", 16 * mb, func(*testing.T) int { return event }, unix.EINVAL},
		{"as it should be", 1024 * mb, func(t *testing.T) int { return memory(t, 1024*mb, 0, good) }, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			fd := c.fd(t)
			conn, err := dialRaw(d.dir)
			must(t, err)
			defer conn.close()
			opts := abi.Encode(abi.Encode(nil, wire.Option{Type: abi.OptExtmem, Size: 72}), abi.Extmem{UsrPtr: 4096, Pools: abi.PoolsInfo{MemSize: c.size}})
			q := wire.Control{Token: s.Token, ReqType: abi.ReqRegister, Version: abi.APIVersion, OptionBytes: uint16(len(opts))}
			copy(q.Name[:], "vale0:x")
			a, err := conn.request(wire.Append(nil, wire.TypeControl, 0, q, append(abi.Encode(nil, allRings()), opts...)), fd)
			must(t, err)
			defer a.close()
			got := unix.Errno(a.Errno) // of what is not even memory
			if got == 0 {
				_, err = wire.Take(a.rest, &q)
				must(t, err)
				got = unix.Errno(q.Errno)
			}
			if got != c.want || (got == 0) != (len(a.fds) > 0) {
				t.Errorf("answered with %d and %d descriptors, want %d", got, len(a.fds), c.want)
			}
			// Of what a region has, only what is in use takes memory.
			var st unix.Stat_t
			must(t, unix.Fstat(fd, &st))
			if used := st.Blocks * 512; c.want == 0 && (used == 0 || used > 16*mb) {
				t.Errorf("a region of 1 GiB uses %d bytes", used)
			}
		})
	}
	waitFor(t, "no region to be left", func() error {
		for _, r := range d.snapshot(t).GetRegions() {
			if r.Owner != nil {
				return fmt.Errorf("region %s is", r.GetName())
			}
		}
		return nil
	})
}

// Pages are there when they are used.
func TestRegionsAreLazy(t *testing.T) {
	d := startDaemon(t)
	shared := func() (kb int) {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid()))
		must(t, err)
		_, after, _ := strings.Cut(string(status), "RssShmem:")
		_, err = fmt.Sscan(after, &kb)
		must(t, err)
		return kb
	}
	before := shared()
	const ports, each = 10, 42369024
	for i := range ports {
		p, err := netmap.Open(context.Background(), fmt.Sprint("vale0:", i), netmap.WithRuntimeDir(d.dir))
		must(t, err)
		defer p.Close() //nolint:errcheck // the test ends
		if p.Region().Size() != each {
			t.Fatalf("a region has %d bytes", p.Region().Size())
		}
	}
	if used := (shared() - before) << 10; used > ports*each/20 {
		t.Errorf("%d idle ports with %d bytes of memory each use %d", ports, each, used)
	}
}

// Users of one pipe are kept apart where the configuration says so: each end has
// memory of its own, and what is on its way when an end moves still arrives.
func TestPipeOfUsers(t *testing.T) {
	const carol = 41003
	d := configured(t, `access: {group: "41100", separate-users: true}`)
	a, b, c := d.startChildAs(t, as(alice), "user"), d.startChildAs(t, as(bob), "user"), d.startChildAs(t, as(carol), "user")
	a.order(t, "open vale0:p{1", "region 2")
	a.order(t, "send one", "sent")
	a.order(t, "send two", "sent")
	b.order(t, "open vale0:p}1", "region 3")
	b.order(t, "receive", "received one")
	b.order(t, "send three", "sent")
	b.order(t, "receive", "received two")
	a.order(t, "receive", "received three")
	c.order(t, "open vale0:p}1", "uid 41002 has this end open, and the configuration keeps users apart (access.separate-users)")
	a.order(t, "send four", "sent")
	b.order(t, "receive", "received four")
	a.order(t, "send five", "sent")
	b.order(t, "close", "closed true")
	a.order(t, "send six", "sent")
	c.order(t, "open vale0:p}1", "region 4")
	c.order(t, "receive", "received five")
	c.order(t, "receive", "received six")
	c.order(t, "send seven", "sent")
	a.order(t, "receive", "received seven")
	for range 3 * 1024 { // more than the rings hold
		a.order(t, "send again", "sent")
		c.order(t, "receive", "received again")
	}
	// One user alone shares, and the memory of a parent is its owner's.
	a.order(t, "open vale0:q{1", "region 5")
	a.order(t, "open vale0:q}1", "region 5")
	b.order(t, "open vale0:q{2", "region 6")
	b.kill()
	c.kill()
	// The old region may still be the one of a process that has not gone quite yet.
	waitFor(t, "the end to be free", func() error {
		a.say(t, "open vale0:p}1")
		if answer := a.hear(t); strings.HasPrefix(answer, "error") {
			return errors.New(answer)
		}
		return nil
	})
	a.kill()
	waitFor(t, "no region to be left", func() error {
		for _, r := range d.snapshot(t).GetRegions() {
			if r.Owner != nil {
				return fmt.Errorf("region %s is", r.GetName())
			}
		}
		return nil
	})
}
