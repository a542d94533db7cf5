package netmap

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// An answer is a message from the daemon whose form has been checked. The
// daemon is trusted more than a client, and still not with our memory: every
// number it says is compared with what is really mapped.
type answer struct {
	body []byte // what follows the header
	fds  []int
}

// take hands out descriptor i, which is the caller's from now on.
func (a *answer) take(i int) int {
	fd := a.fds[i]
	a.fds[i] = -1
	return fd
}

// closeFDs closes the descriptors that nobody took.
func (a *answer) closeFDs() {
	for _, fd := range a.fds {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	a.fds = nil
}

// parseAnswer checks the form of an answer to a request of type typ. An answer
// that says no becomes an *Error with the daemon's errno and text.
func parseAnswer(msg []byte, typ uint16, fds, wantFDs int) (body []byte, err error) {
	h, rest, err := wire.Parse(msg)
	if err != nil {
		return nil, err
	}
	if h.Type != typ|wire.Answer {
		return nil, fmt.Errorf("%w: answer has type %#x, want %#x", wire.ErrMalformed, h.Type, typ|wire.Answer)
	}
	if h.Errno != 0 {
		wantFDs = 0
	}
	refused := fds == 0 && typ == wire.TypeControl // the Control says so: see carryOut
	if fds != wantFDs && (wantFDs != wire.BindFDs || fds != wire.PipeFDs) && !refused {
		return nil, fmt.Errorf("%w: answer comes with %d descriptors, want %d", wire.ErrMalformed, fds, wantFDs)
	}
	if h.Errno != 0 {
		return nil, &Error{Errno: unix.Errno(h.Errno), Text: abi.CString(rest)}
	}
	return rest, nil
}

// parseSession decodes the answer to TypeSession.
func parseSession(body []byte) (s wire.SessionAnswer, err error) {
	tail, err := wire.Take(body, &s)
	if err == nil && len(tail) != 0 {
		err = fmt.Errorf("%w: %d bytes follow a session answer", wire.ErrMalformed, len(tail))
	}
	if err == nil && s.ID == 0 {
		err = fmt.Errorf("%w: session id is 0", wire.ErrMalformed)
	}
	return s, err
}

// parseBind decodes a Bind with the REGISTER body after it and checks whatever
// can be checked without the memory that they describe.
func parseBind(body []byte) (b wire.Bind, reg abi.Register, err error) {
	tail, err := wire.Take(body, &b)
	if err == nil {
		err = abi.Decode(tail, &reg)
	}
	if err == nil {
		err = checkBind(&b)
	}
	if err != nil {
		return b, reg, fmt.Errorf("answer about the bound port: %w", err)
	}
	return b, reg, nil
}

func checkBind(b *wire.Bind) error {
	bufs := uint64(b.BufCount) * uint64(b.BufSize)
	tx, rx := uint32(b.TxRings)+uint32(b.HostTxRings), uint32(b.RxRings)+uint32(b.HostRxRings)
	switch {
	case b.BufSize == 0 || b.BufCount < abi.MinBufIndex:
		return fmt.Errorf("%w: %d buffers of %d bytes", wire.ErrMalformed, b.BufCount, b.BufSize)
	case b.BufOffset > b.RegionSize || bufs > b.RegionSize-b.BufOffset:
		return fmt.Errorf("%w: %d bytes of buffers at offset %d exceed a region of %d", wire.ErrMalformed, bufs, b.BufOffset, b.RegionSize)
	case b.FirstTx > b.EndTx || uint32(b.EndTx) > tx:
		return fmt.Errorf("%w: bound TX rings [%d, %d) of %d", wire.ErrMalformed, b.FirstTx, b.EndTx, tx)
	case b.FirstRx > b.EndRx || uint32(b.EndRx) > rx:
		return fmt.Errorf("%w: bound RX rings [%d, %d) of %d", wire.ErrMalformed, b.FirstRx, b.EndRx, rx)
	case b.EndTx > b.FirstTx && b.TxSlots < minSlots, b.EndRx > b.FirstRx && b.RxSlots < minSlots:
		return fmt.Errorf("%w: rings of %d TX and %d RX slots, want at least %d", wire.ErrMalformed, b.TxSlots, b.RxSlots, minSlots)
	case b.TxSlots > maxSlots || b.RxSlots > maxSlots:
		return fmt.Errorf("%w: rings of %d TX and %d RX slots, want at most %d", wire.ErrMalformed, b.TxSlots, b.RxSlots, maxSlots)
	}
	return nil
}

// Rings have at least two slots, one of which is always unused, and at most
// what keeps index arithmetic in 32 bits far from overflow.
const (
	minSlots = 2
	maxSlots = 1 << 20
)
