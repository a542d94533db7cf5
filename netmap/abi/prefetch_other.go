//go:build !amd64

package abi

func prefetchw(*uint64) {}
