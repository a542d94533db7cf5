package port

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/lcore"
	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/shm"
)

// will is what an earlier daemon left, as far as nobody has taken it yet. What lies
// in it was ours and was with the service manager since, so it is trusted as far as
// control memory is; what clients can write is not trusted at all.
type will struct {
	files    map[string]*os.File // by name (keep.go)
	names    []string            // what must be removed from the keeping unless it is taken
	sessions map[uint32]*Session
	heirs    []Heir
	refused  bool // nothing is taken over
}

// maxTries is how often a takeover is begun. A netmapd that dies of one would else
// die again and again.
const maxTries = 2

// Heir is a connection that an earlier daemon had: a session, or a descriptor that
// is bound. Whose it is, the connection itself tells.
type Heir struct {
	Conn     *os.File
	Session  *Session
	Token    uint64
	Desc     *Desc
	Register abi.Register // that Desc was bound with, as answered
}

// Inherit takes in what an earlier daemon left, before any port is made: sessions,
// and regions with their ids. Adopt does the rest. The registry owns the files.
func (g *Registry) Inherit(files []*os.File) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w := &will{files: map[string]*os.File{}, sessions: map[uint32]*Session{}}
	for _, f := range files {
		if w.files[f.Name()] != nil {
			_ = f.Close()
			continue
		}
		w.files[f.Name()] = f
		w.names = append(w.names, f.Name())
	}
	slices.Sort(w.names)
	g.will = w
	// No number is given twice, whether what has it can be taken over or not.
	for _, name := range w.names {
		what, id := splitKept(name)
		switch what {
		case "session", "kick", "token":
			g.nextSess = max(g.nextSess, uint32(id))
		case "desc", "conn", "wake", "hangup":
			g.nextDesc = max(g.nextDesc, id)
		case "port", "sync":
			g.nextPort = max(g.nextPort, id)
		}
	}
	if w.refused = !g.try(); w.refused {
		return
	}
	for _, id := range w.ids("session") {
		if err := g.inheritSession(uint32(id)); err != nil {
			g.log.Warn("a client of the netmapd before is not taken over", "err", err)
		}
	}
	for _, id := range w.ids("region") {
		if err := g.inheritRegion(uint16(id)); err != nil {
			g.log.Warn("a region of the netmapd before is not taken over", "err", err)
		}
	}
}

// try notes the beginning of a takeover, and says whether it may be tried.
func (g *Registry) try() bool {
	w := g.will
	g.tries = w.ids("try")
	for _, id := range g.tries {
		if f, err := w.take("try", id); err == nil {
			_ = f.Close()
		}
	}
	if len(g.tries) >= maxTries {
		g.log.Warn("nothing of the netmapd before is taken over: netmapd did not get ready with it", "tries", len(g.tries))
		return false
	}
	if len(w.files) > 0 {
		id := uint64(len(g.tries)) + 1
		g.putRecord("try", id, thisVersion)
		g.tries = append(g.tries, id)
	}
	return true
}

// TookOver ends a takeover: the daemon is ready.
func (g *Registry) TookOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, id := range g.tries {
		g.unput(id, "try")
	}
	g.tries = nil
}

// splitKept takes the first two parts of a name apart.
func splitKept(name string) (what string, id uint64) {
	parts := strings.Split(name, ".")
	if len(parts) > 1 {
		id, _ = strconv.ParseUint(parts[1], 10, 64) // 0 is no number of ours
	}
	return parts[0], id
}

