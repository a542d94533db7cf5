package netmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// A Desc is a descriptor bound to a port: what a program in C gets by opening
// /dev/netmap, registering and mapping. See the package comment for what may be
// done concurrently.
type Desc struct {
	name     string
	bind     wire.Bind
	reg      abi.Register
	pools    abi.PoolsInfo // of the memory that came with it
	offsets  abi.Offsets
	session  *session
	conn     *net.UnixConn
	region   *Region
	netif    abi.If
	syncs    []byte // the port's sync blocks, mapped
	wake     *wake
	txRings  []*TxRing
	rxRings  []*RxRing
	tx, rx   []*Ring // the same, for what treats both alike
	noTxPoll bool
	pipe     bool    // an end of a pipe, and what
	pipeWake int     // wakes the other end
	spin     spinner // how long a poll looks before it sleeps
	closed   atomic.Bool
	shared   atomic.Bool // others may have a copy of the descriptor

	csb    atomic.Bool // CSB mode: no syncs, no polls
	app    []CSBApp    // its arrays, as this process named them
	kern   []CSBKern
	served *CSB // that lcores serve

	kicks, waits, wakeups atomic.Uint64
}

// PortName is the port's own name, without prefix and options: "vale0:1".
func (d *Desc) PortName() string { return abi.CString(d.bind.Name[:]) }

// TxRings are the bound TX rings, host rings after HW rings.
func (d *Desc) TxRings() []*TxRing { return d.txRings }

// RxRings are the bound RX rings, host rings after HW rings.
func (d *Desc) RxRings() []*RxRing { return d.rxRings }

// Region is the memory that the port lives in.
func (d *Desc) Region() *Region { return d.region }

// Register is the REGISTER body as the daemon answered it (NC B.5): the true
// numbers of rings and slots, bound or not, and of extra buffers.
func (d *Desc) Register() abi.Register { return d.reg }

// Pools says what became of the memory that the port was opened with (WithExtmem,
// @extmem); all 0 without.
func (d *Desc) Pools() abi.PoolsInfo { return d.pools }

// Offsets are those that the port was opened with (WithOffsets, @offset); Max may be
// more than was asked for. All 0 without.
func (d *Desc) Offsets() abi.Offsets { return d.offsets }

// ExtraBufs lists the descriptor's extra buffers by walking the list that
// starts in its netmap_if (NC A.9). The program may move them into slots; at close
// the daemon takes back those that are in the list then: see SetExtraBufs.
func (d *Desc) ExtraBufs() []uint32 {
	var list []uint32
	idx := d.netif.LoadBufsHead()
	for range d.reg.ExtraBufs { // a list that was tampered with may be a circle
		b := d.region.Buf(idx)
		if b == nil {
			break
		}
		list = append(list, idx)
		idx = binary.LittleEndian.Uint32(b)
	}
	return list
}

// SetExtraBufs writes the list, which ends up in the first four bytes of each
// buffer. A program that keeps buffers outside rings calls it before Close, so
// that none is lost.
func (d *Desc) SetExtraBufs(list []uint32) error {
	head := uint32(0)
	for _, idx := range list {
		b := d.region.Buf(idx)
		if b == nil {
			return &Error{Op: "set extra buffers of", Port: d.name, Errno: unix.EINVAL, Text: fmt.Sprintf("no buffer has index %d", idx)}
		}
		binary.LittleEndian.PutUint32(b, head)
		head = idx
	}
	atomic.StoreUint32(&d.netif.BufsHead, head)
	return nil
}

// File duplicates the descriptor for another process, which joins it with Join
// after receiving it by SCM_RIGHTS or by inheritance. The port stays bound until
// every copy is closed.
func (d *Desc) File() (*os.File, error) {
	d.shared.Store(true)
	return d.conn.File()
}

// Close unbinds the port, unless another process has a copy of the descriptor,
// and unmaps its memory. Slots that were published are still sent; slots that
// were only filled, and frames not read, are lost (NC D.8): see Flush.
// Closing twice gives ENXIO.
func (d *Desc) Close() error {
	if d.closed.Swap(true) {
		return &Error{Op: "close", Port: d.name, Errno: unix.ENXIO, Text: "it is closed already"}
	}
	err := d.release()
	if err != nil {
		return failed("close", d.name, err)
	}
	return nil
}

// How long Close waits for the daemon to let go of the port. On a busy machine
// that takes a while; where somebody else holds the descriptor too, it does not
// come to pass.
const (
	closeTime  = 500 * time.Millisecond
	sharedTime = 20 * time.Millisecond
)

// release undoes what bindTo did, as far as it came.
func (d *Desc) release() error {
	// First of all the descriptor: the daemon hangs up when it has let go of the
	// port, and who opens it again after Close shall find it free.
	errs := []error{d.conn.Close()}
	if d.wake != nil {
		limit := closeTime
		if d.shared.Load() {
			limit = sharedTime
		}
		d.wake.awaitHangup(limit)
		d.session.dismiss(d.wake)
		d.wake.close()
	}
	if d.pipe {
		_ = unix.Close(d.pipeWake)
	}
	if d.served != nil {
		d.served.close()
	}
	if d.syncs != nil {
		errs = append(errs, unix.Munmap(d.syncs))
	}
	if d.region != nil {
		errs = append(errs, d.region.release())
	}
	d.session.release()
	return errors.Join(errs...)
}
