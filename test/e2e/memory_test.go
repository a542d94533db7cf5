package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
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
