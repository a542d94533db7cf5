package port_test

import (
	"fmt"
	"testing"

	"github.com/netmapd/netmapd/port"
)

func TestEvents(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	e := b.reg.Watch()
	b.close(b.open("vale0:a"))
	want := []port.EventKind{port.EventAttached, port.EventPortCreated, port.EventOpened, port.EventClosed, port.EventDetached, port.EventPortGone}
	for _, kind := range want {
		got := <-e.C
		if got.Kind != kind || got.Port != "vale0:a" || got.Time.IsZero() {
			t.Errorf("%+v, want %s", got, kind)
		}
		if kind == port.EventOpened && (got.By.PID != us.PID || got.By.UID != us.UID) {
			t.Errorf("opened by %+v", got.By)
		}
	}
	e.End()
	if _, ok := <-e.C; ok {
		t.Error("an event after the end")
	}
	e.End()
}

// Nobody waits for a subscriber that takes nothing; it loses the subscription, and
// what came before can be taken.
func TestEventsUnread(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	slow, quick := b.reg.Watch(), b.reg.Watch()
	defer quick.End()
	for i := range 1100 {
		b.reg.Announce(port.Event{Kind: port.EventLinkUp, Port: fmt.Sprint(i)})
		if got := <-quick.C; got.Port != fmt.Sprint(i) {
			t.Fatalf("event %d is %+v", i, got)
		}
	}
	n := 0
	for range slow.C {
		n++
	}
	if n != 1024 {
		t.Errorf("%d events before the end, want 1024", n)
	}
	slow.End()
}
