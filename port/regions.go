package port

import (
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// This file says which region a port lives in, whose it is, and who may use it
// (NC A.11).

// RegionSpec is a region that the configuration names. It exists as long as the
// daemon does, shared by all ports that live in it.
type RegionSpec struct {
	Name   string
	Params shm.Params
	Ports  []string // which ports live in it, unless their client names a memory id: patterns as of path.Match
	UIDs   []int    // who may use it; none means everybody
	Huge   bool     // of hugepages: see Config.GlobalHuge
}

// Extmem is memory that a client brings for a region (NC B.9.1).
type Extmem struct {
	File  *os.File      // as of shm.CreateIn; nil once it has been taken over
	Pools abi.PoolsInfo // the wish, and then what there is
}

// claim says whose a region is. The zero value is everybody's.
type claim struct {
	owned bool
	uid   int        // that made it
	bytes uint64     // as counted
	file  shm.FileID // of a client's memory
	kept  bool       // for the next daemon
}

// named is the configured region with a memory id, nil if that is none.
func (g *Registry) named(id uint16) *RegionSpec {
	if i := int(id) - int(abi.MemIDGlobal) - 1; i >= 0 && i < len(g.cfg.Regions) {
		return &g.cfg.Regions[i]
	}
	return nil
}

// regionByID finds the region with a memory id; nil when there is none. Shared
// ones are made when first used.
func (g *Registry) regionByID(id uint16) (*shm.Region, error) {
	if id == abi.MemIDGlobal {
		return g.globalRegion()
	}
	spec := g.named(id)
	if r := g.regions[id]; r != nil || spec == nil {
		return r, nil
	}
	geo, err := spec.Params.Plan()
	if err != nil {
		return nil, fmt.Errorf("region %s: %w: %w", spec.Name, unix.EINVAL, err)
	}
	return g.addRegion(shm.Options{ID: id, Name: spec.Name, Private: true, Huge: spec.Huge}, geo)
}

// mayName checks that a client may use the region that it names by its id: those
// that it made itself, or that are there to be shared. Who shares a region can
// read and write all of it.
func (g *Registry) mayName(who Caller, op, full string, id uint16) error {
	if id == 0 || id == abi.MemIDGlobal {
		return nil
	}
	spec := g.named(id)
	if spec == nil && g.regions[id] == nil {
		return refuse(op, full, unix.EINVAL, "memory id %d names no region", id)
	}
	switch c := g.claims[id]; {
	case maySet(who):
	case spec != nil && len(spec.UIDs) > 0 && !slices.Contains(spec.UIDs, who.UID):
		return refuse(op, full, unix.EACCES, "uid %d is not among the users of region %s (memory id %d) in the configuration (memory.regions)", who.UID, spec.Name, id)
	case c.owned && c.uid != who.UID:
		return refuse(op, full, unix.EACCES, "the region with memory id %d belongs to uid %d; regions to be shared between users are made in the configuration (memory.regions)", id, c.uid)
	}
	return nil
}

// placed is the memory id of the configured region that a port lives in, 0 for
// none. The first pattern that matches decides.
func (g *Registry) placed(full string) uint16 {
	for i := range g.cfg.Regions {
		for _, pattern := range g.cfg.Regions[i].Ports {
			if ok, err := path.Match(pattern, full); ok && err == nil {
				return abi.MemIDGlobal + 1 + uint16(i)
			}
		}
	}
	return 0
}

// regionFor finds the region for a new port: the one whose memory id the client
// named, or in which the configuration places the port; nil when neither says
// anything.
func (g *Registry) regionFor(who Caller, op, full string, id uint16) (*shm.Region, error) {
	if id == 0 {
		id = g.placed(full)
		if err := g.mayName(who, op, full, id); err != nil {
			return nil, err
		}
	}
	if id == 0 {
		return nil, nil
	}
	r, err := g.regionByID(id)
	if err != nil {
		return nil, refuse(op, full, unix.ENOMEM, "%v", err)
	}
	return r, nil
}

// deviceRegion is the region of a port that is no client's: the global one,
// unless the configuration places it elsewhere.
func (g *Registry) deviceRegion(full string) (*shm.Region, error) {
	if id := g.placed(full); id != 0 {
		return g.regionByID(id)
	}
	return g.globalRegion()
}

// extmem makes the region of a client's memory, or finds it if the same memory
// is one already, whatever is wished then (NC B.9.1). It is retained.
func (g *Registry) extmem(who Caller, full string, x *Extmem) (r *shm.Region, err error) {
	const op = "register with memory of the client's"
	file, err := shm.IDOf(x.File)
	if err != nil {
		return nil, refuse(op, full, unix.EINVAL, "%v", err)
	}
	for id, have := range g.regions {
		if c := g.claims[id]; c.file == file {
			r = have
		} else if same, err := shm.IDOf(have.File()); err == nil && same == file {
			return nil, refuse(op, full, unix.EINVAL, "the memory is that of region %s already", have.Name())
		}
	}
	if r == nil {
		f := x.File
		x.File = nil
		r, err = g.ownRegion(who, x.Pools.MemSize, claim{file: file}, func(id uint16) (*shm.Region, error) {
			return shm.CreateIn(shm.Options{ID: id, Name: "extmem:" + full, Private: true}, f, x.Pools)
		})
		if err != nil {
			_ = f.Close() // unless CreateIn did
			return nil, refuseFor(op, full, err)
		}
	}
	size := x.Pools.MemSize
	x.Pools = r.PoolsInfo()
	x.Pools.MemSize = size
	r.Retain()
	return r, nil
}

// privateRegion makes the region of one VALE port.
func (g *Registry) privateRegion(who Caller, name string, s shm.PortShape) (*shm.Region, error) {
	geo, err := s.AtLeast(g.params.private()).Plan()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", unix.ENOMEM, err)
	}
	return g.ownRegion(who, geo.Size(), claim{}, func(id uint16) (*shm.Region, error) {
		return shm.Create(shm.Options{ID: id, Name: name, Private: true, Huge: slices.Contains(g.cfg.HugeUIDs, who.UID)}, geo)
	})
}

