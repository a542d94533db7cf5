package controltest

import (
	"context"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmapd/netmapd/daemon/control"
	"github.com/netmapd/netmapd/port"
)

// Capture returns one that gives State.Frames of the directions asked for, and ends.
func (p *Plane) Capture(ctx context.Context, spec port.CaptureSpec) (control.Capture, error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.mu.Unlock()
	for _, name := range spec.Ports {
		if p.findPort(name) < 0 {
			return nil, refuse("capture", name, unix.ENXIO, "no port has this name")
		}
	}
	c := &capture{gone: make(chan struct{}), missed: make([]uint64, len(spec.Ports)), keep: p.state.KeepCapturing}
	copy(c.missed, p.state.Missed)
	for _, f := range p.state.Frames {
		if f.Port < len(spec.Ports) && (spec.In == spec.Out || f.Out == spec.Out) {
			c.frames = append(c.frames, f)
		}
	}
	if len(c.frames) == 0 && !c.keep {
		close(c.gone)
	}
	return c, nil
}

type capture struct {
	frames []port.CapturedFrame
	missed []uint64
	gone   chan struct{}
	keep   bool
}

func (c *capture) Next() (f port.CapturedFrame, ok bool) {
	if len(c.frames) == 0 {
		return f, false
	}
	f, c.frames = c.frames[0], slices.Clip(c.frames[1:])
	if len(c.frames) == 0 && !c.keep {
		close(c.gone)
	}
	return f, true
}

func (c *capture) Missed() []uint64      { return c.missed }
func (c *capture) Gone() <-chan struct{} { return c.gone }
func (c *capture) Close(context.Context) {}
