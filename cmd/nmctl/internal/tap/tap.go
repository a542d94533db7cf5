// Package tap is nmctl tap: it gives a netmap port a kernel interface, for programs
// that know nothing of netmap, as those of libpcap (tcpdump, Wireshark).
package tap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/netmap/abi"
)

// Options say what is joined to what.
type Options struct {
	Port   string // of netmapd; /r, /t and /z are monitors, which only receive
	Ifname string // the interface to make, in the network namespace of the caller
	MAC    string // its address; empty for a random one
	MTU    int    // its MTU; 0 for 1500
}

// Result is what passed.
type Result struct {
	ToHost, FromHost uint64 // frames
	Dropped          uint64 // frames that the interface, or the port, did not take
}

// batch is how many frames go with one sync.
const batch = 64

// maxFrame is the longest frame that passes; a tap's MTU is at most 65535 bytes.
const maxFrame = abi.MaxFragments * 2048

// Run carries frames until the context ends, which is an ordinary end, or the port is gone.
func Run(ctx context.Context, o Options, out io.Writer, opts ...netmap.Option) (res Result, err error) {
	var mac net.HardwareAddr
	if o.MAC != "" {
		if mac, err = net.ParseMAC(o.MAC); err != nil || len(mac) != 6 {
			return res, fmt.Errorf("--mac %s: expected an address as 02:00:00:00:00:01", o.MAC)
		}
	}
	// Each direction does its own syncs.
	d, err := netmap.Open(ctx, o.Port, append(opts, netmap.WithNoTxPoll())...)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	file, err := openInterface(o.Ifname, mac, o.MTU)
	if err != nil {
		return res, err
	}
	defer file.Close()
	c := &carrier{d: d, file: file}
	fmt.Fprintf(out, "%s <-> interface %s\n", o.Port, o.Ifname)
	err = c.run(ctx)
	fmt.Fprintf(out, "%s: %d frames to the interface, %d from it, %d dropped\n", o.Port, c.toHost, c.fromHost, c.dropped[0]+c.dropped[1])
	return Result{c.toHost, c.fromHost, c.dropped[0] + c.dropped[1]}, err
}

// A carrier is one goroutine for each direction; each counts by itself.
type carrier struct {
	d                *netmap.Desc
	file             *os.File // the tap
	toHost, fromHost uint64
	dropped          [2]uint64
}

func (c *carrier) run(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var wg sync.WaitGroup
	var errs [2]error
	start := func(i int, f func(context.Context) error) {
		wg.Go(func() {
			defer cancel()
			if err := f(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, os.ErrDeadlineExceeded) {
				errs[i] = err
			}
		})
	}
	if len(c.d.RxRings()) > 0 {
		start(0, c.receive)
	}
	if len(c.d.TxRings()) > 0 {
		start(1, c.transmit)
	}
	<-ctx.Done()
	_ = c.file.SetReadDeadline(time.Unix(1, 0)) // ends transmit's wait
	wg.Wait()
	return errors.Join(errs[:]...)
}

// receive gives the host what comes in.
func (c *carrier) receive(ctx context.Context) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	for frame, err := range c.d.Frames(ctx) {
		if err != nil {
			return err
		}
		// A write takes a whole frame or none: the interface is down, or the frame is none.
		var failed error
		if err := raw.Control(func(fd uintptr) { _, failed = unix.Write(int(fd), frame) }); err != nil {
			return err
		}
		if failed != nil {
			c.dropped[0]++
			continue
		}
		c.toHost++
	}
	return nil
}

// transmit sends what the host sends. It waits for room in the port, and the host's queue drops meanwhile.
func (c *carrier) transmit(ctx context.Context) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, maxFrame)
	for {
		// All that there is, then one sync.
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			for sent := range batch {
				n, err := unix.Read(int(fd), buf)
				switch {
				case errors.Is(err, unix.EAGAIN):
					return sent > 0 // else waits
				case err != nil:
					failed = fmt.Errorf("read from interface %s: %w", c.file.Name(), err)
					return true
				}
				if failed = c.send(ctx, buf[:n]); failed != nil {
					return true
				}
			}
			return true
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if _, err := c.d.PollTimeout(0, netmap.PollOut); err != nil {
			return err
		}
	}
}

func (c *carrier) send(ctx context.Context, frame []byte) error {
	rings := c.d.TxRings()
	for {
		for _, r := range rings {
			if r.Send(frame) {
				c.fromHost++
				return nil
			}
		}
		if uint32(len(frame)) > (rings[0].NumSlots()-1)*rings[0].BufSize() {
			c.dropped[1]++ // never
			return nil
		}
		for _, r := range rings { // woken by new room, not by what was not enough
			r.SetCur(r.Tail())
		}
		if _, err := c.d.Poll(ctx, netmap.PollOut); err != nil {
			return err
		}
	}
}
