//go:build !amd64

package abi

func prefetchw(*uint64) {}

func prefetch(*uint64) {}
