package model

import "slices"

// A result is what check found; trace is a shortest way to the violation.
type result struct {
	states int
	bad    violation
	trace  []string
}

// A node is a visited state and the index of the node it was first reached from.
type node struct {
	state
	parent int
}

// check visits every reachable state, breadth first, until one violates something. The
// visited set holds the states themselves, not hashes: nothing is left out by collision.
func (m *machine) check() result {
	first, bad := m.start()
	visited := map[state]bool{first: true}
	nodes := []node{{first, -1}}
	last := 0 // node of the violation
	for i := 0; i < len(nodes) && bad == ""; i++ {
		s, stuck := nodes[i].state, true
		m.successors(&s, func(next *state, b violation) {
			stuck = false
			if bad == "" && (b != "" || !visited[*next]) {
				visited[*next] = true
				nodes = append(nodes, node{*next, i})
				bad, last = b, len(nodes)-1
			}
		})
		if stuck && m.final != nil {
			if b := m.final(m, &s); m.counts(b) {
				bad, last = b, i
			}
		}
	}
	if bad == "" {
		return result{states: len(nodes)}
	}
	return result{len(nodes), bad, m.replay(nodes, last)}
}

// counts tells whether b is a violation that this run is after.
func (m *machine) counts(b violation) bool {
	return b != "" && (m.sought == "" || m.sought == b)
}

// replay walks from the start to nodes[last] again, this time with the log on.
func (m *machine) replay(nodes []node, last int) []string {
	var path []int
	for i := last; i > 0; i = nodes[i].parent {
		path = append(path, i)
	}
	var trace, log []string
	m.log = &log
	defer func() { m.log = nil }()
	_, _ = m.start()
	trace, log = log, nil
	for _, i := range slices.Backward(path) {
		found := false
		m.successors(&nodes[nodes[i].parent].state, func(next *state, _ violation) {
			if !found && *next == nodes[i].state {
				trace, found = append(trace, log...), true
			}
			log = nil
		})
	}
	return trace
}
