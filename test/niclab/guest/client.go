package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"time"

	"github.com/netmapd/netmapd/netmap"
	"github.com/netmapd/netmapd/test/niclab/talk"
)

// runClient answers calls on standard input and output until that ends.
func runClient() error {
	server := rpc.NewServer()
	if err := server.Register(&Client{}); err != nil {
		return err
	}
	server.ServeConn(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout})
	return nil
}

// Client is a netmap program with one descriptor.
type Client struct {
	d      *netmap.Desc
	stream *streaming
}

var errClosed = errors.New("no port is open")

// Open binds a port.
func (c *Client) Open(o talk.Open, r *talk.Opened) error {
	if c.d != nil {
		return errors.New("a port is open already")
	}
	d, err := netmap.Open(context.Background(), o.Spec, netmap.WithRuntimeDir(o.RuntimeDir), netmap.WithExtraBufs(o.ExtraBufs))
	if err != nil {
		return err
	}
	c.d = d
	*r = talk.Opened{
		PID: os.Getpid(), TxRings: len(d.TxRings()), RxRings: len(d.RxRings()),
		BufSize: d.Region().BufSize(), ExtraBufs: uint32(len(d.ExtraBufs())),
	}
	if r.TxRings > 0 {
		r.TxSlots = d.TxRings()[0].NumSlots()
	}
	if r.RxRings > 0 {
		r.RxSlots = d.RxRings()[0].NumSlots()
	}
	return nil
}

// Close gives the port back.
func (c *Client) Close(struct{}, *struct{}) error {
	if c.d == nil {
		return errClosed
	}
	err := c.d.Close()
	c.d = nil
	return err
}

// Send puts frames into a ring and returns when the daemon has taken all of them, with their number.
func (c *Client) Send(f talk.Frames, sent *int) error {
	if c.d == nil {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ring := c.d.TxRings()[f.Ring]
	for _, frame := range f.Frames {
		for !ring.Send(frame) {
			if _, err := c.d.Poll(ctx, netmap.PollOut); err != nil {
				return fmt.Errorf("%d of %d frames were sent: %w", *sent, len(f.Frames), err)
			}
		}
		*sent++
	}
	return c.d.TxSync()
}

// Recv waits for frames.
func (c *Client) Recv(w talk.Want, got *[]talk.Got) error {
	if c.d == nil {
		return errClosed
	}
	buf := make([]byte, 1<<16)
	for deadline := time.Now().Add(w.Limit); len(*got) < w.Count; {
		re, err := c.d.PollTimeout(time.Until(deadline), netmap.PollIn)
		if err != nil {
			return err
		}
		if re == 0 {
			return nil
		}
		for i, ring := range c.d.RxRings() {
			for n, ok := ring.Recv(buf); ok; n, ok = ring.Recv(buf) {
				*got = append(*got, talk.Got{Ring: i, Frame: append([]byte(nil), buf[:n]...)})
			}
		}
	}
	return c.d.RxSync() // what was read goes back
}

// Indices reads every buffer index of the descriptor.
func (c *Client) Indices(_ struct{}, r *talk.Indices) error {
	if c.d == nil {
		return errClosed
	}
	of := func(ring *netmap.Ring) (all []uint32) {
		for i := range ring.NumSlots() {
			all = append(all, ring.Slot(i).BufIdx)
		}
		return all
	}
	for _, ring := range c.d.TxRings() {
		r.Tx = append(r.Tx, of(&ring.Ring))
	}
	for _, ring := range c.d.RxRings() {
		r.Rx = append(r.Rx, of(&ring.Ring))
	}
	r.Extra = c.d.ExtraBufs()
	return nil
}
