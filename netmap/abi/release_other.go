//go:build !amd64 || race

package abi

import "sync/atomic"

// Elsewhere, and for the race detector, the stores are sequentially consistent with each other and with all loads.

func release32(p *uint32, v uint32) { atomic.StoreUint32(p, v) }
func release64(p *uint64, v uint64) { atomic.StoreUint64(p, v) }

// Fence is a full barrier: what was published before it is seen by whoever armed a ring before what is loaded after
// it.
func Fence() {}
