package daemon

import (
	"fmt"

	"github.com/netmapd/netmapd/daemon/config"
	"github.com/netmapd/netmapd/port"
	"github.com/netmapd/netmapd/shm"
)

// regionSpecs are the configured regions as the registry takes them.
func regionSpecs(c *config.Config) (specs []port.RegionSpec, err error) {
	for i, r := range c.Memory.Regions {
		users, err := uids(r.Users)
		if err != nil {
			key := fmt.Sprintf("memory.regions[%d].users", i)
			return nil, fmt.Errorf("%s: %s: %w", c.Where(key), key, err)
		}
		specs = append(specs, port.RegionSpec{
			Name: r.Name, Ports: r.Ports, UIDs: users, Huge: r.Hugepages,
			Params: shm.Params{
				IfNum: uint32(r.IfNum), IfSize: shm.GlobalParams().IfSize, RingNum: uint32(r.RingNum), RingSize: uint32(r.RingSize),
				BufNum: uint32(r.BufNum), BufSize: uint32(r.BufSize),
			},
		})
	}
	return specs, nil
}

// userBytes is what the regions of one user may have together.
func userBytes(l config.Limits) uint64 { return uint64(l.MemoryMBPerUID) << 20 }
