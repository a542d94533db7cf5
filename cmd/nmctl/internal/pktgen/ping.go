package pktgen

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/netmapd/netmapd/netmap"
)

// What a ping carries behind the headers: a magic word, its number, and when it
// was sent in nanoseconds of the run, all little-endian.
const (
	pingMagic  = 0x676e6970
	seqAt      = headersLen + 4
	timeAt     = headersLen + 8
	answerTime = time.Second // after that a ping is lost
)

// ping sends bursts (of one, unless -b says otherwise), waits for the answers
// to each, and measures how long they took.
func (g *generator) ping(ctx context.Context) error {
	tx, rx := g.d.TxRings()[0], g.d.RxRings()
	buf := make([]byte, 1<<16)
	g.pace = newPacer(uint64(g.o.Rate), uint64(g.o.Burst))
	defer func() { g.end = time.Now() }()
	for sent := uint64(0); g.left(sent) > 0; {
		n := min(g.left(sent), uint64(g.o.Burst), g.pace.budget(ctx, sent))
		first := sent
		for ; sent-first < n; sent++ {
			if !g.sendPing(tx, uint32(sent)) {
				break
			}
		}
		if n = sent - first; n > 0 {
			g.count.add(n, n*uint64(g.o.Length), tx.Space())
		}
		limit := time.Now().Add(answerTime)
		for waiting := n; waiting > 0 || n == 0; {
			re, err := g.pollUntil(ctx, time.Until(limit), netmap.PollIn)
			if err != nil {
				return err
			}
			if re == 0 {
				break
			}
			got := g.answers(rx, buf, uint32(first), uint32(n))
			waiting -= min(waiting, got)
		}
	}
	return nil
}

// sendPing puts one ping into the ring.
func (g *generator) sendPing(tx *netmap.TxRing, seq uint32) bool {
	b := g.frame.bytes
	binary.LittleEndian.PutUint32(b[headersLen:], pingMagic)
	binary.LittleEndian.PutUint32(b[seqAt:], seq)
	binary.LittleEndian.PutUint64(b[timeAt:], uint64(time.Since(g.start)))
	be.PutUint16(b[udpAt+6:], 0) // the payload differs each time: no UDP checksum
	return tx.Send(b[:g.o.Length])
}

// answers counts the answers to pings [first, first+n) that have come.
func (g *generator) answers(rings []*netmap.RxRing, buf []byte, first, n uint32) (got uint64) {
	now := uint64(time.Since(g.start))
	for _, r := range rings {
		for {
			size, ok := r.Recv(buf)
			if !ok {
				break
			}
			b := buf[:min(size, len(buf))]
			if len(b) < headersLen+pingLen || binary.LittleEndian.Uint32(b[headersLen:]) != pingMagic ||
				binary.LittleEndian.Uint32(b[seqAt:])-first >= n {
				continue
			}
			if sent := binary.LittleEndian.Uint64(b[timeAt:]); sent <= now {
				g.rtt.add(now - sent)
				got++
			}
		}
	}
	return got
}

// pong sends every frame back to where it came from.
func (g *generator) pong(ctx context.Context) error {
	tx := g.d.TxRings()[0]
	buf := make([]byte, 1<<16)
	defer func() { g.end = time.Now() }()
	for done := uint64(0); g.left(done) > 0; {
		if err := g.await(ctx); errors.Is(err, errIdle) {
			continue
		} else if err != nil {
			return err
		}
		var frames, bytes uint64
		for _, r := range g.d.RxRings() {
			for frames < g.left(done) {
				n, ok := r.Recv(buf)
				if !ok {
					break
				}
				b := buf[:min(n, len(buf))]
				if len(b) < ipAt {
					continue
				}
				turn(b)
				if !tx.Send(b) { // no room: the other side is faster than the port
					continue
				}
				frames++
				bytes += uint64(len(b))
			}
		}
		if frames > 0 {
			done += frames
			g.count.add(frames, bytes, tx.Space())
		}
	}
	return g.d.TxSync() // the last ones
}

// turn swaps source and destination: MAC addresses, and the IPv4 addresses and
// UDP ports of a frame that has them. No checksum changes by that.
func turn(b []byte) {
	swap := func(x, y, n int) {
		for i := range n {
			b[x+i], b[y+i] = b[y+i], b[x+i]
		}
	}
	swap(0, 6, 6)
	if len(b) >= headersLen && be.Uint16(b[12:]) == 0x0800 && b[ipAt] == 0x45 {
		swap(ipAt+12, ipAt+16, 4)
		if b[ipAt+9] == 17 {
			swap(udpAt, udpAt+2, 2)
		}
	}
}

// A histogram counts times in nanoseconds, in buckets of a sixteenth of their
// power of two, so that a percentile is right to about six percent.
type histogram struct {
	n, sum, min, max uint64
	buckets          [64 * subBuckets]uint64
}

const (
	subBits    = 4
	subBuckets = 1 << subBits
)

func bucket(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	e := bits.Len64(v) - subBits - 1
	return e*subBuckets + int(v>>e)
}

// lowest is the smallest value in a bucket.
func lowest(i int) uint64 {
	if i < 2*subBuckets {
		return uint64(i)
	}
	e := i/subBuckets - 1
	return uint64(i-e*subBuckets) << e
}

func (h *histogram) add(v uint64) {
	if h.n == 0 || v < h.min {
		h.min = v
	}
	h.n, h.sum, h.max = h.n+1, h.sum+v, max(h.max, v)
	h.buckets[bucket(v)]++
}

// quantile is a value that the given part of all values does not exceed.
func (h *histogram) quantile(q float64) uint64 {
	want, seen := uint64(q*float64(h.n)), uint64(0)
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen > want {
			return min(max(lowest(i+1)-1, h.min), h.max)
		}
	}
	return h.max
}

func (h *histogram) print(out io.Writer) {
	if h.n == 0 {
		fmt.Fprintln(out, "No answer came.")
		return
	}
	us := func(v uint64) float64 { return float64(v) / 1000 }
	fmt.Fprintf(out, "Received %d answers. RTT min %.3f avg %.3f p50 %.3f p99 %.3f max %.3f usec\n",
		h.n, us(h.min), us(h.sum)/float64(h.n), us(h.quantile(0.5)), us(h.quantile(0.99)), us(h.max))
}
