package vale

import "unsafe"

// Addr is the address of fragment i, for sinks that hand it to a device.
func (b *Batch) Addr(i int) unsafe.Pointer { return b.at(&b.Frags[i]) }
