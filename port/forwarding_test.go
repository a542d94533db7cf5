package port_test

import (
	"context"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/port"
	vale "github.com/netmapd/netmapd/switch"
)

// The table that a switch learns is shown by port names, changed at run time,
// and a trace says where frames do go.
func TestForwarding(t *testing.T) {
	b := newBed(t, 1, port.Config{})
	ctx := context.Background()
	_, err := b.reg.CreateSwitch(ctx, port.SwitchSpec{Name: "vale0"})
	must(t, err)
	one, two := b.open("vale0:one"), b.open("vale0:two")
	alice, bob := vale.MAC{2, 0, 0, 0, 0, 1}, vale.MAC{2, 0, 0, 0, 0, 2}
	send := func(d *netmap.Desc, dst, src vale.MAC) {
		t.Helper()
		f := make([]byte, 60)
		copy(f, dst[:])
		copy(f[6:], src[:])
		if !d.TxRings()[0].Send(f) {
			t.Fatal("no room to send")
		}
		must(t, d.Flush(limited(t)))
	}
	send(one, bob, alice)
	send(two, alice, bob)
	list, table, err := b.reg.Addresses(ctx, "vale0", "")
	must(t, err)
	if len(list) != 2 || list[0].MAC != alice || list[0].Port != "vale0:one" || list[1].Port != "vale0:two" || table.Used != 2 || table.Age != 300*time.Second {
		t.Errorf("addresses %+v in %+v", list, table)
	}
	tr, err := b.reg.TraceFrame(ctx, "vale0:one", append(append(bob[:], alice[:]...), make([]byte, 48)...))
	must(t, err)
	if tr.Rule != vale.RuleKnown || len(tr.To) != 1 || tr.To[0].Name() != "vale0:two" || tr.Port != "vale0:two" || tr.Drops[0] != "" {
		t.Errorf("trace %+v", tr)
	}
	must(t, b.reg.SetAgeing(ctx, "vale0", time.Minute))
	_, err = b.reg.ConfigureSwitchPort(ctx, "vale0", "vale0:two", func(o *vale.PortOptions) { o.NoLearning = true })
	must(t, err)
	n, err := b.reg.FlushAddresses(ctx, "vale0", "vale0:two")
	must(t, err)
	if n != 1 {
		t.Errorf("%d addresses flushed, want 1", n)
	}
	send(two, alice, bob)
	must(t, b.reg.AddAddress(ctx, "vale0", "vale0:one", vale.MAC{2, 0, 0, 0, 0, 9}))
	list, table, err = b.reg.Addresses(ctx, "vale0", "")
	must(t, err)
	if len(list) != 2 || list[1].MAC[5] != 9 || !list[1].Static || table.Age != time.Minute {
		t.Errorf("addresses %+v in %+v, want one learned and one static", list, table)
	}
	must(t, b.reg.DeleteAddress(ctx, "vale0", vale.MAC{2, 0, 0, 0, 0, 9}))
	if err := b.reg.DeleteAddress(ctx, "vale0", vale.MAC{2, 0, 0, 0, 0, 9}); err == nil {
		t.Error("an address is deleted twice")
	}
	if _, _, err := b.reg.Addresses(ctx, "vale0", "vale0:three"); err == nil {
		t.Error("the addresses of a port that is not there are listed")
	}
}
