package sysfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrDefaultRoute refuses to take away the interface that the machine is reached by.
var ErrDefaultRoute = errors.New("it carries the default route")

// Bind gives a NIC to a driver, and to no other one until Unbind or the next boot. It returns what the NIC is like then.
func (t Tree) Bind(address, driver string, force bool) (Device, error) {
	d, err := t.NIC(address)
	if err != nil {
		return d, err
	}
	what := fmt.Sprintf("bind %s to %s", d.Address, driver)
	if d.Driver == driver {
		return d, nil
	}
	if err := t.bindable(d, driver, force); err != nil {
		return d, fmt.Errorf("%s: %w", what, err)
	}
	if err := t.change(d, driver); err != nil {
		// Better the old driver than none.
		return d, errors.Join(fmt.Errorf("%s: %w", what, err), t.change(d, ""))
	}
	now, err := t.NIC(d.Address)
	if err == nil && now.Driver != driver {
		err = fmt.Errorf("%s: %s did not take it (the driver in charge is %q; the kernel's log says more: dmesg | tail)", what, driver, now.Driver)
		err = errors.Join(err, t.change(now, ""))
	}
	return now, err
}

// bindable says why a driver cannot have a NIC, and what to do.
func (t Tree) bindable(d Device, driver string, force bool) error {
	if d.DefaultRoute != "" && !force {
		return fmt.Errorf("%w (interface %s); without it this machine may be out of reach: --force does it all the same", ErrDefaultRoute, d.DefaultRoute)
	}
	if t.Busy(d) {
		return t.errBusy(d)
	}
	if !t.Exists(filepath.Join("sys/bus/pci/drivers", driver)) {
		return fmt.Errorf("the kernel has no such driver now; load it: modprobe %s", driver)
	}
	if driver == VFIO && d.IOMMUGroup == "" && t.Text("sys/module/vfio/parameters/enable_unsafe_noiommu_mode") != "Y" {
		return fmt.Errorf("it is in no IOMMU group, and VFIO needs one; switch the IOMMU on (nmctl doctor says how), or bind it to %s", UIO)
	}
	return nil
}

func (t Tree) errBusy(d Device) error {
	return fmt.Errorf("a program uses it (/dev/vfio/%s is open); delete its port or stop netmapd first", d.IOMMUGroup)
}

// Unbind gives a NIC back to the driver that the kernel would have chosen. It returns what the NIC is like then.
func (t Tree) Unbind(address string) (Device, error) {
	d, err := t.NIC(address)
	if err != nil {
		return d, err
	}
	if d.Driver != "" && !IsUserDriver(d.Driver) {
		return d, nil // never bound, or bound back
	}
	if t.Busy(d) {
		return d, fmt.Errorf("unbind %s: %w", d.Address, t.errBusy(d))
	}
	if err := t.change(d, ""); err != nil {
		return d, fmt.Errorf("unbind %s: %w", d.Address, err)
	}
	return t.NIC(d.Address)
}

// change takes a device from its driver and has the kernel choose anew: driver, or any that fits when that is "".
func (t Tree) change(d Device, driver string) error {
	if err := t.tell(t.device(d.Address, "driver_override"), driver+"\n"); err != nil {
		return err
	}
	if now := t.link(d.Address, "driver"); now != "" {
		if err := t.tell(t.path("sys/bus/pci/drivers", now, "unbind"), d.Address); err != nil {
			return err
		}
	}
	return t.tell(t.path("sys/bus/pci/drivers_probe"), d.Address)
}

func (t Tree) tell(path, text string) error {
	if t.write != nil {
		return t.write(path, text)
	}
	err := os.WriteFile(path, []byte(text), 0)
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w; run it as root", err)
	}
	return err
}
