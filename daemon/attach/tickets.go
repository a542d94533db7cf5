package attach

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
)

// TicketLife is how long a ticket can be redeemed.
const TicketLife = 10 * time.Second

// maxTickets bounds what callers of the API can leave behind unredeemed.
const maxTickets = 4096

// Ticket is a registration that a caller of the API asked for and that the
// attach socket carries out, since gRPC cannot pass descriptors.
type Ticket struct {
	UID      uint32 // only this uid may redeem it
	Name     string // core name (NC C.5)
	Register abi.Register
	expires  time.Time
}

// Tickets are the tickets not yet redeemed.
type Tickets struct {
	mu  sync.Mutex
	m   map[[16]byte]Ticket
	now func() time.Time
}

// NewTickets makes an empty set.
func NewTickets() *Tickets {
	return &Tickets{m: map[[16]byte]Ticket{}, now: time.Now}
}

// Issue stores a ticket under a new random token.
func (t *Tickets) Issue(k Ticket) (token [16]byte, expires time.Time, err error) {
	if _, err := rand.Read(token[:]); err != nil {
		return token, expires, fmt.Errorf("draw a ticket: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for tok, old := range t.m {
		if now.After(old.expires) {
			delete(t.m, tok)
		}
	}
	if len(t.m) >= maxTickets {
		return token, expires, fmt.Errorf("issue ticket: %d are waiting to be redeemed, no more are given out: %w", len(t.m), unix.EAGAIN)
	}
	k.expires = now.Add(TicketLife)
	t.m[token] = k
	return token, k.expires, nil
}

// Redeem takes a ticket out. Whoever presents it, it is gone afterwards.
func (t *Tickets) Redeem(token [16]byte, uid uint32) (Ticket, error) {
	t.mu.Lock()
	k, ok := t.m[token]
	delete(t.m, token)
	now := t.now()
	t.mu.Unlock()
	switch {
	case !ok:
		return k, fmt.Errorf("redeem ticket: unknown, or used before: %w", unix.ENOENT)
	case now.After(k.expires):
		return k, fmt.Errorf("redeem ticket: expired %v ago; tickets live for %v: %w", now.Sub(k.expires).Round(time.Millisecond), TicketLife, unix.ETIMEDOUT)
	case k.UID != uid:
		return k, fmt.Errorf("redeem ticket: it was issued to uid %d, presented by uid %d: %w", k.UID, uid, unix.EACCES)
	}
	return k, nil
}
