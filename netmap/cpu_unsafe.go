package netmap

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// currentCPU is the CPU that the calling thread runs on, -1 if the system does
// not tell.
func currentCPU() int {
	var cpu uint32
	if _, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0); errno != 0 {
		return -1
	}
	return int(cpu)
}

// yieldCPU lets other threads that wait for this CPU run.
func yieldCPU() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
