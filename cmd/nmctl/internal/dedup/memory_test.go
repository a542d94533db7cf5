package dedup

import (
	"strings"
	"testing"
	"time"
)

const us = time.Microsecond

func TestMemory(t *testing.T) {
	type step struct {
		at    time.Duration
		frame string
		dup   bool
	}
	for _, c := range []struct {
		what  string
		size  uint32
		steps []step
	}{
		{"inside the window", 10, []step{{0, "a", false}, {50 * us, "a", true}, {50 * us, "b", false}}},
		{"after the window", 10, []step{{0, "a", false}, {51 * us, "a", false}, {60 * us, "a", true}}},
		{"a duplicate does not prolong it", 10, []step{{0, "a", false}, {40 * us, "a", true}, {60 * us, "a", false}}},
		{"more than is remembered", 2, []step{{0, "a", false}, {0, "b", false}, {0, "c", false}, {0, "a", false}, {0, "c", true}, {0, "b", false}}},
		{"one", 1, []step{{0, "a", false}, {0, "a", true}, {0, "b", false}, {0, "a", false}}},
		{"another length", 10, []step{{0, "a", false}, {0, "aa", false}, {0, "", false}, {0, "", true}}},
	} {
		m := newMemory(c.size, 50*us)
		for i, s := range c.steps {
			m.expire(s.at)
			frame := []byte(s.frame)
			h := m.hash(frame)
			dup := m.seen(frame, h)
			if dup != s.dup {
				t.Errorf("%s, step %d: %v", c.what, i, dup)
			}
			if !dup {
				if m.full() {
					m.forget()
				}
				m.add(s.at, frame, h, false)
				clear(frame) // it was copied
			}
		}
	}
}

// Frames that share a bucket are told apart, and found, however long it runs.
func TestMemoryBuckets(t *testing.T) {
	m := newMemory(4, time.Second)
	for i := range 10000 {
		frame := []byte{byte(i), byte(i >> 8)}
		h := uint64(i % 2) // always the same two buckets
		if m.seen(frame, h) {
			t.Fatalf("frame %d was never there", i)
		}
		if m.full() {
			m.forget()
		}
		m.add(0, frame, h, false)
		for k := max(0, i-3); k <= i; k++ {
			if !m.seen([]byte{byte(k), byte(k >> 8)}, uint64(k%2)) {
				t.Fatalf("frame %d is forgotten after %d", k, i)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		says   string
	}{
		{"fine", func(*Options) {}, ""},
		{"one port", func(o *Options) { o.Interfaces = o.Interfaces[:1] }, "two different"},
		{"the same", func(o *Options) { o.Interfaces[1] = o.Interfaces[0] }, "two different"},
		{"no memory", func(o *Options) { o.Fifo = 0 }, "-F 0"},
		{"too much", func(o *Options) { o.Fifo = 1 << 20 }, "-F"},
		{"a long window", func(o *Options) { o.Window = 4_000_000_000 }, "-W"},
	} {
		o := Default()
		o.Interfaces = []string{"eth0", "vale0:x"}
		c.change(&o)
		if err := o.Validate(); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
