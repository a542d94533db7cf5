package ethdev

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leftovers are descriptors that a driver opened, by number, with what identifies them.
//
// The af_xdp driver of DPDK 22.11 counts the users of its memory wrongly when it is closed: its socket stays open, and with
// it the binding to the interface's queue, so the interface could not be attached again (EBUSY); the library below it
// keeps a map and a program too. We close them in its place.
type leftovers map[int]string

// newLeftovers are the XDP sockets, maps and programs that were opened since before was taken. In this process only
// drivers open such, one at a time.
func newLeftovers(before map[int]string) leftovers {
	l := leftovers{}
	for fd, target := range openFDs() {
		xdp := strings.HasPrefix(target, bpfMap) || strings.HasPrefix(target, bpfProg) || domain(fd) == unix.AF_XDP
		if xdp && before[fd] != target {
			l[fd] = target
		}
	}
	return l
}

// close closes those that are still what they were.
func (l leftovers) close() {
	for fd, target := range l {
		if fdTarget(fd) == target {
			_ = unix.Close(fd) // nothing was written to it
		}
	}
}

// What the kernel calls descriptors of BPF.
const (
	bpfMap  = "anon_inode:bpf-map"
	bpfProg = "anon_inode:bpf-prog"
)

// fdTarget is what a descriptor refers to, unlike that of any other of its kind; empty if it is not open.
func fdTarget(fd int) string {
	target, err := os.Readlink(filepath.Join("/proc/self/fd", strconv.Itoa(fd)))
	if err != nil {
		return ""
	}
	if target == bpfMap || target == bpfProg {
		target += " " + bpfID(fd)
	}
	return target
}

// bpfID is the kernel's number of a BPF map or program.
func bpfID(fd int) string {
	b, err := os.ReadFile(filepath.Join("/proc/self/fdinfo", strconv.Itoa(fd)))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && (k == "map_id" || k == "prog_id") {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
