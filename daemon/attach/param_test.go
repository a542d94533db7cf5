package attach

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/netmap/abi"
	"github.com/netmapd/netmapd/netmap/wire"
)

// param asks about a module parameter.
func (c *client) param(token uint64, op uint32, name, value string) (unix.Errno, wire.Param, string) {
	c.t.Helper()
	q := wire.Param{Token: token, Op: op}
	copy(q.Name[:], name)
	copy(q.Value[:], value)
	errno, rest, text := c.ask(wire.TypeParam, q, nil)
	if errno != 0 {
		return errno, wire.Param{}, text
	}
	tail, err := wire.Take(rest, &q)
	must(c.t, err)
	return 0, q, string(tail)
}

func TestParam(t *testing.T) {
	c := newBench(t, Limits{}).dial(t)
	token := c.session()
	for _, q := range []struct {
		op          uint32
		name, value string
		errno       unix.Errno
		answer      string
		writable    uint32
	}{
		{wire.ParamGet, "if_num", "ignored", 0, "100", 1},
		{wire.ParamGet, "if_curr_num", "", 0, "100", 0},
		{wire.ParamSet, "if_num", "200\n", 0, "200", 1},
		{wire.ParamGet, "if_num", "", 0, "200", 1},
		{wire.ParamSet, "if_num", "many", unix.EINVAL, "", 0},
		{wire.ParamSet, "if_num", strings.Repeat("1", wire.ParamValueSize), unix.EINVAL, "", 0}, // not terminated
		{wire.ParamSet, "if_curr_num", "1", unix.EACCES, "", 0},
		{wire.ParamGet, "nothing", "", unix.ENOENT, "", 0},
		{wire.ParamGet, strings.Repeat("n", wire.ParamNameSize), "", unix.ENOENT, "", 0},
		{0, "if_num", "", unix.EINVAL, "", 0},
		{4, "if_num", "", unix.EINVAL, "", 0},
	} {
		errno, a, text := c.param(token, q.op, q.name, q.value)
		if errno != q.errno || abi.CString(a.Value[:]) != q.answer || a.Writable != q.writable {
			t.Errorf("operation %d on %q: %v %q, writable %d, %s; want %v %q, %d",
				q.op, q.name, errno, a.Value, a.Writable, text, q.errno, q.answer, q.writable)
		}
	}
	if _, _, list := c.param(token, wire.ParamList, "", ""); !strings.Contains(list, "\nif_num 200\n") || strings.Count(list, "\n") < 30 {
		t.Errorf("the list is %q", list)
	}
	if errno, _, _ := c.param(token+1, wire.ParamGet, "if_num", ""); errno == 0 {
		t.Error("served without a session")
	}
	if errno, _, text := c.ask(wire.TypeParam, wire.Param{Token: token, Op: wire.ParamGet}, []byte{0}); errno != unix.EINVAL {
		t.Errorf("with a tail: %v %s, want EINVAL", errno, text)
	}
}
