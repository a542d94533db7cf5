package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader turns a YAML document into settings that fit the schema. What does not
// fit is left out and reported. It walks the document's nodes, because viper
// keeps neither lines nor the case of keys.
type reader struct {
	file     string
	problems *problems
	origins  origins
}

// document reads a whole file. The result is nil where nothing of it can be used.
func (r *reader) document(data []byte) map[string]any {
	root, ok := r.parse(data)
	if !ok {
		return nil
	}
	if !r.checkVersion(root) {
		return nil
	}
	return r.section(schema, root, "")
}

var (
	yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)
	// The YAML package counts lines from 1 in the errors of its scanner, and
	// from 0 in those of its parser, which are these.
	countsFromZero = regexp.MustCompile(`^did not find expected (<|node content|',' or|key|'-')`)
)

// parse checks that there is exactly one document.
func (r *reader) parse(data []byte) (*yaml.Node, bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	if err == nil {
		switch err = decoder.Decode(&second); {
		case err == nil:
			r.problems.add(origin{r.file, second.Line}, "", `found a second YAML document; put everything into one, without "---" between`)
			return nil, false
		case errors.Is(err, io.EOF):
			return doc.Content[0], true
		}
	}
	if errors.Is(err, io.EOF) { // nothing but comments
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, true
	}
	where, what := origin{source: r.file}, strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		where.line, _ = strconv.Atoi(m[1])
		what = m[2]
		if countsFromZero.MatchString(what) {
			where.line++
		}
	}
	r.problems.add(where, "", "not YAML: %s", what)
	return nil, false
}

// checkVersion comes before everything else: in another version all other keys
// may mean something else.
func (r *reader) checkVersion(root *yaml.Node) bool {
	if root.Kind != yaml.MappingNode {
		return true // section complains
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value != "version" {
			continue
		}
		value := deref(root.Content[i+1])
		if value.Kind == yaml.ScalarNode && value.Value == strconv.Itoa(Version) {
			return true
		}
		r.problems.add(origin{r.file, value.Line}, "version", "expected %d, found %s; this netmapd reads no other version", Version, describe(value))
		return false
	}
	r.problems.add(origin{r.file, root.Line}, "version", `missing; write "version: %d" first`, Version)
	return true
}

// section reads the keys of a section; at is its path, "" for the top.
func (r *reader) section(n *node, y *yaml.Node, at string) map[string]any {
	y = deref(y)
	if y.Kind != yaml.MappingNode {
		r.wrong(n, y, at)
		return nil
	}
	settings := make(map[string]any)
	lines := make(map[string]int) // of the keys seen
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		p := join(at, key.Value)
		child := n.child(key.Value)
		first, again := lines[key.Value]
		lines[key.Value] = key.Line
		where := origin{r.file, key.Line}
		switch {
		case key.Kind != yaml.ScalarNode:
			r.problems.add(where, at, "expected a key, found %s", describe(key))
		case child == nil:
			r.problems.add(where, p, "unknown key%s", suggestKey(n, key.Value))
		case again:
			r.problems.add(where, p, "given twice, first in line %d; keep one", first)
		case isNull(value): // "key:" is as good as no key
			delete(lines, key.Value)
		default:
			r.origins[p] = where
			if v, ok := r.value(child, value, p); ok {
				settings[child.key] = v
			}
		}
	}
	for _, c := range n.children {
		if _, given := lines[c.key]; given {
			continue
		}
		if c.required {
			r.problems.add(origin{r.file, y.Line}, join(at, c.key), "missing; expected %s", c.expected())
		}
		if c.fallback != "" {
			settings[c.key], _ = c.parse(c.fallback)
		}
	}
	return settings
}

// value reads the value of a key.
func (r *reader) value(n *node, y *yaml.Node, at string) (any, bool) {
	y = deref(y)
	switch n.kind {
	case section:
		return r.section(n, y, at), true
	case sections, texts:
		return r.list(n, y, at)
	default:
		return r.scalar(n, y, at)
	}
}

func (r *reader) list(n *node, y *yaml.Node, at string) (any, bool) {
	if y.Kind != yaml.SequenceNode {
		r.wrong(n, y, at)
		return nil, false
	}
	list := make([]any, 0, len(y.Content))
	element := &node{kind: text}
	if n.kind == sections {
		element = &node{kind: section, children: n.children}
	}
	for i, item := range y.Content {
		p := fmt.Sprintf("%s[%d]", at, i)
		r.origins[p] = origin{r.file, item.Line}
		// A bad element keeps its place, so that the next ones keep their paths.
		v, _ := r.value(element, item, p)
		list = append(list, v)
	}
	return list, true
}

// tags says which of YAML's types a kind accepts.
var tags = map[kind][]string{
	text:     {"!!str"},
	boolean:  {"!!bool"},
	integer:  {"!!int"},
	duration: {"!!str", "!!int"}, // 0 needs no unit
}

func (r *reader) scalar(n *node, y *yaml.Node, at string) (any, bool) {
	if y.Kind != yaml.ScalarNode || !slices.Contains(tags[n.kind], y.ShortTag()) {
		r.wrong(n, y, at)
		return n.zero(), false
	}
	s := y.Value
	if n.kind == integer || n.kind == boolean {
		s = strings.ToLower(s) // YAML has True and 0X10
	}
	v, ok := n.parse(s)
	if !ok {
		r.problems.add(origin{r.file, y.Line}, at, "%s", n.refusal(s, describe(y)))
		return n.zero(), false
	}
	return v, true
}

// zero is what stands for a bad element of a list of texts.
func (n *node) zero() any {
	if n.kind == text {
		return ""
	}
	return nil
}

// wrong reports a value of another type.
func (r *reader) wrong(n *node, y *yaml.Node, at string) {
	hint := ""
	if n.kind == text && len(n.oneof) == 0 && y.Kind == yaml.ScalarNode && !isNull(y) {
		hint = "; put it in quotes"
	}
	r.problems.add(origin{r.file, y.Line}, at, "expected %s, found %s%s", n.expected(), describe(y), hint)
}

// describe says what a node is, in the words of somebody who writes YAML.
func describe(y *yaml.Node) string {
	switch {
	case y.Kind == yaml.MappingNode:
		return "a section"
	case y.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(y):
		return "nothing"
	case y.ShortTag() == "!!str":
		return strconv.Quote(y.Value)
	case y.ShortTag() == "!!int", y.ShortTag() == "!!float":
		return "the number " + y.Value
	default:
		return y.Value
	}
}

func isNull(y *yaml.Node) bool {
	y = deref(y)
	return y.Kind == yaml.ScalarNode && y.ShortTag() == "!!null"
}

// deref follows an alias to the node with the anchor.
func deref(y *yaml.Node) *yaml.Node {
	if y.Kind == yaml.AliasNode {
		return y.Alias
	}
	return y
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// suggestKey helps with an unknown key: one of another section, or a typo.
func suggestKey(n *node, key string) string {
	for _, leaf := range schema.leaves() {
		if leaf.key == key {
			return fmt.Sprintf("; did you mean %s?", leaf.path)
		}
	}
	if s := suggest(key, n.childKeys()); s != "" {
		return s
	}
	return "; known here: " + strings.Join(n.childKeys(), ", ")
}
