package config

import (
	"fmt"
	"path"

	"github.com/netmapd/netmapd/netmap/abi"
)

func (k *checker) regions() {
	names := first[string]{"global": "memory.global"}
	for i, r := range k.Memory.Regions {
		key := fmt.Sprintf("memory.regions[%d]", i)
		if before := names.taken(r.Name, key); before != "" && r.Name != "" {
			k.report(key+".name", "%q is the name of %s; names are unique", r.Name, before)
		}
		if r.Name == "" && k.given(key+".name") {
			k.report(key+".name", "a region has a name; write for example video")
		}
		for j, pattern := range r.Ports {
			if _, err := path.Match(pattern, ""); err != nil {
				k.report(fmt.Sprintf("%s.ports[%d]", key, j), "%q is no shell pattern: a [ without its ] or a \\ at the end; write for example vale0:*", pattern)
			}
		}
		if r.RingSize%abi.RingAlign != 0 {
			k.report(key+".ring-size", "%d is no multiple of %d bytes; use %d", r.RingSize, abi.RingAlign, (r.RingSize+abi.RingAlign-1)/abi.RingAlign*abi.RingAlign)
		}
	}
}

// ringSize is the size of the rings of the region that a port lives in, and the
// key that says so.
func (k *checker) ringSize(port string) (size int, key string) {
	for i, r := range k.Memory.Regions {
		for _, pattern := range r.Ports {
			if ok, _ := path.Match(pattern, port); ok {
				return r.RingSize, fmt.Sprintf("memory.regions[%d].ring-size", i)
			}
		}
	}
	return k.Memory.Global.RingSize, "memory.global.ring-size"
}
