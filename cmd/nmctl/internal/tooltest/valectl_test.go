package tooltest

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/cmd/nmctl/internal/valectl"
	"github.com/netmapd/netmapd/netmap"
)

// vale-ctl does what its users know, in the words they know (NC F.3).
func TestValeCtl(t *testing.T) {
	b := newBed(t)
	const shape = "tx_slots:   64\nrx_slots:   128\ntx_rings:   2\nrx_rings:   2\nmem_id:     2\n"
	for _, c := range []struct {
		args string
		out  string
		err  string // in the error; "-" for the one that ends a list
	}{
		{"", "", "-"},
		{"-n p0 -C 64,128,2 -v", shape, ""},
		{"-n p0", "", "failed to create p0: "},
		{"-g p0", "memsize:    8855552\n" + shape, ""},
		{"-n p1 -m netmap:p0", "", ""},
		{"-n p2 -m 2 -C 16", "", ""},
		{"-n p3 -m 60000", "", "failed to create p3: "},
		{"-n p3 -m nonsense:p0", "", "expected netmap: or vale"},
		{"-a vale0:p0 -v", "port_index: 0\n", ""},
		{"-a vale0:p1", "", ""},
		{"-a vale1:p0 -v", "port_index: 0\n", ""},
		{"-a vale0:p0", "", "failed to attach vale0:p0: "},
		{"-h vale0:nosuch", "", "failed to attach vale0:nosuch: "},
		{"", "vale0:p0 bridge_idx 0 port_idx 0\nvale0:p1 bridge_idx 0 port_idx 1\nvale1:p0 bridge_idx 1 port_idx 0\n", "-"},
		{"-l vale0:p1", "bridge_idx: 0\nport_idx:   1\n", ""},
		{"-l vale0:p9", "bridge_idx: 0\nport_idx:   255\n", ""},
		{"-l vale9:p0", "", "failed to list vale9:p0: "},
		{"-p vale0:p0", "", "failed to enable polling on vale0:p0: "},
		{"-P vale0:p0 -C 1,2,3", "", "failed to disable polling on vale0:p0: "},
		{"-r p0", "", "failed to remove p0: "},
		{"-d vale0:p0", "", "failed to detach vale0:p0: "},
		{"-d vale1:p0 -v", "port_index: 0\n", ""},
		{"-d vale0:p0", "", ""},
		{"-r p0", "", ""},
		{"-r p0", "", "failed to remove p0: "},
		{"-a x -d y", "", "one action at a time"},
		{"-n p4 -C 1,2,3,4,5", "", "at most 4 numbers"},
		{"-n p4 -C x", "", `"x" is not a number`},
	} {
		o, f := &valectl.Options{}, pflag.NewFlagSet("vale-ctl", pflag.ContinueOnError)
		o.AddFlags(f)
		must(t, f.Parse(strings.Fields(c.args)))
		var out strings.Builder
		err := o.Validate()
		if err == nil {
			err = valectl.Run(b.ctx, o, &out, netmap.WithRuntimeDir(b.dir))
		}
		if out.String() != c.out {
			t.Errorf("vale-ctl %s prints %q, want %q", c.args, out.String(), c.out)
		}
		switch {
		case c.err == "-" && !errors.Is(err, valectl.ErrListed), c.err == "" && err != nil, c.err != "" && err == nil:
			t.Errorf("vale-ctl %s: error %v, want %q", c.args, err, c.err)
		case c.err != "-" && err != nil && !strings.Contains(err.Error(), c.err):
			t.Errorf("vale-ctl %s: error %v, want %q", c.args, err, c.err)
		}
		if errno := unix.Errno(0); errors.As(err, &errno) && errno == unix.EIO {
			t.Errorf("vale-ctl %s: %v", c.args, err)
		}
	}
}