// ids are the numbers of what is there of a kind, ascending.
func (w *will) ids(kind string) (ids []uint64) {
	for name := range w.files {
		if what, id := splitKept(name); what == kind && id != 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// take hands out what has a name.
func (w *will) take(what string, id any) (*os.File, error) {
	name := keptName(what, id)
	f := w.files[name]
	if f == nil {
		return nil, fmt.Errorf("%s was not kept", name)
	}
	delete(w.files, name)
	w.names = slices.DeleteFunc(w.names, func(n string) bool { return n == name })
	return f, nil
}

// untake puts a name back whose file is gone: nobody wants it kept.
func (w *will) untake(id any, whats ...string) {
	for _, what := range whats {
		w.names = append(w.names, keptName(what, id))
	}
}

// record reads a record and ends with it; it stays kept.
func (w *will) record(what string, id any, to interface{ judge() error }) error {
	f, err := w.take(what, id)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was read
	if err := shm.ReadRecord(f, to); err != nil {
		return err
	}
	return to.judge()
}

// number takes a file as a bare descriptor, -1 with an error.
func (w *will) number(what string, id any) (int, error) {
	f, err := w.take(what, id)
	if err != nil {
		return -1, err
	}
	defer f.Close() //nolint:errcheck // there is another
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("take over %s: %w", f.Name(), err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // Fd makes it a blocking one
		_ = unix.Close(fd)
		return -1, fmt.Errorf("take over %s: %w", f.Name(), err)
	}
	return fd, nil
}

func (g *Registry) inheritSession(id uint32) (err error) {
	w := g.will
	defer func() {
		if err != nil {
			err = fmt.Errorf("session %d: %w", id, err)
			w.untake(id, "session", "kick", "token")
		}
	}()
	var r sessionRecord
	if err := w.record("token", id, &r); err != nil {
		return err
	}
	kick, err := w.number("kick", id)
	if err != nil {
		return err
	}
	conn, err := w.take("session", id)
	if err != nil {
		_ = unix.Close(kick)
		return err
	}
	s := &Session{ID: id, Caller: r.Caller, kick: kick, lcores: map[*lcore.Lcore]struct{}{}}
	g.sessions[s] = struct{}{}
	w.sessions[id] = s
	w.heirs = append(w.heirs, Heir{Conn: conn, Session: s, Token: r.Token})
	return nil
}

func (g *Registry) inheritRegion(id uint16) (err error) {
	w := g.will
	defer func() {
		if err != nil {
			err = fmt.Errorf("memory id %d: %w", id, err)
			w.untake(id, "region", "control", "claim")
		}
	}()
	var rec regionRecord
	if err := w.record("claim", id, &rec); err != nil {
		return err
	}
	if reserved := abi.MemIDGlobal + uint16(len(g.cfg.Regions)); id <= reserved {
		return fmt.Errorf("the configuration has regions with ids up to %d now", reserved)
	}
	data, err := w.take("region", id)
	if err != nil {
		return err
	}
	control, err := w.take("control", id)
	if err != nil {
		_ = data.Close()
		return err
	}
	r, err := shm.Adopt(data, control)
	if err != nil {
		return err
	}
	if r.ID() != id {
		_ = r.Close()
		return fmt.Errorf("the control memory is that of memory id %d", r.ID())
	}
	g.regions[id], g.nextMem = r, max(g.nextMem, id)
	g.claims[id] = claim{owned: true, uid: rec.UID, bytes: rec.Bytes, kept: true}
	return nil
}

// settle ends with what was left and nobody took: clients of ports that are not
// there any more are told.
func (g *Registry) settle() {
	w := g.will
	for name, f := range w.files {
		if what, _ := splitKept(name); what == "sync" {
			stopBlocks(f)
			continue
		}
		_ = unix.Shutdown(int(f.Fd()), unix.SHUT_RDWR) // should it be a socket
		go f.Close()                                   //nolint:errcheck // closing a socket takes as long as its client likes
	}
	if g.cfg.Keeper != nil {
		for _, name := range w.names {
			g.cfg.Keeper.Remove(name)
		}
	}
	g.will = nil
}

// stopBlocks tells the clients of a port that it is gone.
func stopBlocks(f *os.File) {
	blocks, err := shm.OpenFile(f)
	if err != nil {
		_ = f.Close()
		return
	}
	for i := 0; ; i++ {
		b, err := blocks.Mem().SyncBlock(i)
		if err != nil {
			break
		}
		b.SetState(abi.RingStopped)
	}
	_ = blocks.Close()
}
