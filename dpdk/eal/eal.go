// Package eal starts and stops DPDK's environment abstraction layer (EAL): once per process, from a plan that a pure
// function makes of what the machine offers.
package eal

/*
#cgo pkg-config: libdpdk
#cgo CFLAGS: -O3 -DALLOW_EXPERIMENTAL_API

#include <stdlib.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_version.h>

#include "log.h"

static int netmapd_eal_init(int argc, char **argv)
{
	int rc = rte_eal_init(argc, argv);

	return rc < 0 ? (rte_errno > 0 ? -rte_errno : rc) : rc;
}
*/
import "C"

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/netmapd/netmapd/dpdk/common"
)

type state int

const (
	idle state = iota
	running
	stopped
)

// eal is the one EAL of this process.
var eal struct {
	mu    sync.Mutex
	state state
	log   *logPipe
	stop  chan chan error // to the main thread
}

// Start initialises EAL with args (without a program name; see PlanArgs). It can be done once per process: a second Start
// fails with EALREADY, also after Stop, because DPDK cannot be initialised again. After a failed Start, DPDK decides
// whether it takes another.
//
// EAL pins the thread that initialises it, so that happens on a thread of its own, which then sleeps until Stop and never
// runs other Go code.
func Start(args []string) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if eal.state != idle {
		return common.New("rte_eal_init", "", int(syscall.EALREADY), "EAL is started once per process")
	}
	log, err := openLog()
	if err != nil {
		return err
	}
	stop := make(chan chan error)
	started := make(chan error)
	go mainThread(args, started, stop)
	if err := <-started; err != nil {
		log.close()
		return err
	}
	eal.state, eal.log, eal.stop = running, log, stop
	return nil
}

// mainThread is the life of EAL's main lcore. The thread is never unlocked: it dies with the goroutine instead of
// returning, pinned, to the scheduler.
func mainThread(args []string, started chan<- error, stop <-chan chan error) {
	runtime.LockOSThread()
	if err := initialise(args); err != nil {
		started <- err
		return
	}
	started <- nil
	reply := <-stop
	reply <- Call("rte_eal_cleanup", "", func() int { return int(C.rte_eal_cleanup()) })
}

func initialise(args []string) error {
	argv := append([]string{"netmapd"}, args...)
	// rte_eal_init permutes the array, so the strings are freed through a second one.
	size := C.size_t(len(argv)+1) * C.size_t(unsafe.Sizeof(uintptr(0)))
	array := (**C.char)(C.calloc(1, size))
	defer C.free(unsafe.Pointer(array))
	view := unsafe.Slice(array, len(argv))
	for i, a := range argv {
		s := C.CString(a)
		defer C.free(unsafe.Pointer(s))
		view[i] = s
	}
	return Call("rte_eal_init", strings.Join(args, " "), func() int {
		return int(C.netmapd_eal_init(C.int(len(argv)), array))
	})
}

// Init is go-dpdk's name for Start; n is the number of arguments consumed, all of them.
func Init(args []string) (n int, err error) {
	if err := Start(args); err != nil {
		return -1, err
	}
	return len(args), nil
}

// InitCmd is Init with the arguments in one string, separated by white space.
func InitCmd(input string) (int, error) { return Init(strings.Fields(input)) }

// Stop releases what EAL holds. Devices must be closed before; no DPDK function may be called after.
func Stop() error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if eal.state != running {
		return common.New("rte_eal_cleanup", "", int(common.ErrNoConfig), "")
	}
	reply := make(chan error)
	eal.stop <- reply
	err := <-reply
	eal.log.close()
	eal.state = stopped
	return err
}

// Cleanup is go-dpdk's name for Stop.
func Cleanup() error { return Stop() }

// Started returns nil while EAL runs, else the error for a call that needs it.
func Started(call, device string) error {
	eal.mu.Lock()
	defer eal.mu.Unlock()
	if eal.state != running {
		return common.New(call, device, int(common.ErrNoConfig), "")
	}
	return nil
}

// Call runs one DPDK call and makes a failure, a negative result, the error that the caller sees: with the name of the
// call, the device, the errno and what DPDK logged as an error on this thread meanwhile. For the control path.
func Call(call, device string, fn func() int) error {
	_, err := CallInt(call, device, fn)
	return err
}

// CallInt is Call for calls whose result is a number.
func CallInt(call, device string, fn func() int) (int, error) {
	runtime.LockOSThread() // the record of failures belongs to the thread
	defer runtime.UnlockOSThread()
	C.netmapd_failure_clear()
	rc := fn()
	if rc < 0 {
		return rc, common.New(call, device, rc, C.GoString(C.netmapd_failure()))
	}
	return rc, nil
}

// IsNotStarted says whether err means that EAL does not run.
func IsNotStarted(err error) bool { return errors.Is(err, common.ErrNoConfig) }

// HasHugePages tells whether EAL runs on hugepages.
func HasHugePages() bool { return C.rte_eal_has_hugepages() != 0 }

// IOVAAsPhys tells whether devices address memory physically; otherwise they use our virtual addresses.
func IOVAAsPhys() bool { return C.rte_eal_iova_mode() == C.RTE_IOVA_PA }

// TSCHz is the frequency of the time-stamp counter in Hz, 0 before Start.
func TSCHz() uint64 { return uint64(C.rte_get_tsc_hz()) }

// Version is the version of the DPDK that is linked, for example "DPDK 22.11.11".
func Version() string { return C.GoString(C.rte_version()) }
