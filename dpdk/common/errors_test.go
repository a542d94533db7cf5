package common

import (
	"errors"
	"syscall"
	"testing"
)

func TestErrorNamesCallDeviceAndCause(t *testing.T) {
	tests := []struct {
		name string
		err  *Error
		want string
		is   error
	}{
		{
			"negative errno", New("rte_dev_probe", "net_null0", -int(syscall.ENODEV), ""),
			"dpdk: rte_dev_probe net_null0: no such device", syscall.ENODEV,
		},
		{
			"positive errno", New("rte_thread_register", "", int(syscall.ENOMEM), ""),
			"dpdk: rte_thread_register: cannot allocate memory", syscall.ENOMEM,
		},
		{
			"with what DPDK logged", New("rte_eal_init", "", -int(syscall.EINVAL), " EAL: bad\n"),
			"dpdk: rte_eal_init: invalid argument (EAL: bad)", syscall.EINVAL,
		},
		{"DPDK's own errno", New("x", "y", -1002, ""), "dpdk: x y: EAL is not initialised", ErrNoConfig},
		{"no errno", New("x", "", 0, ""), "dpdk: x: failed without an error number", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.err.Error(); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if tt.is != nil && !errors.Is(tt.err, tt.is) {
				t.Errorf("errors.Is(err, %v) is false", tt.is)
			}
		})
	}
}
