// Package talk is what the host and the guest of test/niclab say to each other.
//
// The guest listens on one TCP port. A connection begins with a Hello in a line
// of JSON and goes on as that says: calls of net/rpc, bytes to and from a Unix
// socket of the guest, or the standard input and output of a process.
package talk

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Port is where the guest listens.
const Port = 5000

// Hello says what a connection is for: exactly one field is set.
type Hello struct {
	RPC    bool     `json:"rpc,omitempty"`    // the methods of Agent
	Socket string   `json:"socket,omitempty"` // path of a Unix stream socket
	Argv   []string `json:"argv,omitempty"`   // a process, killed when the connection ends
}

// Send writes the hello.
func (h Hello) Send(w io.Writer) error { return json.NewEncoder(w).Encode(h) }

// ReadHello reads it, and not a byte more.
func ReadHello(c net.Conn) (h Hello, err error) {
	var line strings.Builder
	for b := make([]byte, 1); b[0] != '\n'; line.WriteByte(b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			return h, fmt.Errorf("read a hello: %w", err)
		}
	}
	return h, json.Unmarshal([]byte(line.String()), &h)
}

// Command is a process to run in the guest.
type Command struct {
	Argv  []string
	Stdin []byte
	Limit time.Duration // it is killed after that; for Start no limit is none
	Log   string        // Start: the file of its output
}

// Result is what became of it.
type Result struct {
	Output []byte // of both kinds
	Status int    // -1 when a signal ended it
	Fate   string // in words
}

// Signal is for a process of Agent.Start.
type Signal struct{ PID, Number int }

// Wait is for the end of a process of Agent.Start.
type Wait struct {
	PID   int
	Limit time.Duration
}

// Open asks a client for a port.
type Open struct {
	Spec       string
	RuntimeDir string
	ExtraBufs  uint32
}

// Opened describes what a client has opened.
type Opened struct {
	PID                int
	TxRings, RxRings   int // bound
	TxSlots, RxSlots   uint32
	BufSize, ExtraBufs uint32
}

// Frames are frames for a ring, or of rings.
type Frames struct {
	Ring   int // among the bound ones; Recv: -1 for all
	Frames [][]byte
}

// Want asks for frames: as many, or those that came within the limit.
type Want struct {
	Count int
	Limit time.Duration
}

// Got is one frame and where it came.
type Got struct {
	Ring  int
	Frame []byte
}

// Indices are the buffers that a descriptor has: of every slot of its rings, and of its list of extra ones.
type Indices struct {
	Tx, Rx [][]uint32
	Extra  []uint32
}

// Stream asks a client to send and receive until it is told to stop.
type Stream struct {
	Dst, Src string        // addresses of what it sends
	Pace     time.Duration // between two rounds of at most one frame for each ring
}

// Streamed is what a client has done and seen since it began to stream.
type Streamed struct {
	Sent, Received int
	Pending        int    // sent, and the slots are not back
	Lost           int    // numbers that did not come, between the first and the last that did
	Broken         string // how rings or frames broke the rules, "" if they did not
}

// Mischief asks a client to write into slots what it has no right to.
type Mischief struct {
	Ring     int
	Frame    []byte
	Rounds   int
	Patience time.Duration // to wait for room
}
