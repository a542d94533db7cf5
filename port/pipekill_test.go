package port_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/port"
)

// A client that the tests kill is this binary, told by these what to do.
const (
	roleEnv = "NETMAPD_PORT_TEST_ROLE" // source or sink
	dirEnv  = "NETMAPD_PORT_TEST_DIR"
	lifeEnv = "NETMAPD_PORT_TEST_LIFE" // the how manyth it is
)

// playRole is the life of such a client. It does not end by itself.
func playRole(role string) error {
	ctx := context.Background()
	life, err := strconv.ParseUint(os.Getenv(lifeEnv), 10, 32)
	if err != nil {
		return err
	}
	opts := netmap.WithRuntimeDir(os.Getenv(dirEnv))
	if role == "source" {
		d, err := netmap.Open(ctx, "netmap:k{1", opts)
		if err != nil {
			return err
		}
		fmt.Println("here")
		return (&stream{tx: d, n: 1 << 40, base: life << 48}).send(ctx, life)
	}
	d, err := netmap.Open(ctx, "netmap:k}1", opts)
	if err != nil {
		return err
	}
	fmt.Println("here")
	for r := d.RxRings()[0]; ; r.Advance(r.Tail()) {
		if _, err := d.Poll(ctx, netmap.PollIn); err != nil {
			return err
		}
	}
}

// spawn starts such a client and waits until it has its end of the pipe.
func (b *bed) spawn(role string, life int) *exec.Cmd {
	b.t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+b.dir, fmt.Sprintf("%s=%d", lifeEnv, life))
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	must(b.t, err)
	must(b.t, c.Start())
	b.t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	if _, err := out.Read(make([]byte, 5)); err != nil {
		b.t.Fatalf("the %s ended: %v", role, err)
	}
	return c
}

// A process is killed at any moment, in the middle of a sync often enough. The other end goes on with whoever comes next,
// every frame that was published arrives once, in order, and no buffer is lost.
func TestPipeEndKilled(t *testing.T) {
	lives := 40
	if testing.Short() {
		lives = 8
	}
	for _, dead := range []string{"source", "sink"} {
		t.Run(dead, func(t *testing.T) {
			b := newBed(t, 1, port.Config{})
			keeper := b.open("netmap:k{keeper@conf:slots=8")
			id := keeper.Region().ID()
			before := b.region(id)
			name := map[string]string{"source": "netmap:k}1@conf:slots=64", "sink": "netmap:k{1@conf:slots=64"}[dead]
			d := b.open(name)
			w := &watcher{d: d}
			for life := range lives {
				c := b.spawn(dead, life)
				ctx, stop := context.WithTimeout(context.Background(), patience)
				until := time.Now().Add(time.Duration(rand.IntN(3000)) * time.Microsecond)
				for start := w.n; w.n < start+100 || time.Now().Before(until); {
					must(t, w.step(ctx, dead == "source"))
				}
				stop()
				must(t, c.Process.Kill())
				_ = c.Wait()
			}
			b.close(d)
			b.eventually("what the dead left to be free", func() bool {
				b.reg.Tend(time.Now().Add(time.Hour))
				now := b.region(id)
				return now.Buf.Free == before.Buf.Free && now.Ring.Free == before.Ring.Free && now.If.Free == before.If.Free
			})
		})
	}
}

// A watcher is the end that lives.
type watcher struct {
	d    *netmap.Desc
	n    uint64 // frames
	next uint64
}

// step moves what there is, waiting for it.
func (w *watcher) step(ctx context.Context, receives bool) error {
	if !receives {
		if re, err := w.d.Poll(ctx, netmap.PollOut); err != nil {
			return fmt.Errorf("sent %d, then poll: %v, %w", w.n, re, err)
		}
		r := w.d.TxRings()[0]
		for h := r.Head(); h != r.Tail(); w.n++ {
			s := r.Slot(h)
			s.Len, s.Flags, s.Ptr = 60, 0, w.n
			h = r.Next(h)
			r.Advance(h)
		}
		return nil
	}
	if re, err := w.d.Poll(ctx, netmap.PollIn); err != nil {
		return fmt.Errorf("received %d, then poll: %v, %w", w.n, re, err)
	}
	r := w.d.RxRings()[0]
	for h := r.Head(); h != r.Tail(); w.n++ {
		got := r.Slot(h).Ptr
		if got != w.next && got&(1<<48-1) != 0 { // the next one, or the first of a new life
			return fmt.Errorf("frame %#x, want %#x", got, w.next)
		}
		w.next = got + 1
		h = r.Next(h)
		r.Advance(h)
	}
	return nil
}
