// Package common holds what the DPDK bindings share: the error that every failed DPDK call becomes.
package common

import (
	"strings"
	"syscall"
)

// Error is a failed DPDK call. It wraps its Errno, so errors.Is(err, syscall.ENODEV) works.
type Error struct {
	Call   string        // the C function, for example "rte_eth_dev_start"
	Device string        // the device or object it was called for, for example "net_null0"; empty if none
	Errno  syscall.Errno // what it returned, positive; 0 if it failed without saying why
	Detail string        // what DPDK logged as an error meanwhile, or what we know about the cause; may be empty
}

// Errno values that only DPDK has (rte_errno.h).
const (
	ErrSecondary syscall.Errno = 1001 // the operation is not allowed in a secondary process
	ErrNoConfig  syscall.Errno = 1002 // EAL was not initialised
)

// Error names the call, the device and the errno's text.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("dpdk: ")
	b.WriteString(e.Call)
	if e.Device != "" {
		b.WriteString(" ")
		b.WriteString(e.Device)
	}
	b.WriteString(": ")
	b.WriteString(errnoText(e.Errno))
	if e.Detail != "" {
		b.WriteString(" (")
		b.WriteString(e.Detail)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// New makes the error of a call that returned rc. DPDK functions return a negative errno; some return -1 and leave the
// errno in rte_errno, and their callers pass -rte_errno. A positive rc is taken as the errno itself.
func New(call, device string, rc int, detail string) *Error {
	if rc < 0 {
		rc = -rc
	}
	return &Error{Call: call, Device: device, Errno: syscall.Errno(rc), Detail: strings.TrimSpace(detail)}
}

func errnoText(e syscall.Errno) string {
	switch e {
	case 0:
		return "failed without an error number"
	case ErrSecondary:
		return "not allowed in a secondary process"
	case ErrNoConfig:
		return "EAL is not initialised"
	}
	return e.Error()
}
