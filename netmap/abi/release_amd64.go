//go:build amd64 && !race

package abi

// On this architecture each store is a release: whoever sees it sees all stores before it. Those of package
// sync/atomic are more, a full barrier, which waits until all earlier stores have left the CPU: 100 ns and more where
// these are to buffers that another CPU had last. What is published to another process needs it only where the
// publisher then looks whether the other sleeps, and there once for any number of stores: Fence.

func release32(p *uint32, v uint32) { *p = v }
func release64(p *uint64, v uint64) { *p = v }
