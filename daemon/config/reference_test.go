package config

import (
	"strings"
	"testing"
)

// Every key of the schema is in the reference, with its flag, what it expects and its default, and explained.
func TestReference(t *testing.T) {
	var b strings.Builder
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	explained, err := explanations()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range schema.leaves() {
		_, rest, found := strings.Cut(text, "# "+n.path+"\n")
		if !found {
			t.Errorf("%s is not there", n.path)
			continue
		}
		entry, _, _ := strings.Cut(rest, "\n#")
		words := strings.Join(strings.Fields(entry), " ")
		for _, want := range []string{explained[n.path], "--" + n.flag(), n.env(), n.expected()} {
			if want == "" || !strings.Contains(words, want) {
				t.Errorf("%s lacks %q: %s", n.path, want, entry)
			}
		}
	}
	var look func(n *node, prefix string, listed bool)
	look = func(n *node, prefix string, listed bool) {
		for _, c := range n.children {
			switch {
			case c.kind == section:
				look(c, "", false)
			case c.kind == sections && !listed:
				look(c, "", true)
			case c.kind == sections:
				look(c, prefix+c.key+"[].", true)
			case listed && !strings.Contains(text, "| `"+prefix+c.key+"` |"):
				t.Errorf("%s%s is in no table", prefix, c.key)
			}
		}
	}
	look(schema, "", false)
	if strings.Count(text, "```")%2 != 0 {
		t.Error("an example does not end")
	}
}
