package config

import (
	"bytes"
	"fmt"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"
)

// Render writes a configuration as a file would say it: what differs from the
// default, nothing else.
func Render(c *Config) ([]byte, error) {
	def, err := Default()
	if err != nil {
		return nil, err
	}
	doc := sectionNode(schema, reflect.ValueOf(c).Elem(), reflect.ValueOf(def).Elem())
	return encode(doc)
}

func encode(doc *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return b.Bytes(), enc.Close()
}

// Update returns the text of a configuration file with the ports, switches and
// log level of c. Everything else in it stays, comments too.
func Update(file string, data []byte, c *Config) ([]byte, error) {
	var p problems
	r := &reader{file: file, problems: &p, origins: origins{}}
	root, ok := r.parse(data)
	if !ok {
		return nil, p.err()
	}
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("update %s: expected a section, found %s", file, describe(root))
	}
	def, err := Default()
	if err != nil {
		return nil, err
	}
	if lookup(root, "version") == nil {
		set(root, "version", scalarNode(reflect.ValueOf(Version)))
	}
	full := sectionNode(schema, reflect.ValueOf(c).Elem(), reflect.ValueOf(def).Elem())
	for _, key := range []string{"ports", "switches"} {
		put(root, key, lookup(full, key))
	}
	level := lookup(lookup(full, "log"), "level")
	if log := lookup(root, "log"); log != nil {
		put(log, "level", level)
	} else if level != nil {
		set(root, "log", lookup(full, "log"))
	}
	return encode(root)
}

// lookup finds the value of a key; nil when it is not there.
func lookup(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// put sets a key, or takes it out when value is nil. What is already there with
// the same value is not touched, for the sake of its comments.
func put(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		switch {
		case mapping.Content[i].Value != key:
		case value == nil:
			mapping.Content = append(mapping.Content[:i], mapping.Content[i+2:]...)
			return
		default:
			mapping.Content[i+1] = value
			return
		}
	}
	if value != nil {
		set(mapping, key, value)
	}
}

func set(mapping *yaml.Node, key string, value *yaml.Node) {
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

// sectionNode writes the keys of a section that differ from those of def; of an
// element of a list, for which def is not valid, those that differ from its
// fallbacks.
func sectionNode(n *node, v, def reflect.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, c := range n.children {
		f := c.field(v)
		var d reflect.Value
		if def.IsValid() {
			d = c.field(def)
		}
		switch {
		case c.kind == section:
			if s := sectionNode(c, f, d); len(s.Content) > 0 {
				set(out, c.key, s)
			}
		case c.kind == sections || c.kind == texts:
			if list := listNode(c, f); len(list.Content) > 0 || d.IsValid() && d.Len() > 0 {
				if !d.IsValid() || !reflect.DeepEqual(f.Interface(), d.Interface()) {
					set(out, c.key, list)
				}
			}
		case d.IsValid() && c.path != "version" && reflect.DeepEqual(f.Interface(), d.Interface()):
		case !d.IsValid() && !c.required && c.isFallback(f):
		default:
			set(out, c.key, scalarNode(f))
		}
	}
	return out
}

// isFallback says that the value is what it is when nobody gives it.
func (n *node) isFallback(v reflect.Value) bool {
	if n.fallback == "" {
		return v.IsZero()
	}
	fallback, _ := n.parse(n.fallback)
	return reflect.DeepEqual(v.Interface(), fallback)
}

func listNode(n *node, v reflect.Value) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		if n.kind == texts {
			out.Content = append(out.Content, scalarNode(v.Index(i)))
		} else {
			out.Content = append(out.Content, sectionNode(n, v.Index(i), reflect.Value{}))
		}
	}
	return out
}

func scalarNode(v reflect.Value) *yaml.Node {
	out := &yaml.Node{}
	value := v.Interface()
	if d, ok := value.(time.Duration); ok {
		value = d.String()
	}
	_ = out.Encode(value) // scalars always can be
	return out
}
