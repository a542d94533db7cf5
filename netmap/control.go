package netmap

import (
	"context"

	"github.com/netmapd/netmapd/netmap/abi"
)

// Control makes the requests of netmap that bind no port (NC B.7): it attaches
// ports to switches and lists them, makes persistent ports, and asks about ports.
// One goroutine at a time uses it.
type Control struct{ d *Desc }

// NewControl connects to netmapd. Errors are those of Open.
func NewControl(ctx context.Context, opts ...Option) (*Control, error) {
	o := gather(opts)
	d, err := newDesc(ctx, "", o.runtimeDir, nil)
	if err != nil {
		return nil, failed("control", "", err)
	}
	return &Control{d}, nil
}

// Request makes one request: typ is abi.ReqValeAttach or another, body points to
// its body of package abi, which the answer replaces, or is nil for requests without.
// It returns the name in the answer, which abi.ReqValeList finds. Errors are *Error
// with the errno of NC B.7.
func (c *Control) Request(ctx context.Context, typ uint16, port string, body any) (name string, err error) {
	var image []byte
	if body != nil {
		image = abi.Encode(nil, body)
	}
	name, rest, _, err := c.d.carryOut(ctx, controlRequest{req: typ, port: port, body: image, memory: -1})
	if err == nil && body != nil {
		err = abi.Decode(rest, body)
	}
	if err != nil {
		return "", failed("control", port, err)
	}
	return name, nil
}

// Close ends the connection.
func (c *Control) Close() error { return c.d.release() }
