package shm

import (
	"fmt"
	"runtime/debug"
)

// Touch runs fn, which looks at the region's shared memory outside an lcore. Of a
// region of hugepages a client can take pages away, and with none left to replace
// them the next access is a SIGBUS: an error here, not the end of the daemon.
func (r *Region) Touch(fn func()) (err error) {
	return touch("region "+r.name, fn)
}

func touch(what string, fn func()) (err error) {
	defer faults(what, &err)()
	fn()
	return nil
}

// faults is deferred as r.faults(&err)() and turns a fault into an error.
func (r *Region) faults(err *error) func() { return faults("region "+r.name, err) }

func faults(what string, err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		v := recover()
		if v == nil {
			return
		}
		if _, fault := v.(interface{ Addr() uintptr }); !fault {
			panic(v)
		}
		*err = fmt.Errorf("%s: its memory cannot be used any more: %v", what, v)
	}
}
