package vale

// Count counts frames and their bytes.
type Count struct{ Frames, Bytes uint64 }

func (c *Count) add(o Count) {
	c.Frames += o.Frames
	c.Bytes += o.Bytes
}

// maxReasons leaves room for reasons to come and makes Counters three cache
// lines long, so that no two lcores ever write to one line.
const maxReasons = 20

// Drops counts frames by Reason.
type Drops [maxReasons]uint64

// ByName gives the drops that occurred, keyed by the reason's name.
func (d *Drops) ByName() map[string]uint64 {
	m := make(map[string]uint64)
	for r, n := range d {
		if n != 0 {
			m[Reason(r).String()] = n
		}
	}
	return m
}

// Counters are the books of one port (see the package comment).
type Counters struct {
	Tx    Count // frames that the port's sources offered
	Rx    Count // frames that its sinks took
	Drops Drops // frames lost, at the side that Reason.AtSource tells
}

// Add adds o to c.
func (c *Counters) Add(o *Counters) {
	c.Tx.add(o.Tx)
	c.Rx.add(o.Rx)
	for i, n := range o.Drops {
		c.Drops[i] += n
	}
}
