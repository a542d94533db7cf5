package netmap

import (
	"testing"
	"time"
)

func TestSpinner(t *testing.T) {
	const most = 100 * time.Microsecond
	for _, tc := range []struct {
		name string
		do   func(s *spinner)
		want time.Duration
	}{
		{"news that come at once make it look longer", func(s *spinner) { s.found() }, 2 * spinLeast},
		{"not longer than it may", func(s *spinner) {
			for range 100 {
				s.found()
			}
		}, most},
		{"looking in vain makes it look less", func(s *spinner) { s.set(most); s.missed() }, most / 2},
		{"it never stops looking", func(s *spinner) {
			for range 100 {
				s.missed()
			}
		}, spinLeast},
		{"a short sleep after a short look could have been a look", func(s *spinner) { s.missed(); s.slept(most) }, most},
		{"one after the longest look, too: to be woken takes time", func(s *spinner) { s.set(most); s.missed(); s.slept(most / 3) }, most},
		{"a long sleep could not", func(s *spinner) { s.set(most); s.missed(); s.slept(time.Millisecond) }, most / 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := spinner{most: most}
			s.set(spinLeast)
			tc.do(&s)
			if got := s.limit(); got != tc.want {
				t.Errorf("it looks for %v, want %v", got, tc.want)
			}
		})
	}
	t.Run("0 allows none", func(t *testing.T) {
		var s spinner
		s.found()
		s.missed()
		s.slept(0)
		if s.limit() != 0 {
			t.Errorf("it looks for %v, want 0", s.limit())
		}
	})
}

// Somebody who keeps the CPU is met for 10 ms after that, then 20, at last 1 s; and 10 again once it has been good for long.
func TestCrowding(t *testing.T) {
	const slice = 3 * time.Millisecond
	var c crowding
	at := time.Second
	length := func() time.Duration { return time.Duration(c.length.Load()) }
	c.took(at, at+crowdSlice-1)
	if length() != 0 {
		t.Fatalf("a peer that had the CPU for %v counts as a crowd", crowdSlice-1)
	}
	for want := crowdLeast; want <= crowdMost; want *= 2 {
		c.took(at, at+slice)
		if length() != want || time.Duration(c.until.Load()) != at+slice+want {
			t.Fatalf("nothing is offered for %v until %v, want %v until %v", length(), time.Duration(c.until.Load()), want, at+slice+want)
		}
		at += slice + want
	}
	c.took(at, at+slice)
	c.took(at+slice+crowdMost, at+2*slice+crowdMost)
	if length() != crowdMost {
		t.Errorf("nothing is offered for %v, want %v at most", length(), crowdMost)
	}
	at += 20 * crowdMost
	c.took(at, at+slice)
	if length() != crowdLeast {
		t.Errorf("long after the last one nothing is offered for %v, want %v", length(), crowdLeast)
	}
}

func TestParseSpin(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": spinMost, "0": 0, "50": 50 * time.Microsecond, "1000000": spinLimit, "-1": spinMost, "1ms": spinMost,
	} {
		if got := parseSpin(text); got != want {
			t.Errorf("%s=%q allows %v, want %v", spinEnv, text, got, want)
		}
	}
}
