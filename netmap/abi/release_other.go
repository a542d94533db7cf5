//go:build !amd64 || race

package abi

import "sync/atomic"

// Elsewhere, and for the race detector, which wants to see each of them.

func release32(p *uint32, v uint32) { atomic.StoreUint32(p, v) }
func release64(p *uint64, v uint64) { atomic.StoreUint64(p, v) }
