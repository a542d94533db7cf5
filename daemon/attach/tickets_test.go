package attach

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestTickets(t *testing.T) {
	const uid = 1000
	for _, c := range []struct {
		name  string
		wait  time.Duration
		uid   uint32
		flip  bool // present another token
		errno unix.Errno
		text  string
	}{
		{"at once", 0, uid, false, 0, ""},
		{"at the last moment", TicketLife, uid, false, 0, ""},
		{"too late", TicketLife + 5*time.Millisecond, uid, false, unix.ETIMEDOUT, "expired 5ms ago; tickets live for 10s"},
		{"by another user", 0, uid + 1, false, unix.EACCES, "issued to uid 1000, presented by uid 1001"},
		{"by root", 0, 0, false, unix.EACCES, "presented by uid 0"},
		{"a guess", 0, uid, true, unix.ENOENT, "unknown, or used before"},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1_700_000_000, 0)
			k := NewTickets()
			k.now = func() time.Time { return now }
			token, expires, err := k.Issue(Ticket{UID: uid, Name: "vale0:x"})
			must(t, err)
			if want := now.Add(TicketLife); !expires.Equal(want) {
				t.Errorf("expires at %v, want %v", expires, want)
			}
			now = now.Add(c.wait)
			given := token
			if c.flip {
				given[3] ^= 1
			}
			got, err := k.Redeem(given, c.uid)
			if c.errno == 0 {
				if err != nil || got.Name != "vale0:x" {
					t.Errorf("ticket %+v, %v", got, err)
				}
			} else if !errors.Is(err, c.errno) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v, want %v and %q", err, c.errno, c.text)
			}
			if _, err := k.Redeem(given, uid); !errors.Is(err, unix.ENOENT) {
				t.Errorf("a second time: %v, want ENOENT", err)
			}
		})
	}
}

// Tickets that nobody redeems are bounded, and make room when they expire.
func TestTicketsBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	k := NewTickets()
	k.now = func() time.Time { return now }
	seen := map[[16]byte]bool{}
	for range maxTickets {
		token, _, err := k.Issue(Ticket{})
		must(t, err)
		if seen[token] {
			t.Fatal("a token came twice")
		}
		seen[token] = true
	}
	if _, _, err := k.Issue(Ticket{}); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("one too many: %v, want EAGAIN", err)
	}
	now = now.Add(TicketLife + 1)
	if _, _, err := k.Issue(Ticket{}); err != nil {
		t.Errorf("all have expired: %v", err)
	}
	if len(k.m) != 1 {
		t.Errorf("%d tickets are kept, want the new one", len(k.m))
	}
}
