package conformance

import "fmt"

// libpcap in short, on a switch port and an interface-like name for one; frames of several slots too.
func tl08(e *env) {
	d, sw := e.program().(*driver), e.vale()
	a, b := d.number("nmopen %s:a", sw), d.number("nmopen netmap:%s:b", sw)
	for _, size := range []int{60, 1514, 5000} {
		for range 3 {
			const frames = 200
			if errno, _ := d.do("nminject %d %d %d", a, frames, size); errno != 0 {
				e.Fatalf("inject %d frames of %d bytes: %s", frames, size, errnoName(errno))
			}
			if _, words := d.do("nmdispatch %d %d %d", b, frames/2, size); words[0] != fmt.Sprint(frames/2) || words[1] != "0" {
				e.Errorf("of %d frames of %d bytes the filter kept %s, fault %s; want half of them", frames, size, words[0], words[1])
			}
		}
	}
}

func tl02(e *env) {
	const threads, frames = 4, 50000
	p := e.program().(*driver)
	sw := e.vale()
	errno, words := p.do("clones -%x %d %d", fmt.Sprintf("%s:gen@conf:rings=%d", sw, threads), threads, frames)
	if errno != 0 || words[0] != fmt.Sprint(threads*frames) || words[1] != "1" {
		e.Errorf("%s %v, want %d frames in all, from rings of one region", errnoName(errno), words, threads*frames)
	}
}
