package ethdev

/*
#include "shim.h"
*/
import "C"

import "strconv"

// GoStats are the counters that every driver has, since the port was created or its statistics were reset.
type GoStats struct {
	Ipackets, Opackets uint64 // frames
	Ibytes, Obytes     uint64 // bytes, without checksum
	Imissed            uint64 // frames the hardware dropped because nobody took them
	Ierrors, Oerrors   uint64 // frames in error
	RxNoMbuf           uint64 // frames lost because the pool was empty
}

// StatsGet reads the counters.
func (p Port) StatsGet() (GoStats, error) {
	var s C.struct_rte_eth_stats
	err := p.call("rte_eth_stats_get", func(id C.uint16_t) C.int { return C.rte_eth_stats_get(id, &s) })
	return GoStats{
		Ipackets: uint64(s.ipackets), Opackets: uint64(s.opackets), Ibytes: uint64(s.ibytes), Obytes: uint64(s.obytes),
		Imissed: uint64(s.imissed), Ierrors: uint64(s.ierrors), Oerrors: uint64(s.oerrors), RxNoMbuf: uint64(s.rx_nombuf),
	}, err
}

// StatsReset sets the counters to 0.
func (p Port) StatsReset() error {
	return p.call("rte_eth_stats_reset", func(id C.uint16_t) C.int { return C.rte_eth_stats_reset(id) })
}

// Xstat is a counter that only some drivers have.
type Xstat struct {
	Name  string // for example "rx_q0_packets"
	Value uint64
}

// XstatsGet reads all counters of the driver, with their names.
func (p Port) XstatsGet() ([]Xstat, error) {
	var n C.int
	err := p.call("rte_eth_xstats_get_names", func(id C.uint16_t) C.int {
		n = C.rte_eth_xstats_get_names(id, nil, 0)
		return n
	})
	if err != nil || n == 0 {
		return nil, err
	}
	names := make([]C.struct_rte_eth_xstat_name, n)
	values := make([]C.struct_rte_eth_xstat, n)
	err = p.call("rte_eth_xstats_get", func(id C.uint16_t) C.int {
		if rc := C.rte_eth_xstats_get_names(id, &names[0], C.uint(n)); rc < 0 {
			return rc
		}
		rc := C.rte_eth_xstats_get(id, &values[0], C.uint(n))
		n = min(n, rc)
		return rc
	})
	if err != nil {
		return nil, err
	}
	out := make([]Xstat, 0, n)
	for _, v := range values[:n] {
		if int(v.id) < len(names) {
			out = append(out, Xstat{C.GoString(&names[v.id].name[0]), uint64(v.value)})
		}
	}
	return out, nil
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }
