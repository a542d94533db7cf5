// Package access decides who may do what: peers of the Unix sockets, known by the credentials that the kernel gives,
// and peers of the TCP listener, known by their certificate, are matched against the rules of the configuration.
//
// Root and the user that the daemon runs as may do everything. Everybody else may do what some rule grants, and
// nothing else.
package access

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/name"
)

// Verb is a kind of thing to do.
type Verb string

// The verbs that rules grant.
const (
	View       Verb = "view"       // ask what there is, and for counters
	Attach     Verb = "attach"     // open a port, and use it
	Monitor    Verb = "monitor"    // see the traffic of others: monitors, capture
	Administer Verb = "administer" // change ports, switches, parameters and the configuration
)

// Identity is who asks. The zero value is nobody.
type Identity struct {
	Local       bool // a peer of a Unix socket: UID and Groups hold
	UID         int
	Groups      []int  // the primary one first
	PID         int    // for messages
	Certificate string // common name of the verified certificate of a TCP peer
}

// String names the peer in messages.
func (id Identity) String() string {
	switch {
	case id.Local:
		return fmt.Sprintf("uid %d (pid %d)", id.UID, id.PID)
	case id.Certificate != "":
		return fmt.Sprintf("the holder of certificate %q", id.Certificate)
	}
	return "a peer of unknown identity"
}

// Rule grants verbs on ports to peers; those of one rule are alternatives.
type Rule struct {
	UIDs         []int
	GIDs         []int
	Certificates []string
	Verbs        []Verb
	Ports        []string // patterns of path.Match over the names of ports and switches; none means all
}

// names says whether the rule is about the peer.
func (r *Rule) names(id Identity) bool {
	if !id.Local {
		return id.Certificate != "" && slices.Contains(r.Certificates, id.Certificate)
	}
	return slices.Contains(r.UIDs, id.UID) ||
		slices.ContainsFunc(id.Groups, func(g int) bool { return slices.Contains(r.GIDs, g) })
}

// covers says whether the rule is about the object. A pipe is covered by a pattern for what it hangs on.
func (r *Rule) covers(object string) bool {
	if len(r.Ports) == 0 {
		return true
	}
	names := []string{object}
	for core, err := name.ParseCore(object); err == nil && core.Parent != nil; core = *core.Parent {
		names = append(names, core.Parent.Name)
	}
	for _, pattern := range r.Ports {
		for _, n := range names {
			// A port may be called anything, and a slash is nothing special there.
			if ok, err := path.Match(pattern, strings.ReplaceAll(n, "/", "_")); err == nil && ok {
				return true
			}
		}
	}
	return false
}

// Policy is a set of rules. It does not change.
type Policy struct {
	Owner int // the daemon's own user
	Rules []Rule
}

// Denied is a refusal. It is an EACCES to a netmap program.
type Denied struct {
	Who    Identity
	Verb   Verb
	Object string // name of a port or switch, "" for the system
}

// Error says what to do about it.
func (d *Denied) Error() string {
	what := string(d.Verb)
	if d.Object != "" {
		what += " " + short(d.Object)
	}
	return fmt.Sprintf("%s may not %s: no rule under access.rules in netmapd's configuration grants it; an administrator can add one", d.Who, what)
}

// Unwrap gives the errno.
func (d *Denied) Unwrap() error { return unix.EACCES }

// Check returns nil when the peer may do it, else a [*Denied]. An object of "" is the system as a whole: to view, attach
// or monitor there takes the right to do it to anything at all, but to administer it takes a rule without patterns.
func (p *Policy) Check(id Identity, v Verb, object string) error {
	if id.Local && (id.UID == 0 || id.UID == p.Owner) {
		return nil
	}
	for i := range p.Rules {
		r := &p.Rules[i]
		if slices.Contains(r.Verbs, v) && r.names(id) && (r.covers(object) || object == "" && v != Administer) {
			return nil
		}
	}
	return &Denied{Who: id, Verb: v, Object: object}
}

// Guard holds the policy in force, which a reload replaces.
type Guard struct {
	policy atomic.Pointer[Policy]
	log    *slog.Logger
}

// NewGuard makes a guard with a policy of the daemon's own user alone.
func NewGuard(log *slog.Logger) *Guard {
	g := &Guard{log: log}
	g.Set(&Policy{Owner: os.Geteuid()})
	return g
}

// Set puts a policy into force.
func (g *Guard) Set(p *Policy) { g.policy.Store(p) }

// Check is [Policy.Check] of the policy in force.
func (g *Guard) Check(id Identity, v Verb, object string) error {
	return g.policy.Load().Check(id, v, object)
}

// short bounds a name that a peer made up; no port or switch has a longer one.
func short(object string) string {
	const most = 255
	if len(object) > most {
		return object[:most] + "..."
	}
	return object
}

// Audit writes the line that each change and each refusal leaves in the log. A peer can be refused as often as
// it likes: the log is to be a limited one (package logs).
func (g *Guard) Audit(id Identity, action, object string, err error) {
	attrs := []any{"action", action, "object", short(object), "who", id.String()}
	switch {
	case err == nil:
		g.log.Info("audit", append(attrs, "result", "done")...)
	case errors.As(err, new(*Denied)):
		g.log.Warn("audit", append(attrs, "result", "denied")...)
	default:
		g.log.Info("audit", append(attrs, "result", "failed", "err", err)...)
	}
}
