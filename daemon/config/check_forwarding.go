package config

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// minAgeing is the shortest time that ageing works with.
const minAgeing = 10 * time.Second

// forwarding checks what a switch is told about addresses and its ports.
func (k *checker) forwarding(key string, s Switch) {
	switch {
	case s.Compat && k.given(key+".ageing") && s.Ageing != 0:
		k.report(key+".ageing", "a switch with compat never forgets; leave it out")
	case s.Ageing != 0 && s.Ageing < minAgeing:
		k.report(key+".ageing", "expected 0s or at least %v, found %v", minAgeing, s.Ageing)
	}
	attached := func(at, port string) {
		if port != "" && !slices.Contains(s.Ports, port) && !slices.Contains(s.Ports, port+"*") {
			k.report(at, "%q is no port of the switch; %s.ports lists those it has", port, key)
		}
	}
	macs, ports := make(first[string]), make(first[string])
	for i, a := range s.Static {
		at := fmt.Sprintf("%s.static[%d]", key, i)
		attached(at+".port", a.Port)
		hw, err := net.ParseMAC(a.MAC)
		if err != nil || len(hw) != 6 || hw[0]&1 != 0 {
			k.report(at+".mac", "%q is no address of a station; write for example 02:00:00:00:00:01", a.MAC)
		} else if before := macs.taken(hw.String(), at); before != "" {
			k.report(at+".mac", "%q is pinned by %s; an address has one place", a.MAC, before)
		}
	}
	for i, o := range s.Options {
		at := fmt.Sprintf("%s.options[%d]", key, i)
		attached(at+".port", o.Port)
		if before := ports.taken(o.Port, at); before != "" && o.Port != "" {
			k.report(at+".port", "%q has its options in %s; put them together", o.Port, before)
		}
	}
}
