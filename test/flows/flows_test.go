package flows

import "testing"

func TestChecker(t *testing.T) {
	type arrival struct {
		sink      int
		flow, seq uint32
	}
	for _, c := range []struct {
		what    string
		frames  []arrival
		correct bool
	}{
		{"all in order", []arrival{{0, 0, 0}, {1, 1, 0}, {0, 0, 1}, {1, 1, 1}}, true},
		{"one is missing", []arrival{{0, 0, 0}, {1, 1, 0}, {0, 0, 1}}, false},
		{"one comes late", []arrival{{0, 0, 1}, {0, 0, 0}, {1, 1, 0}, {1, 1, 1}}, false},
		{"one comes twice", []arrival{{0, 0, 0}, {0, 0, 0}, {1, 1, 0}, {1, 1, 1}}, false},
		{"one comes elsewhere", []arrival{{0, 0, 0}, {1, 0, 1}, {1, 1, 0}, {1, 1, 1}}, false},
		{"one of a connection that there is not", []arrival{{0, 0, 0}, {0, 9, 1}, {1, 1, 0}, {1, 1, 1}}, false},
	} {
		k := NewChecker(2, 2)
		var f [Length]byte
		for _, a := range c.frames {
			Frame(f[:], a.flow, a.seq)
			k.take(a.sink, f[:])
		}
		if err := k.Result(4).Err(); (err == nil) != c.correct {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
