package ethdev

/*
#include "events.h"
*/
import "C"

import (
	"os"
	"sync"

	"github.com/netmapd/netmapd/dpdk/eal"
)

var events struct {
	once sync.Once
	wake chan struct{}
	err  error
}

// Events starts listening to devices, once, and returns a channel that receives after something happened to one of them:
// its link changed, it was removed, or one was plugged in. With hotplug the kernel's device events are listened to as
// well, which takes a thread. What happened to which device tells Device.Happened.
func Events(hotplug bool) (<-chan struct{}, error) {
	events.once.Do(func() {
		events.wake = make(chan struct{}, 1)
		var fd int
		fd, events.err = eal.CallInt("rte_eth_dev_callback_register", "", func() int {
			return int(C.netmapd_events_start(C.int(btoi(hotplug))))
		})
		if events.err == nil {
			go listen(os.NewFile(uintptr(fd), "device events"))
		}
	})
	return events.wake, events.err
}

func listen(f *os.File) {
	var count [8]byte
	for {
		if _, err := f.Read(count[:]); err != nil {
			return // cannot be: nobody closes it
		}
		select {
		case events.wake <- struct{}{}:
		default: // told already
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Happened is what DPDK told of a device since the last call.
type Happened struct {
	Link    bool // the link changed
	Removed bool // the device is gone, or the kernel wants it back: close it
	Reset   bool // the device must be stopped and started again
}

// Happened takes what happened to the device. It needs Events.
func (d *Device) Happened() Happened {
	bits := C.netmapd_events_take(C.uint16_t(d.port))
	return Happened{
		Link: bits&C.NETMAPD_EVENT_LINK != 0, Removed: bits&C.NETMAPD_EVENT_REMOVED != 0, Reset: bits&C.NETMAPD_EVENT_RESET != 0,
	}
}
