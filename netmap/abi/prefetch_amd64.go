package abi

// prefetchw asks for a cache line that will be written.
//
//go:noescape
func prefetchw(p *uint64)

// prefetch asks for a cache line that will be read.
//
//go:noescape
func prefetch(p *uint64)
