package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The harness starts itself again for everything that is a program on its own: clients of netmapd, generators. Such a
// process says "ready", works until its standard input ends, and leaves its result as a line of JSON.
const (
	roleEnv  = "NETMAPD_BENCH_ROLE"
	ready    = "ready"
	lifetime = 2 * time.Minute // no role lives longer
)

// roleSpec says what to do.
type roleSpec struct {
	Role  string   `json:"role"`
	Dir   string   `json:"dir,omitempty"`   // runtime directory of the daemon
	Ports []string `json:"ports,omitempty"` // to open, in the order that the role says
	Size  int      `json:"size,omitempty"`  // bytes of a frame
	Dst   []string `json:"dst,omitempty"`   // addresses, used in turn
	Src   string   `json:"src,omitempty"`
	Count string   `json:"count,omitempty"` // interface whose received frames are counted
	CPUs  []int    `json:"cpus,omitempty"`  // of threads that pin themselves
	Block bool     `json:"block,omitempty"` // sleep instead of looking again and again
	Batch []int    `json:"batch,omitempty"` // sizes

	Pipe     bool   `json:"pipe,omitempty"`     // Ports are ends of one pipe
	Slots    uint32 `json:"slots,omitempty"`    // of a ring; 0: the default
	Stations int    `json:"stations,omitempty"` // behind the receivers, in turn; each frame goes to one of them by chance

	First  int    `json:"first,omitempty"`  // number of the first receiver
	InTurn bool   `json:"inturn,omitempty"` // all receiving ports are one thread's, which never sleeps
	Header int    `json:"header,omitempty"` // bytes of virtio-net header before each frame; Size is without
	Offset uint64 `json:"offset,omitempty"` // bytes before each frame, in its buffer
	Load   bool   `json:"load,omitempty"`   // keep the lcore half busy meanwhile

	Ledger  string `json:"ledger,omitempty"`  // file in which receivers count
	Readers int    `json:"readers,omitempty"` // counters in it
}

var roles = map[string]func(*roleSpec) (sample, error){
	"send":     roleSend,
	"receive":  roleReceive,
	"cycle":    roleCycle,
	"sync":     roleSync,
	"pingself": rolePingSelf,
	"ping":     rolePing,
	"pong":     rolePong,
	"relay":    roleRelay,
	"attach":   roleAttach,
	"woken":    roleWoken,
	"eventfd":  roleEventfd,
	"idle":     roleIdle,
	"packets":  rolePackets,
	"csb":      roleCSB,
}

// stopped is set when the harness has had enough.
var stopped atomic.Bool

func runRole(spec string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var s roleSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		return fail(err)
	}
	f := roles[s.Role]
	if f == nil {
		return fail(fmt.Errorf("no role %q", s.Role))
	}
	go func() {
		_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin))
		stopped.Store(true)
		time.Sleep(stopLimit)
		os.Exit(3)
	}()
	time.AfterFunc(lifetime, func() { os.Exit(4) })
	res, err := f(&s)
	if err != nil {
		return fail(fmt.Errorf("role %s: %w", s.Role, err))
	}
	out, err := json.Marshal(res)
	if err != nil {
		return fail(err)
	}
	fmt.Println(string(out))
	return 0
}

// amReady tells the harness.
func amReady() { fmt.Println(ready) }

// role starts a process of this program and waits until it is ready.
func (h *harness) role(s roleSpec, cpus []int, ns string) (*proc, error) {
	spec, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p, err := h.start(procSpec{name: "role " + s.Role, argv: []string{self}, env: []string{roleEnv + "=" + string(spec)}, cpus: cpus, ns: ns})
	if err != nil {
		return nil, err
	}
	_, err = p.until(h.ctx, "line "+ready, startLimit, func(l string) bool { return l == ready })
	return p, err
}

// result ends a role and reads what it found out.
func (p *proc) result(ctx context.Context) (s sample, err error) {
	_ = p.in.Close()
	return p.finished(ctx, stopLimit)
}

// finished waits for a role that ends by itself.
func (p *proc) finished(ctx context.Context, limit time.Duration) (s sample, err error) {
	l, err := p.until(ctx, "result", limit, func(l string) bool { return strings.HasPrefix(l, "{") || l == "null" })
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(l), &s); err != nil {
		return nil, fmt.Errorf("%s: result %q: %w", p.name, l, err)
	}
	if s == nil {
		return nil, errors.New(p.name + " has no result")
	}
	return s, nil
}
