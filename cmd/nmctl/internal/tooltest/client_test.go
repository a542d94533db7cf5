package tooltest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/bridge"
	"github.com/netmapd/netmapd/cmd/nmctl/internal/pktgen"
	"github.com/netmapd/netmapd/netmap"
)

// A descriptor that is handed over gives its receiver the same rings, and keeps
// the port when the one that opened it closes its own.
func TestJoin(t *testing.T) {
	b := newBed(t)
	sink, gen := b.open("vale0:sink"), b.open("vale0:gen")
	frame := bytes.Repeat([]byte{0xff}, 60)
	expect := func(content byte) {
		t.Helper()
		buf := make([]byte, 100)
		_, err := sink.Poll(b.ctx, netmap.PollIn)
		must(t, err)
		if n, ok := sink.RxRings()[0].Recv(buf); !ok || n != 60 || buf[59] != content {
			t.Errorf("received %d bytes, %v, ending with %#x", n, ok, buf[59])
		}
	}
	gen.TxRings()[0].Send(frame)
	must(t, gen.TxSync())
	expect(0xff)

	f, err := gen.File()
	must(t, err)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), joinEnv+"="+b.dir)
	child.ExtraFiles = []*os.File{f}
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	must(t, err)
	must(t, child.Start())
	_ = f.Close()
	expect(1) // sent by the child
	if err := gen.TxSync(); err != nil || gen.TxRings()[0].Head() != 2 {
		t.Errorf("head %d after one frame of each, %v", gen.TxRings()[0].Head(), err)
	}
	must(t, gen.Close())
	must(t, in.Close())
	expect(2) // the child goes on
	must(t, child.Wait())
	if err := gen.TxSync(); !errors.Is(err, unix.ENXIO) {
		t.Errorf("sync after Close: %v, want ENXIO", err)
	}
	if err := gen.Close(); !errors.Is(err, unix.ENXIO) {
		t.Errorf("second Close: %v, want ENXIO", err)
	}
}

const joinEnv = "NETMAPD_TEST_JOIN"

// joinChild is the process that receives the descriptor, as its descriptor 3. It
// sends a frame, waits for the end of its input, and sends another.
func joinChild(dir string) error {
	ctx := context.Background()
	d, err := netmap.Join(ctx, os.NewFile(3, "descriptor"), netmap.WithRuntimeDir(dir))
	if err != nil {
		return err
	}
	frame := bytes.Repeat([]byte{0xff}, 60)
	for i := byte(1); i <= 2; i++ {
		frame[59] = i
		d.TxRings()[0].Send(frame)
		if err := d.TxSync(); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	return d.Close()
}

// Ports of one region swap buffers, here across a bridge and back; what
// arrives is what was sent (SYN-15).
func TestSwap(t *testing.T) {
	b := newBed(t)
	o := bridge.Default()
	o.Interfaces = []string{"vale1:b", "vale2:b@share=vale1:b"}
	stop, out := b.bridge(o)
	if !strings.Contains(out.String(), "zero copy supported") {
		t.Fatalf("printed %s", out.String())
	}
	src, dst := b.open("vale1:src"), b.open("vale2:dst")
	const frames = 20000
	var wg sync.WaitGroup
	wg.Go(func() {
		f := bytes.Repeat([]byte{0xff}, 200)
		for i := 0; i < frames; {
			if _, err := src.Poll(b.ctx, netmap.PollOut); err != nil {
				t.Error(err)
				return
			}
			for n := 0; n < 32 && i < frames; n++ {
				f[6] = 0 // a source must not look like a group address
				f[20], f[21], f[22], f[199] = byte(i), byte(i>>8), byte(i>>16), byte(i)
				if !src.TxRings()[0].Send(f) {
					break
				}
				i++
			}
			if err := src.TxSync(); err != nil {
				t.Error(err)
			}
		}
		f[20], f[21], f[22], f[199] = 0xff, 0xff, 0xff, 0xff // the end, again until it arrives
		for b.ctx.Err() == nil && !stopped(stop) {
			src.TxRings()[0].Send(f)
			_ = src.TxSync()
		}
	})
	got, last := 0, -1
	for f, err := range dst.Frames(b.ctx) {
		must(t, err)
		i := int(f[20]) | int(f[21])<<8 | int(f[22])<<16
		if i == 1<<24-1 {
			break
		}
		if len(f) != 200 || f[199] != byte(i) || i <= last {
			t.Fatalf("frame %d after %d: %d bytes, last is %#x", i, last, len(f), f[len(f)-1])
		}
		last = i
		got++
	}
	stop.end()
	wg.Wait()
	if got < frames/10 { // a switch may drop, but not most
		t.Errorf("%d of %d frames arrived", got, frames)
	}
}

// Two descriptors of one exclusive port exclude each other.
func TestExclusive(t *testing.T) {
	b := newBed(t)
	b.open("vale0:a/x")
	o := pktgen.Default()
	o.Interface = "vale0:a"
	_, err := pktgen.Run(b.ctx, o, &buffer{}, netmap.WithRuntimeDir(b.dir))
	if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "vale0:a") {
		t.Errorf("error %v, want EBUSY", err)
	}
}
