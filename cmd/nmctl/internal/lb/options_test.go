package lb

import (
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Options)
		says   string // "" for fine
	}{
		{"a port", func(*Options) {}, ""},
		{"no port", func(o *Options) { o.Interface = "" }, "no port"},
		{"groups", func(o *Options) { o.Groups = []string{"4", "ids:2", "netmap:x:1", "vale1:x:3"} }, ""},
		{"no number", func(o *Options) { o.Groups = []string{"ids"} }, "[name:]number"},
		{"no pipe", func(o *Options) { o.Groups = []string{"ids:0"} }, "1 to 64"},
		{"too many", func(o *Options) { o.Groups = []string{"65"} }, "1 to 64"},
		{"no name", func(o *Options) { o.Groups = []string{":3"} }, "a name"},
		{"a long name", func(o *Options) { o.Groups = []string{strings.Repeat("x", 64) + ":3"} }, "64 characters"},
		{"no batch", func(o *Options) { o.Batch = 0 }, "-b 0"},
		{"extra buffers beyond reason", func(o *Options) { o.ExtraBufs = 1 << 30 }, "-B"},
		{"a long wait", func(o *Options) { o.Wait = 1e6 }, "-w"},
	} {
		o := Default()
		o.Interface = "eth0"
		c.change(&o)
		err := o.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.what, err)
		}
		if c.what == "groups" && (o.Interface != "netmap:eth0" || o.groups[0] != groupSpec{"", 4} || o.groups[2] != groupSpec{"x", 1} || o.groups[3] != groupSpec{"vale1:x", 3}) {
			t.Errorf("%+v", o)
		}
	}
}
