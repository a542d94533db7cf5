package main

import (
	"regexp"
	"testing"

	"github.com/netmapd/netmapd/daemon/control/controltest"
	"github.com/netmapd/netmapd/port"
)

// when3 is the time of an event in any format.
var when3 = regexp.MustCompile(`"?\d{4}-\d\d-\d\d[T ][0-9:.]+Z?"?`)

func TestEventView(t *testing.T) {
	_, dir := start(t, controltest.State{Events: []port.Event{
		{Kind: port.EventOpened, Port: "vale0:gen", By: port.Caller{PID: 100, UID: 1000, Command: "pkt-gen"}},
		{Kind: port.EventAttached, Port: "eth0", Switch: "vale0"},
		{Kind: port.EventConfigApplied},
	}})
	for _, format := range formats {
		got := mustRun(t, dir, "event watch --count 3 -o "+format)
		golden(t, "event-watch."+format, when3.ReplaceAllString(got, "TIME"))
	}
}
