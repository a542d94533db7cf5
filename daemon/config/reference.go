package config

import (
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/netmapd/netmapd/configs"
)

// WriteReference writes the reference of the configuration in Markdown: every
// key, with what the comment above it in the embedded default says, and what the
// schema knows of it.
func WriteReference(w io.Writer) error {
	data, err := configs.Files.ReadFile(defaultFile)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return err
	}
	l, err := newLoader()
	if err != nil {
		return err
	}
	r := &reference{loader: l, root: doc.Content[0]}
	intro := doc.HeadComment
	if intro == "" { // the package gives it to the first key
		intro, _, _ = strings.Cut(r.root.Content[0].HeadComment, "\n\n")
	}
	r.text.WriteString("<!-- Made from configs/default.yaml and daemon/config by make generate. -->\n# Configuration\n\n")
	r.comment(intro)
	r.section(schema, r.root)
	_, err = io.WriteString(w, strings.TrimRight(r.text.String(), "\n")+"\n")
	return err
}

// reference is the text as far as it is written.
type reference struct {
	loader *loader
	root   *yaml.Node
	text   strings.Builder
}

func (r *reference) printf(format string, args ...any) { fmt.Fprintf(&r.text, format, args...) }

// section writes the keys of a section, y being its node in the embedded default.
func (r *reference) section(n *node, y *yaml.Node) {
	for _, c := range n.children {
		key, value := pair(y, c.key)
		if key == nil {
			continue // a test says that it is missing
		}
		level := "##"
		if c.kind != section && c.kind != sections && strings.Contains(c.path, ".") {
			level = "###"
		}
		r.printf("%s %s\n\n", level, c.path)
		_, comment := cutLast(key.HeadComment, "\n\n") // what stands apart is not about the key
		r.comment(comment)
		switch c.kind {
		case section:
			r.section(c, value)
		case sections:
			r.elements(c)
		default:
			r.key(c)
		}
	}
}

// key writes what the schema knows of a key.
func (r *reference) key(n *node) {
	r.printf("Expects %s. Default: `%s`.", n.expected(), r.fallback(n))
	if n.path != "version" {
		r.printf(" Flag `--%s`, environment `%s`.", n.flag(), n.env())
	}
	r.printf("\n\n")
}

func (r *reference) fallback(n *node) string {
	switch v := r.loader.viper.Get(n.path).(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []any:
		return fmt.Sprintf("%q", r.loader.viper.GetStringSlice(n.path))
	default:
		return fmt.Sprint(v)
	}
}

// elements writes the keys that an element of a list of sections has.
func (r *reference) elements(n *node) {
	r.printf("| Key | Expects | Default |\n|---|---|---|\n")
	for _, c := range n.children {
		r.element(c, "")
	}
	r.printf("\n")
}

func (r *reference) element(n *node, prefix string) {
	key := prefix + n.key
	expected, fallback := n.expected(), "`"+n.fallback+"`"
	switch {
	case n.required:
		fallback = "required"
	case n.fallback == "":
		fallback = "none"
	}
	if n.kind == sections {
		key, expected = key+"[]", "a list of sections"
	}
	r.printf("| `%s` | %s | %s |\n", key, expected, fallback)
	if n.kind == sections {
		for _, c := range n.children {
			r.element(c, key+".")
		}
	}
}

// comment writes a comment of YAML as Markdown: lines that are indented are an example.
func (r *reference) comment(text string) {
	example := false
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimRight(line, " \n"), "#")
		code := strings.HasPrefix(line, "   ")
		if code != example && (code || line != "") {
			example = code
			if !code {
				r.printf("```\n")
			} else {
				r.printf("```yaml\n")
			}
		}
		indent := " "
		if code {
			indent = "   "
		}
		r.printf("%s\n", strings.TrimPrefix(line, indent))
	}
	if example {
		r.printf("```\n")
	}
	if text != "" {
		r.printf("\n")
	}
}

// pair finds a key and its value.
func pair(mapping *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1]
		}
	}
	return nil, nil
}

// cutLast cuts s at the last sep; all of s is after it where there is none.
func cutLast(s, sep string) (before, after string) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):]
	}
	return "", s
}