// ownRegion makes a region that belongs to a user, and counts it.
func (g *Registry) ownRegion(who Caller, size uint64, c claim, create func(id uint16) (*shm.Region, error)) (*shm.Region, error) {
	if has := g.userBytes(who.UID); g.cfg.UserBytes > 0 && has+size > g.cfg.UserBytes {
		return nil, fmt.Errorf("uid %d needs a region of %d bytes and has %d of the %d that it may have; raise limits.memory-mb-per-uid, or close ports: %w", who.UID, size, has, g.cfg.UserBytes, unix.ENOMEM)
	}
	id := g.freeMemID()
	if id == 0 {
		return nil, fmt.Errorf("all %d memory ids are taken: %w", len(g.regions), unix.ENOMEM)
	}
	r, err := create(id)
	if err != nil {
		return nil, err
	}
	c.uid, c.owned, c.bytes = who.UID, true, size
	g.regions[id], g.claims[id] = r, c
	return r, nil
}

func (g *Registry) userBytes(uid int) (n uint64) {
	for _, c := range g.claims {
		if c.owned && c.uid == uid {
			n += c.bytes
		}
	}
	return n
}

// freeMemID is the lowest free id following the last one given (NC A.11), 0 when
// all are taken.
func (g *Registry) freeMemID() uint16 {
	reserved := abi.MemIDGlobal + uint16(len(g.cfg.Regions))
	for range 1 << 16 {
		g.nextMem++
		if g.nextMem <= reserved {
			g.nextMem = reserved + 1
		}
		if g.regions[g.nextMem] == nil {
			return g.nextMem
		}
	}
	return 0
}

// globalRegion is the region that NIC-like ports share, made when first used.
// Without a port in it, it is made again if the parameters have changed (NC A.11).
func (g *Registry) globalRegion() (*shm.Region, error) {
	geo, err := g.globalGeometry()
	if err != nil {
		return nil, err
	}
	old := g.regions[abi.MemIDGlobal]
	if old != nil && old.Geometry() == geo {
		return old, nil
	}
	r, err := g.addRegion(shm.Options{ID: abi.MemIDGlobal, Name: "global", Huge: g.cfg.GlobalHuge}, geo)
	if err == nil && old != nil {
		delete(g.sweep, old.ID())
		delete(g.untidy, old.ID())
		_ = old.Close() // the lcores were quiesced before its last port left it
	}
	return r, err
}

// globalGeometry is that of the global region while ports live in it, and
// otherwise what the parameters make of the next one.
func (g *Registry) globalGeometry() (shm.Geometry, error) {
	if r := g.regions[abi.MemIDGlobal]; r != nil && r.Users() > 0 {
		return r.Geometry(), nil
	}
	geo, err := g.params.global().Plan()
	if err != nil {
		return geo, fmt.Errorf("global region: %w: %w", unix.EINVAL, err)
	}
	return geo, nil
}

func (g *Registry) addRegion(o shm.Options, geo shm.Geometry) (*shm.Region, error) {
	r, err := shm.Create(o, geo)
	if err != nil {
		return nil, err
	}
	g.regions[o.ID] = r
	return r, nil
}

// dropRegion notes that a port left its region. Private regions go with their
// last port; the others stay, reset. The lcores have been quiesced.
func (g *Registry) dropRegion(r *shm.Region) {
	if !r.Release() {
		return
	}
	id := r.ID()
	if !g.claims[id].owned {
		r.Reset()
		return
	}
	if g.claims[id].kept {
		g.unput(id, "region", "control", "claim")
	}
	delete(g.regions, id)
	delete(g.claims, id)
	delete(g.sweep, id)
	delete(g.untidy, id)
	_ = r.Discard()
}

// sweepInterval lies between two looks for lost buffers at least: a live client
// may hold a buffer in neither slot nor list for a moment (shm.Region.Sweep).
const sweepInterval = 3 * time.Second

func (g *Registry) sweepRegions() {
	for id, r := range g.regions {
		if !g.untidy[id] && len(g.sweep[id]) == 0 {
			continue
		}
		delete(g.untidy, id)
		var n int
		if g.sweep[id], n = r.Sweep(g.sweep[id]); n > 0 {
			g.log.Info("orphaned buffers reclaimed", "region", r.Name(), "buffers", n)
		}
	}
}
