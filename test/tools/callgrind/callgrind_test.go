package callgrind

import "testing"

func TestParse(t *testing.T) {
	text := "version: 1\npid: 7\npart: 3\n\ndesc: Trigger: Client Request: copy/60 1\n\nevents: Ir\nsummary: 1234\n\nfn=(1) f\n1 1234\n\ntotals: 1234\n"
	if name, n, ok := parse(text); name != "copy/60 1" || n != 1234 || !ok {
		t.Errorf("parsed as %q, %d, %v", name, n, ok)
	}
	if _, _, ok := parse("desc: Trigger: Program termination\ntotals: 99\n"); ok {
		t.Error("what Count did not cause counts")
	}
}

// Without valgrind the requests do nothing.
func TestCount(t *testing.T) {
	n := 0
	Start()
	Count("x", func() { n++ })
	if n != 1 {
		t.Errorf("the part ran %d times, want once", n)
	}
}
