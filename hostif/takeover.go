package hostif

import (
	"errors"

	"github.com/cilium/ebpf/asm"
)

// What a program of traffic control returns, on either kind of hook.
const (
	verdictNext = -1 // other programs, then the stack
	verdictDrop = 2
)

// toIngress is the flag of the redirect helper: the frame is received by the
// interface instead of sent on it.
const toIngress = 1

// markOffset is the place of the mark in what a program is given (struct
// __sk_buff).
const markOffset = 8

// Takeover is what netmapd takes from the host on a kernel interface. The host
// has everything until it is told otherwise.
type Takeover struct {
	mark uint32
	on   hooks // the interface
	tap  hooks
}

// NewTakeover prepares to take frames. mark, not 0, is the socket mark of frames
// that are on their way from a tap to the host, for packet sockets that should
// not mistake them for the wire's; the host does not see it.
func NewTakeover(ifindex int, mark uint32) *Takeover {
	return &Takeover{mark: mark, on: hooks{ifindex: ifindex}}
}

// Join makes what is written to a tap arrive at the host as if the interface had
// received it; nil takes this away.
func (t *Takeover) Join(tap *Tap) error {
	if tap == nil {
		return t.tap.close()
	}
	t.tap = hooks{ifindex: tap.index, old: t.on.old}
	return t.tap.set(ingress, asm.Instructions{
		asm.Mov.Imm(asm.R2, int32(t.mark)),
		asm.StoreMem(asm.R1, markOffset, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R1, int32(t.on.ifindex)),
		asm.Mov.Imm(asm.R2, toIngress),
		asm.FnRedirect.Call(),
		asm.Return(),
	})
}

// Ingress takes what arrives on the interface from the host, or gives it back.
// Packet sockets see it before that, and XDP programs even before those.
func (t *Takeover) Ingress(take bool) error {
	if !take {
		return t.on.set(ingress, nil)
	}
	return t.on.set(ingress, asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, markOffset, asm.Word),
		asm.JNE.Imm32(asm.R2, int32(t.mark), "drop"),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.R1, markOffset, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R0, verdictNext),
		asm.Return(),
		asm.Mov.Imm(asm.R0, verdictDrop).WithSymbol("drop"),
		asm.Return(),
	})
}

// Egress takes what the host sends on the interface: it goes to the tap, or
// nowhere without one. Release gives it back.
func (t *Takeover) Egress(tap *Tap) error {
	if tap == nil {
		return t.on.set(egress, asm.Instructions{asm.Mov.Imm(asm.R0, verdictDrop), asm.Return()})
	}
	return t.on.set(egress, asm.Instructions{
		asm.Mov.Imm(asm.R1, int32(tap.index)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	})
}

// ReleaseEgress lets the host send on the interface again.
func (t *Takeover) ReleaseEgress() error { return t.on.set(egress, nil) }

// Close gives everything back to the host.
func (t *Takeover) Close() error { return errors.Join(t.on.close(), t.tap.close()) }
