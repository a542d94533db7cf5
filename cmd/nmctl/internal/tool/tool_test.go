package tool

import (
	"math"
	"testing"
	"time"
)

func TestLinkWait(t *testing.T) {
	for _, c := range []struct {
		given float64
		ports []string
		want  float64
		ok    bool
	}{
		{-1, []string{"vale0:a", "vale1:b"}, 0, true},
		{-1, []string{"vale0:a", "netmap:eth0"}, 2, true},
		{-1, []string{"netmap:x{1"}, 0, true},
		{7, []string{"vale0:a"}, 7, true},
		{3601, nil, 0, false},
		{math.NaN(), nil, 0, false},
	} {
		got, err := LinkWait(c.given, 2, c.ports...)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%v on %v: %v, %v", c.given, c.ports, got, err)
		}
	}
}

func TestCPUs(t *testing.T) {
	if l, err := CPUs("2,3,10"); err != nil || len(l) != 3 || l[2] != 10 {
		t.Error(l, err)
	}
	for _, s := range []string{"a", "1,", "-1", "1024"} {
		if _, err := CPUs(s); err == nil {
			t.Errorf("%q is taken for CPUs", s)
		}
	}
}

func TestPauseGrowsWhileNothingMoves(t *testing.T) {
	var p Pause
	first := p.Next(false)
	last := time.Duration(0)
	for range 20 {
		d := p.Next(false)
		if d < last || d > Longest {
			t.Fatalf("%v after %v", d, last)
		}
		last = d
	}
	if p.Next(true) != first || last != Longest {
		t.Errorf("%v at last, %v after a move", last, first)
	}
}
