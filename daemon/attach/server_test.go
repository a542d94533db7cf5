package attach

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// What a uid holds is limited, the refusal names the limit, and what goes is
// not counted any more.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		want   string
	}{
		{"sessions of a user", Limits{Sessions: 2}, "holds 2 sessions, the configured limit"},
		{"sessions of all", Limits{AllSessions: 2}, "2 processes have sessions, the configured limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.limits)
			first := b.dial(t)
			first.session()
			b.dial(t).session()
			third := b.dial(t)
			if errno, _, text := third.ask(wire.TypeSession, nil, nil); errno != unix.EMFILE || !strings.Contains(text, c.want) {
				t.Errorf("a session too many: %v %q, want EMFILE and %q", errno, text, c.want)
			}
			must(t, first.Close())
			waitFor(t, func() error {
				if b.Sessions() != 1 {
					return errStill
				}
				return nil
			})
			waitFor(t, func() error { // counted out a moment later
				if errno, _, _ := third.ask(wire.TypeSession, nil, nil); errno != 0 {
					return errStill
				}
				return nil
			})
		})
	}
	t.Run("descriptors of a user", func(t *testing.T) {
		b := newBench(t, Limits{Descriptors: 2})
		token := b.dial(t).session()
		first, second, third := b.dial(t), b.dial(t), b.dial(t)
		for c, name := range map[*client]string{first: "vale0:1", second: "vale0:2"} {
			if errno, text := c.register(token, name); errno != 0 {
				t.Fatalf("%s: %v %s", name, errno, text)
			}
		}
		if errno, text := third.register(token, "vale0:3"); errno != unix.EMFILE || !strings.Contains(text, "holds 2 descriptors, the configured limit") {
			t.Errorf("a descriptor too many: %v %q", errno, text)
		}
		must(t, second.Close())
		waitFor(t, func() error {
			if errno, _ := third.register(token, "vale0:3"); errno != 0 {
				return errStill
			}
			return nil
		})
	})
}

// Connections that are neither are limited too.
func TestSilentConnections(t *testing.T) {
	b := newBench(t, Limits{Sessions: 1, Descriptors: 1})
	refused := func(c *client) bool {
		must(t, c.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		_, err := c.Read(make([]byte, 1))
		return errors.Is(err, io.EOF)
	}
	var silent []*client
	for range 2 + spareConns {
		silent = append(silent, b.dial(t))
	}
	waitFor(t, func() error {
		if !refused(b.dial(t)) {
			return errStill // the server has not got to it
		}
		return nil
	})
	for _, c := range silent {
		must(t, c.Close())
	}
	waitFor(t, func() error {
		c := b.dial(t)
		defer c.Close() //nolint:errcheck // a test's
		if refused(c) {
			return errStill
		}
		return nil
	})
}

// A failed request leaves a descriptor as it was: it counts once, and can be
// bound afterwards.
func TestFailedRegister(t *testing.T) {
	b := newBench(t, Limits{Descriptors: 1})
	token := b.dial(t).session()
	c := b.dial(t)
	for range 3 {
		if errno, _ := c.register(token, "nosuch0"); errno != unix.ENXIO {
			t.Errorf("no such port: %v, want ENXIO", errno)
		}
	}
	if errno, text := c.register(token, "vale0:x"); errno != 0 {
		t.Errorf("after failures: %v %s", errno, text)
	}
}

// Stop ends every connection and unbinds every port.
func TestStop(t *testing.T) {
	b := newBench(t, Limits{})
	token := b.dial(t).session()
	c := b.dial(t)
	if errno, text := c.register(token, "vale0:x"); errno != 0 {
		t.Fatalf("%v %s", errno, text)
	}
	b.Stop()
	snap, err := b.reg.Snapshot(t.Context())
	must(t, err)
	if snap.Sessions != 0 || snap.Descriptors != 0 || len(snap.Regions) != 0 {
		t.Errorf("after Stop: %d sessions, %d descriptors, regions %v", snap.Sessions, snap.Descriptors, snap.Regions)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection is still there: %d bytes, %v", n, err)
	}
	// Who comes now is sent away.
	late := b.dial(t)
	if n, err := late.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a connection after Stop: %d bytes, %v", n, err)
	}
}

// The answer of REGISTER is what NC B.5 says, and that of JOIN repeats it.
func TestAnswers(t *testing.T) {
	b := newBench(t, Limits{})
	token := b.dial(t).session()
	c := b.dial(t)
	q := wire.Control{Token: token, ReqType: abi.ReqRegister, Version: abi.MaxAPIVersion}
	copy(q.Name[:], "vale0:x")
	errno, rest, text := c.ask(wire.TypeControl, q, abi.Encode(nil, abi.Register{Mode: abi.ModeAllNIC, TxSlots: 64, RxRings: 2}))
	if errno != 0 {
		t.Fatalf("%v %s", errno, text)
	}
	var ctl wire.Control
	var bind, again wire.Bind
	var reg abi.Register
	tail, err := wire.Take(rest, &ctl)
	must(t, err)
	if ctl != q {
		t.Errorf("the answer repeats %+v, want %+v", ctl, q)
	}
	tail, err = wire.Take(tail, &bind)
	must(t, err)
	must(t, abi.Decode(tail, &reg))
	if reg.TxSlots != 64 || reg.RxSlots != abi.DefaultSlots || reg.TxRings != 1 || reg.RxRings != 2 || reg.MemSize != bind.RegionSize || reg.Offset != bind.IfOffset {
		t.Errorf("register answer %+v, bind %+v", reg, bind)
	}
	if bind.EndTx != 1 || bind.EndRx != 2 || abi.CString(bind.Name[:]) != "vale0:x" || bind.MemID != reg.MemID {
		t.Errorf("bind %+v", bind)
	}
	errno, rest, text = c.ask(wire.TypeJoin, wire.Join{Token: token}, nil)
	if errno != 0 {
		t.Fatalf("join: %v %s", errno, text)
	}
	if _, err := wire.Take(rest, &again); err != nil || again != bind {
		t.Errorf("join answers %+v, %v; want %+v", again, err, bind)
	}
}
