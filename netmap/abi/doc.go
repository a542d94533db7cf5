// Package abi holds netmap's frozen memory and request layouts and netmapd's
// own sync block, with views over mapped memory that check every index.
//
// The layouts are those of netmap API version 14 on Linux x86-64, as measured
// in NC (docs of the project's contract, sections A and B). Golden tests
// compare each offset and size with a C program compiled from the project's
// own header, clib/include/net/netmap.h.
//
// A view never trusts what it reads: shared memory is written by clients at
// any moment, so each value is loaded once, checked, and then used. What a view
// itself holds (base address, counts, sizes) lives in private memory.
package abi
