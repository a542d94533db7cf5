package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is the type of a key's value.
type kind int

const (
	section  kind = iota // keys with values
	text                 // a string
	boolean              // true or false
	integer              // a whole number
	duration             // a number with a unit
	texts                // a list of strings
	sections             // a list of sections
)

// node is a key of the schema.
type node struct {
	key      string // "level"
	path     string // "log.level"; inside a list the path from its element
	kind     kind
	children []*node // of a section, or of each element of a list of them

	oneof    []string // text: the choices, none for any
	limits   string   // "64..1048576", "" for any
	min, max int64    // what limits says; durations in nanoseconds
	required bool
	fallback string // default, written as in a file; "" for none
}

// schema is the whole of it, read off Config.
var schema = &node{kind: section, children: children(reflect.TypeFor[Config](), "")}

func children(t reflect.Type, prefix string) []*node {
	var nodes []*node
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		key := f.Tag.Get("mapstructure")
		n := &node{
			key:      key,
			path:     prefix + key,
			limits:   f.Tag.Get("range"),
			oneof:    strings.Fields(f.Tag.Get("oneof")),
			required: f.Tag.Get("required") != "",
			fallback: f.Tag.Get("default"),
		}
		n.setType(f.Type)
		if from, to, ok := strings.Cut(n.limits, ".."); ok {
			n.min, n.max = n.limit(from), n.limit(to)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

func (n *node) setType(t reflect.Type) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		n.kind = duration
	case t == reflect.TypeFor[[]string]():
		n.kind = texts
	case t.Kind() == reflect.Slice:
		n.kind = sections
		n.children = children(t.Elem(), "")
	case t.Kind() == reflect.Struct:
		n.kind = section
		n.children = children(t, n.path+".")
	case t.Kind() == reflect.Bool:
		n.kind = boolean
	case t.Kind() == reflect.Int:
		n.kind = integer
	default:
		n.kind = text
	}
}

// limit reads one end of a range tag; a wrong tag reads as 0, and a test looks for it.
func (n *node) limit(s string) int64 {
	if n.kind == duration {
		d, _ := time.ParseDuration(s)
		return int64(d)
	}
	i, _ := strconv.ParseInt(s, 10, 64)
	return i
}

// child finds a key of a section.
func (n *node) child(key string) *node {
	for _, c := range n.children {
		if c.key == key {
			return c
		}
	}
	return nil
}

func (n *node) childKeys() []string {
	keys := make([]string, len(n.children))
	for i, c := range n.children {
		keys[i] = c.key
	}
	return keys
}

// leaves are the keys that flags and the environment can set: all but the
// version and lists of sections.
func (n *node) leaves() []*node {
	var leaves []*node
	for _, c := range n.children {
		switch {
		case c.kind == section:
			leaves = append(leaves, c.leaves()...)
		case c.kind != sections && c.path != "version":
			leaves = append(leaves, c)
		}
	}
	return leaves
}

// flag is the name of the key's flag.
func (n *node) flag() string { return strings.ReplaceAll(n.path, ".", "-") }

// env is the name of the key's environment variable.
func (n *node) env() string {
	return "NETMAPD_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(n.path))
}

// parse reads a scalar, if it is one that the schema allows.
func (n *node) parse(s string) (any, bool) {
	switch n.kind {
	case boolean:
		return s == "true", s == "true" || s == "false"
	case integer:
		i, err := strconv.ParseInt(s, 0, 64)
		return int(i), err == nil && n.within(i)
	case duration:
		d, err := time.ParseDuration(s)
		return d, err == nil && n.within(int64(d))
	case text:
		return s, len(n.oneof) == 0 || slices.Contains(n.oneof, s)
	default:
		return nil, false
	}
}

// refusal says why s is refused; found is s as the message shall call it.
func (n *node) refusal(s, found string) string {
	return fmt.Sprintf("expected %s, found %s%s", n.expected(), found, suggest(s, n.oneof))
}

func (n *node) within(v int64) bool { return n.limits == "" || v >= n.min && v <= n.max }

// expected says what a value must be.
func (n *node) expected() string {
	between := ""
	if from, to, ok := strings.Cut(n.limits, ".."); ok {
		between = " from " + from + " to " + to
	}
	switch n.kind {
	case section:
		return "a section with the keys " + strings.Join(n.childKeys(), ", ")
	case sections:
		return "a list of sections with the keys " + strings.Join(n.childKeys(), ", ")
	case boolean:
		return "true or false"
	case integer:
		return "a whole number" + between
	case duration:
		return "a duration such as 50us or 5s" + between
	case texts:
		return "a list of texts"
	default:
		if len(n.oneof) > 0 {
			return "one of " + strings.Join(n.oneof, ", ")
		}
		return "a text"
	}
}
